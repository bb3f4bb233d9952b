"""Tokenised vaults: ERC-4626, its asynchronous extension ERC-7540, and a plain ERC-20 wrapper.

The wrapper is OpenZeppelin's ERC20Wrapper: one token for one token.
Source: ERC-4626, ERC-7540 and the OpenZeppelin documentation.
"""

from __future__ import annotations

from .record import NONE, Entry, Protocol, Table

_OZ4626 = "OpenZeppelin documentation: docs/modules/ROOT/pages/erc4626.adoc"

_TABLE: Table = {
    "share_price": {
        "wrapper": Entry("always 1 to 1", "one wrapped for one underlying token"),
        "erc4626": Entry("total assets over total shares", "it rises with the yield"),
        "erc7540": Entry("up to the vault, request by request", "fixed or variable until claimed"),
    },
    "deposit_functions": {
        "wrapper": Entry("depositFor", "(account, value)"),
        "erc4626": Entry("deposit and mint", "by assets or by shares"),
        "erc7540": Entry("requestDeposit, then deposit or mint", "the second call claims"),
    },
    "withdrawal_functions": {
        "wrapper": Entry("withdrawTo", "(account, value)"),
        "erc4626": Entry("withdraw and redeem", "by assets or by shares"),
        "erc7540": Entry("requestRedeem, then redeem or withdraw", "the second call claims"),
    },
    "timing": {
        "wrapper": Entry("one transaction", "both ways", shared=True),
        "erc4626": Entry("one transaction", "both ways", shared=True),
        "erc7540": Entry("request, wait, claim", "pending, claimable, claimed"),
    },
    "preview_functions": {
        "wrapper": Entry(NONE, "the answer is the amount"),
        "erc4626": Entry("four, one for each action", "as the action would do in this block"),
        "erc7540": Entry("revert for asynchronous flows", "the rate is not known yet"),
    },
    "limit_functions": {
        "wrapper": Entry(NONE, "there is no limit to ask for"),
        "erc4626": Entry("maxDeposit, maxMint, maxWithdraw, maxRedeem", "per receiver or owner"),
        "erc7540": Entry("the max functions, over claimables", "what may be claimed now"),
    },
    "underlying_getter": {
        "wrapper": Entry("underlying()", "the wrapped ERC-20"),
        "erc4626": Entry("asset()", "the underlying ERC-20", shared=True),
        "erc7540": Entry("asset()", "the underlying ERC-20", shared=True),
    },
    "share_token": {
        "wrapper": Entry("the wrapper itself", "an ERC-20 contract"),
        "erc4626": Entry("the vault itself", "the vault is an ERC-20"),
        "erc7540": Entry("share(), as in ERC-7575", "the share may be another contract"),
    },
    "rounding": {
        "wrapper": Entry("none, amounts are equal", "nothing is divided"),
        "erc4626": Entry("in favour of the vault", "shares out down, assets in up"),
        "erc7540": Entry(
            "as ERC-4626 where it still applies", "the rate of a request is the vault's own"
        ),
    },
    "inflation_attack": {
        "wrapper": Entry("not possible", "a donation does not move the rate"),
        "erc4626": Entry("possible in an empty vault", "virtual shares guard against it", _OZ4626),
        "erc7540": Entry("depends on the implementation", "requests are priced outside the ERC"),
    },
    "inflation_guard": {
        "wrapper": Entry("none needed", "the rate is fixed"),
        "erc4626": Entry("virtual shares and a decimal offset", "or dead shares", _OZ4626),
        "erc7540": Entry("left to the implementation", "the ERC does not settle it"),
    },
    "yield": {
        "wrapper": Entry(NONE, "the wrapper holds and does nothing"),
        "erc4626": Entry("in the share price", "totalAssets grows", shared=True),
        "erc7540": Entry("in the share price", "a pending request may earn or not", shared=True),
    },
    "standard": {
        "wrapper": Entry(
            "no ERC, an OpenZeppelin contract", "ERC-20 with depositFor, withdrawTo and underlying"
        ),
        "erc4626": Entry("ERC-4626, an extension of ERC-20", "final"),
        "erc7540": Entry("ERC-7540, an extension of ERC-4626", "final; asynchronous vaults"),
    },
    "operators": {
        "wrapper": Entry("ERC-20 allowance", "only the holder itself may unwrap", shared=True),
        "erc4626": Entry("ERC-20 allowance", "an approved caller may redeem", shared=True),
        "erc7540": Entry("setOperator", "an operator manages all requests"),
    },
}

PROTOCOL = Protocol(
    "token_vaults",
    {
        "wrapper": "OpenZeppelin contracts: ERC20Wrapper",
        "erc4626": "ERC-4626: ercs/ERCS/erc-4626.md",
        "erc7540": "ERC-7540: ercs/ERCS/erc-7540.md",
    },
    _TABLE,
)
