"""Uniswap v4: what differs from v3 -- signs, fees, hook bits, pool identity.

Contract: the pool mathematics is v3's (`uniswap_v3.Pool`); this module holds v4's sign convention
(negative exact input; event amounts from the swapper's side), its fee rules and the permission
bits in a hook's address.  Source: Uniswap v4-core (MIT libraries ProtocolFeeLibrary, LPFeeLibrary,
Hooks) and the v4 documentation.
"""

from __future__ import annotations

from typing import NamedTuple

from .fixed_point import MathError
from .uniswap_v3 import Pool, SwapResult

MAX_LP_FEE = 1_000_000
DYNAMIC_FEE_FLAG = 0x800000
MAX_PROTOCOL_FEE = 1000
MIN_TICK_SPACING, MAX_TICK_SPACING = 1, 32767

_HOOKS = (
    "afterRemoveLiquidityReturnDelta",
    "afterAddLiquidityReturnDelta",
    "afterSwapReturnDelta",
    "beforeSwapReturnDelta",
    "afterDonate",
    "beforeDonate",
    "afterSwap",
    "beforeSwap",
    "afterRemoveLiquidity",
    "beforeRemoveLiquidity",
    "afterAddLiquidity",
    "beforeAddLiquidity",
    "afterInitialize",
    "beforeInitialize",
)


class SwapEvent(NamedTuple):
    """A swap as a person means it: direction and unsigned raw amounts."""

    zero_for_one: bool
    amount_in: int
    amount_out: int


def classify_swap_event(version: str, amount0: int, amount1: int) -> SwapEvent:
    """Direction of a raw Swap event: v3 amounts are the pool's, v4 amounts the swapper's."""
    if version not in ("v3", "v4"):
        raise MathError(f"{version} Swap events have no signed amounts; v3 and v4 have")
    if amount0 * amount1 > 0 or (amount0 == 0 and amount1 == 0):
        raise MathError("one amount of a swap goes in and the other out")
    paid0 = amount0 > 0 if version == "v3" else amount0 < 0
    if amount0 == 0:
        paid0 = amount1 < 0 if version == "v3" else amount1 > 0
    if paid0:
        return SwapEvent(True, abs(amount0), abs(amount1))
    return SwapEvent(False, abs(amount1), abs(amount0))


def swap(
    pool: Pool, zero_for_one: bool, amount_specified: int, sqrt_price_limit: int | None = None
) -> SwapResult:
    """v4 signs: negative is an exact input; returned amounts are the swapper's deltas."""
    result = pool.swap(zero_for_one, -amount_specified, sqrt_price_limit)
    return result._replace(amount0=-result.amount0, amount1=-result.amount1)


def swap_fee(lp_fee: int, protocol_fee: int) -> int:
    """Total fee in pips: the protocol's part is taken first, the LPs' from what is left."""
    if not 0 <= protocol_fee <= MAX_PROTOCOL_FEE:
        raise MathError(f"v4's protocol fee is at most {MAX_PROTOCOL_FEE} pips (0.1%)")
    if not 0 <= lp_fee <= MAX_LP_FEE:
        raise MathError(f"v4's LP fee is at most {MAX_LP_FEE} pips (100%)")
    # protocol + lp - protocol x lp / 1e6, the product rounded down as the contract does
    return protocol_fee + lp_fee - protocol_fee * lp_fee // MAX_LP_FEE


def hook_permissions(address: str) -> frozenset[str]:
    """Permissions encoded in the lowest 14 bits of a hook's address."""
    bits = int(address, 16)
    return frozenset(name for bit, name in enumerate(_HOOKS) if bits >> bit & 1)
