"""Balancer v2 and v3: the Vault, pool tokens, hooks and boosted pools.

Source: the Balancer documentation of either version.
"""

from __future__ import annotations

from .record import NONE, QUARTER, Entry, Protocol, Table

_FEES = "Balancer documentation: concepts/governance/protocol-fees"

_TABLE: Table = {
    "user_entry": {
        "v2": Entry("the Vault itself", "swap, batchSwap, joinPool, exitPool"),
        "v3": Entry("Routers", "users do not call the Vault"),
    },
    "pool_identifier": {
        "v2": Entry("poolId, 32 bytes", "it contains the pool's address"),
        "v3": Entry("the pool's address", "there are no poolIds"),
    },
    "pool_token_accounting": {
        "v2": Entry("in the pool contract", "each pool is an ERC-20"),
        "v3": Entry("in the Vault, as ERC20MultiToken", "the pool forwards the ERC-20 calls"),
    },
    "hooks": {
        "v2": Entry(NONE, "custom logic means a custom pool"),
        "v3": Entry("yes, a hooks contract per pool", "set when the pool is registered"),
    },
    "settlement": {
        "v2": Entry("within each Vault call", "batchSwap nets its own steps"),
        "v3": Entry(
            "transient accounting (EIP-1153)", "debts and credits of an unlock must be zero"
        ),
    },
    "flash_loan": {
        "v2": Entry("flashLoan of the Vault", "calls receiveFlashLoan"),
        "v3": Entry("unlock, sendTo, settle", "no function of its own is needed"),
    },
    "boosted_pools": {
        "v2": Entry("nested linear pools", "their BPT sits in a stable pool"),
        "v3": Entry("ERC-4626 tokens with Vault buffers", "100% of the assets earn yield"),
    },
    "liquidity_buffers": {
        "v2": Entry(NONE, "linear pools did the wrapping"),
        "v3": Entry("yes, per ERC-4626 token", "wrapping without a trip to the lender"),
    },
    "preminted_pool_token": {
        "v2": Entry("yes, in composable stable pools", "phantom BPT; read getActualSupply"),
        "v3": Entry(NONE, "totalSupply is the supply"),
    },
    "decimal_and_rate_scaling": {
        "v2": Entry("by each pool", "pools keep scaling factors and rate caches"),
        "v3": Entry("by the Vault", "pools see 18-decimal, rate-scaled balances"),
    },
    "internal_balances": {
        "v2": Entry("yes, per user in the Vault", "manageUserBalance"),
        "v3": Entry(NONE, "credits last for one unlock"),
    },
    "asset_managers": {
        "v2": Entry("yes, set at registration", "they may move a pool's tokens out"),
        "v3": Entry(NONE, "buffers and ERC-4626 tokens took their place"),
    },
    "join_function": {
        "v2": Entry("joinPool with encoded userData", "the pool decodes the kind of join"),
        "v3": Entry(
            "addLiquidity functions of the Router", "proportional, unbalanced, single token"
        ),
    },
    "swap_function": {
        "v2": Entry("swap and batchSwap", "with SingleSwap and FundManagement"),
        "v3": Entry("swapSingleTokenExactIn and its sisters", "batches go to the BatchRouter"),
    },
    "token_approval": {
        "v2": Entry("ERC-20 allowance to the Vault", "relayers need approval too"),
        "v3": Entry(
            "Permit2, for the Router",
            "to take BPT back the Router needs an ordinary approval or permit",
            "Balancer documentation: concepts/router/token-approvals",
        ),
    },
    "native_eth": {
        "v2": Entry("wrapped by the Vault", "the zero address stands for ETH"),
        "v3": Entry("wrapped by the Router", "the wethIsEth argument"),
    },
    "dynamic_swap_fee": {
        "v2": Entry("set by the pool's owner", "setSwapFeePercentage, if it has an owner"),
        "v3": Entry("by hook, swap by swap", "onComputeDynamicSwapFeePercentage"),
    },
    "protocol_yield_fee": {
        "v2": Entry(
            "50% of the yield",
            "of tokens with rate providers",
            _FEES,
            "Balancer governance",
            QUARTER,
        ),
        "v3": Entry(
            "10% of the yield",
            "of tokens with rate providers",
            _FEES,
            "Balancer governance",
            QUARTER,
        ),
    },
    "custody": {
        "v2": Entry("one Vault for all pools", "pools hold only the mathematics", shared=True),
        "v3": Entry("one Vault for all pools", "pools hold only the mathematics", shared=True),
    },
}

PROTOCOL = Protocol(
    "balancer",
    {
        "v2": "Balancer v2 documentation and v2-interfaces (IVault)",
        "v3": "Balancer v3 documentation and v3-interfaces (IVaultMain, IRouter, IHooks)",
    },
    _TABLE,
)
