"""Liquid staking tokens: Lido's stETH and wstETH, Rocket Pool's rETH.

Source: the Lido documentation and improvement proposals, the Rocket Pool documentation.
"""

from __future__ import annotations

from .record import HALF_YEAR, NONE, Entry, Protocol, Table

_LIP22 = "Lido improvement proposals: lip-22.md"
_QUEUE = "Lido documentation: contracts/withdrawal-queue-erc721"
_FEES = "Lido documentation: guides/lido-tokens-integration-guide"
_SATURN = "Rocket Pool documentation: upgrades/saturn-1/whats-new, and RPIP-46"

_TABLE: Table = {
    "balance": {
        "stETH": Entry("rebases", "balanceOf is shares times pooled ether per share"),
        "wstETH": Entry("fixed", "each unit is worth more stETH over time", shared=True),
        "rETH": Entry("fixed", "each unit is worth more ETH over time", shared=True),
    },
    "what_one_unit_is": {
        "stETH": Entry("about one ETH in Lido's pool", "a claim at par, before market price"),
        "wstETH": Entry("one share of Lido's pool", "wrapping turns stETH into its shares"),
        "rETH": Entry("a share of Rocket Pool's ETH", "by its exchange rate"),
    },
    "rewards_show_as": {
        "stETH": Entry("a growing balance", "after each oracle report"),
        "wstETH": Entry("a growing rate to stETH", "stEthPerToken"),
        "rETH": Entry("a growing rate to ETH", "getExchangeRate"),
    },
    "rate_function": {
        "stETH": Entry("getPooledEthByShares", "and getSharesByPooledEth"),
        "wstETH": Entry("stEthPerToken", "and getStETHByWstETH, getWstETHByStETH"),
        "rETH": Entry("getExchangeRate", "and getEthValue, getRethValue"),
    },
    "slashing_shows_as": {
        "stETH": Entry("a falling balance", "a negative rebase"),
        "wstETH": Entry("a falling rate", "balances stay", shared=True),
        "rETH": Entry("a falling rate", "balances stay", shared=True),
    },
    "mint": {
        "stETH": Entry("submit, with ETH", "of the Lido contract; since v3 stVaults mint it too"),
        "wstETH": Entry("wrap stETH, or send ETH", "sent ETH is staked and wrapped at once"),
        "rETH": Entry("deposit, with ETH", "of RocketDepositPool"),
    },
    "exit_to_eth": {
        "stETH": Entry("requestWithdrawals, then claim", "of the WithdrawalQueue", _QUEUE),
        "wstETH": Entry("requestWithdrawalsWstETH, then claim", "or unwrap to stETH first", _QUEUE),
        "rETH": Entry("burn, while ETH is at hand", "from the deposit pool and the token itself"),
    },
    "exit_receipt": {
        "stETH": Entry("unstETH NFT", "an ERC-721 for the request", _QUEUE, shared=True),
        "wstETH": Entry("unstETH NFT", "an ERC-721 for the request", _QUEUE, shared=True),
        "rETH": Entry(NONE, "burn pays at once or reverts"),
    },
    "transfer_rounding": {
        "stETH": Entry("may lose 1 or 2 wei", "amounts are turned into shares and back"),
        "wstETH": Entry(NONE, "a plain ERC-20 balance", shared=True),
        "rETH": Entry(NONE, "a plain ERC-20 balance", shared=True),
    },
    "node_operators": {
        "stETH": Entry("modules of the Staking Router", "stVaults choose their own", shared=True),
        "wstETH": Entry("modules of the Staking Router", "the same pool", shared=True),
        "rETH": Entry("anyone who posts a bond", "permissionless node operators"),
    },
    "issuer": {
        "stETH": Entry("Lido", "the pool's own token", shared=True),
        "wstETH": Entry("Lido", "a wrapper of stETH", shared=True),
        "rETH": Entry("Rocket Pool", "the pool's own token"),
    },
    "protocol_fee": {
        "stETH": Entry(
            "10% of rewards",
            "half to node operators, half to the treasury",
            _FEES,
            "Lido DAO",
            HALF_YEAR,
            shared=True,
        ),
        "wstETH": Entry(
            "10% of rewards",
            "minted as shares when rewards are reported",
            _FEES,
            "Lido DAO",
            HALF_YEAR,
            shared=True,
        ),
        "rETH": Entry(
            "split by adjustable shares since Saturn 1",
            "5% to node operators, 9% to RPL stakers; older minipools keep their terms",
            _SATURN,
            "Rocket Pool protocol DAO",
            HALF_YEAR,
        ),
    },
    "defi_fit": {
        "stETH": Entry("needs support for rebasing", "AMMs that cache balances lose the rewards"),
        "wstETH": Entry(
            "made for protocols and bridges", "its balance never moves by itself", _LIP22
        ),
        "rETH": Entry("plain ERC-20, no wrapper needed", "its balance never moves by itself"),
    },
    "l2_form": {
        "stETH": Entry("wrapped over bridged wstETH", "wrapped twice, says the design", _LIP22),
        "wstETH": Entry("bridged by lock and mint", "the rate is sent along", _LIP22),
        "rETH": Entry("bridged as an ordinary ERC-20", "the rate comes from an oracle"),
    },
    "transferable_unit_call": {
        "stETH": Entry("transferShares", "moves an exact number of shares"),
        "wstETH": Entry("transfer, a unit is a share", "no second function is needed"),
        "rETH": Entry("transfer of rETH", "no share function exists"),
    },
}

PROTOCOL = Protocol(
    "liquid_staking",
    {
        "stETH": "Lido documentation: contracts/lido, guides/lido-tokens-integration-guide",
        "wstETH": "Lido documentation: contracts/wsteth",
        "rETH": "Rocket Pool documentation: liquid-staking, and contract RocketTokenRETH",
    },
    _TABLE,
)
