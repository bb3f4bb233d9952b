"""Uniswap v2: constant product with a 0.30% fee, rounded as the library and the pair do.

Source: the v2 white paper and the UniswapV2Library formulas.  All amounts are raw integers.
"""

from __future__ import annotations

from decimal import Context, Decimal
from math import isqrt

from .fixed_point import MathError

FEE_NUMERATOR = 997
FEE_DENOMINATOR = 1000
MINIMUM_LIQUIDITY = 1000
_WIDE = Context(prec=60)


def quote(amount_a: int, reserve_a: int, reserve_b: int) -> int:
    """Equivalent amount at the current ratio, without fee, rounded down."""
    _positive(amount_a, reserve_a, reserve_b)
    return amount_a * reserve_b // reserve_a


def get_amount_out(amount_in: int, reserve_in: int, reserve_out: int) -> int:
    """Output of an exact input, rounded down."""
    _positive(amount_in, reserve_in, reserve_out)
    with_fee = amount_in * FEE_NUMERATOR
    return with_fee * reserve_out // (reserve_in * FEE_DENOMINATOR + with_fee)


def get_amount_in(amount_out: int, reserve_in: int, reserve_out: int) -> int:
    """Input for an exact output, rounded up; MathError if the reserve does not hold it."""
    _positive(amount_out, reserve_in, reserve_out)
    if amount_out >= reserve_out:
        raise MathError(f"the pair holds {reserve_out}, less than the {amount_out} wanted")
    numerator = reserve_in * amount_out * FEE_DENOMINATOR
    return numerator // ((reserve_out - amount_out) * FEE_NUMERATOR) + 1


def price_impact(amount_in: int, reserve_in: int, reserve_out: int) -> Decimal:
    """1 - execution price / mid price, fee included, as a fraction."""
    out = Decimal(get_amount_out(amount_in, reserve_in, reserve_out) * reserve_in)
    return 1 - _WIDE.divide(out, Decimal(amount_in * reserve_out))


def price_impact_excluding_fee(amount_in: int, reserve_in: int, reserve_out: int) -> Decimal:
    """1 - execution price / mid price with the fee taken off the input first."""
    _positive(amount_in, reserve_in, reserve_out)
    net = amount_in * FEE_NUMERATOR
    return _WIDE.divide(Decimal(net), Decimal(reserve_in * FEE_DENOMINATOR + net))


def mint_liquidity(
    amount0: int, amount1: int, reserve0: int, reserve1: int, total_supply: int
) -> int:
    """LP tokens for a deposit; the first one locks MINIMUM_LIQUIDITY for ever."""
    if total_supply == 0:
        return isqrt(amount0 * amount1) - MINIMUM_LIQUIDITY
    _positive(reserve0, reserve1)
    return min(amount0 * total_supply // reserve0, amount1 * total_supply // reserve1)


def burn_amounts(
    liquidity: int, reserve0: int, reserve1: int, total_supply: int
) -> tuple[int, int]:
    """Token amounts for LP tokens burnt, rounded down."""
    _positive(liquidity, total_supply)
    return liquidity * reserve0 // total_supply, liquidity * reserve1 // total_supply


def _positive(*values: int) -> None:
    if any(value <= 0 for value in values):
        raise MathError("amounts and reserves must be positive")
