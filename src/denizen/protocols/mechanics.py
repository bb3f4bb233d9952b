"""Mechanics of Uniswap v2, v3 and v4 as a table of facts, each with source and as-of date.

Contract: `fact(version, topic, qualifier)` gives one Fact or raises LookupError listing what
exists.  The same topic has another answer one version away; "none" answers are explicit.
"""

from __future__ import annotations

from typing import NamedTuple

AS_OF = "2026-11-01"
_SOURCES = {
    "v2": "Uniswap v2 white paper and v2-core contracts",
    "v3": "Uniswap v3 white paper and v3-core contracts",
    "v4": "Uniswap v4 documentation and v4-core contracts",
}


class Fact(NamedTuple):
    """One fact: the short value that answers, and a note that explains."""

    version: str
    topic: str
    qualifier: str | None
    value: str
    note: str
    source: str
    as_of: str


_TABLE: dict[str, dict[str, tuple[str, str]]] = {
    "swap_fee": {
        "v2": ("0.30%", "one fixed fee of 0.30% in every pair"),
        "v3": ("0.01%, 0.05%, 0.30% or 1.00%", "fee tiers fixed at pool creation"),
        "v4": ("any fee, static or dynamic", "set per pool in its key; a hook may change it"),
    },
    "max_fee": {
        "v2": ("0.30%", "the fee is a constant of the pair contract"),
        "v3": ("1.00%", "the highest tier enabled; governance may enable tiers below 100%"),
        "v4": ("100%", "LP fees go up to 1,000,000 pips"),
    },
    "protocol_fee": {
        "v2": ("1/6 of the fee", "0.05 of the 0.30 points, if the factory's feeTo is set"),
        "v3": ("1/4 to 1/10 of the fee", "set per pool and token by the factory owner"),
        "v4": (
            "up to 0.1% of the swap",
            "set per pool and direction by the fee controller",
        ),
    },
    "fee_payment": {
        "v2": ("added to the reserves", "fees compound into the pair and raise each LP token"),
        "v3": ("kept apart and collected", "tracked by fee growth and claimed with collect"),
        "v4": (
            "kept apart and paid on liquidity changes",
            "tracked by fee growth and credited whenever the position's liquidity is modified",
        ),
    },
    "lp_token": {
        "v2": ("ERC-20 token", "fungible LP tokens of the pair"),
        "v3": ("ERC-721 NFT", "minted by the NonfungiblePositionManager"),
        "v4": ("ERC-721 NFT of the PositionManager", "ERC-6909 claims are for token balances"),
    },
    "native_eth": {
        "v2": ("no, wrapped as WETH", "routers wrap and unwrap"),
        "v3": ("no, WETH only", "periphery wraps and unwraps"),
        "v4": ("yes, native ETH", "currency0 may be the zero address"),
    },
    "contract_layout": {
        "v2": ("one contract per pair", "deployed by the factory"),
        "v3": ("one contract per pool", "one for each pair and fee tier"),
        "v4": ("one singleton PoolManager", "all pools live in one contract"),
    },
    "pool_id": {
        "v2": ("pair address", "CREATE2 from the two sorted tokens"),
        "v3": ("pool address", "CREATE2 from the two tokens and the fee"),
        "v4": ("PoolId, the hash of the PoolKey", "tokens, fee, tick spacing and hooks"),
    },
    "flash": {
        "v2": ("flash swap", "swap sends first and calls uniswapV2Call if data is given"),
        "v3": ("flash function", "flash lends both tokens and calls uniswapV3FlashCallback"),
        "v4": ("flash accounting", "unlock the PoolManager and settle all deltas at the end"),
    },
    "callback": {
        "v2": ("uniswapV2Call", "only for flash swaps; a plain swap is paid in advance"),
        "v3": ("uniswapV3SwapCallback", "the caller pays inside the callback"),
        "v4": ("unlockCallback", "all actions happen inside the unlock"),
    },
    "oracle": {
        "v2": ("cumulative prices", "price0CumulativeLast and price1CumulativeLast per pair"),
        "v3": ("observe with up to 65,535 observations", "cumulative ticks stored in the pool"),
        "v4": ("none built in", "an oracle needs a hook"),
    },
    "hooks": {
        "v2": ("no hooks", "pair logic is fixed"),
        "v3": ("no pool hooks", "pool logic is fixed"),
        "v4": ("yes, hooks", "permissions are encoded in the lowest 14 bits of the hook's address"),
    },
    "liquidity_shape": {
        "v2": ("full range", "spread over all prices from zero to infinity"),
        "v3": ("concentrated ranges", "each position picks two ticks"),
        "v4": ("concentrated ranges by default", "hooks may implement another curve"),
    },
}

_SPACING_V3 = {"0.01%": "1", "0.05%": "10", "0.30%": "60", "1.00%": "200"}
_SPACING_NOTE = {
    "v2": ("no ticks", "v2 liquidity covers the full range"),
    "v4": ("chosen per pool, 1 to 32767", "part of the pool key and independent of the fee"),
}


def topics() -> tuple[str, ...]:
    """All topics, tick_spacing last."""
    return (*_TABLE, "tick_spacing")


def fact(version: str, topic: str, qualifier: str | None = None) -> Fact:
    """One fact; `qualifier` is the fee tier ("0.05%") for v3's tick spacing."""
    if version not in _SOURCES:
        raise LookupError(f"no version {version!r}; known: {', '.join(_SOURCES)}")
    if topic == "tick_spacing":
        value, note = _tick_spacing(version, qualifier)
    elif topic in _TABLE:
        value, note = _TABLE[topic][version]
    else:
        raise LookupError(f"no topic {topic!r}; known: {', '.join(topics())}")
    return Fact(version, topic, qualifier, value, note, _SOURCES[version], AS_OF)


def _tick_spacing(version: str, tier: str | None) -> tuple[str, str]:
    if version != "v3":
        return _SPACING_NOTE[version]
    if tier not in _SPACING_V3:
        raise LookupError(f"v3 has no {tier} tier; tiers: {', '.join(_SPACING_V3)}")
    return _SPACING_V3[tier], f"fixed by the {tier} fee tier"
