"""A concentrated position: amounts, range status, impermanent loss, fees owed.

Source: Uniswap v3 white paper sections 6.2-6.4, v4-core Position and Pool libraries (MIT), and
the LiquidityAmounts formulas.  Integers are raw units; Decimals are prices and ratios.
"""

from __future__ import annotations

from decimal import Context, Decimal

from .fixed_point import MAX_UINT256, Q96, Q128, MathError, mul_div
from .sqrt_price_math import amount0_delta, amount1_delta

_WIDE = Context(prec=60)


def amounts_for_liquidity(
    sqrt_price: int, sqrt_a: int, sqrt_b: int, liquidity: int, round_up: bool = False
) -> tuple[int, int]:
    """(amount0, amount1) behind `liquidity` between two prices; rounded down as a withdrawal."""
    low, high = sorted((sqrt_a, sqrt_b))
    inner = min(max(sqrt_price, low), high)
    return (
        amount0_delta(inner, high, liquidity, round_up),
        amount1_delta(low, inner, liquidity, round_up),
    )


def liquidity_for_amounts(
    sqrt_price: int, sqrt_a: int, sqrt_b: int, amount0: int, amount1: int
) -> int:
    """The greatest liquidity the two amounts can fund between two prices."""
    low, high = sorted((sqrt_a, sqrt_b))
    inner = min(max(sqrt_price, low), high)
    from0 = (
        mul_div(amount0, mul_div(inner, high, Q96), high - inner) if inner < high else MAX_UINT256
    )
    from1 = mul_div(amount1, Q96, inner - low) if inner > low else MAX_UINT256
    return min(from0, from1)


def range_status(now: Decimal | int, lower: Decimal | int, upper: Decimal | int) -> str:
    """ "below range", "in range" (lower <= now < upper) or "above range"; ticks or prices."""
    if now < lower:
        return "below range"
    return "in range" if now < upper else "above range"


def impermanent_loss_v2(ratio: Decimal) -> Decimal:
    """2 sqrt(k) / (1 + k) - 1 for a price ratio k: a fraction, zero or negative."""
    if ratio <= 0:
        raise MathError(f"a price ratio must be positive, not {ratio}")
    twice_root = _WIDE.multiply(Decimal(2), _WIDE.sqrt(ratio))
    return _WIDE.subtract(_WIDE.divide(twice_root, _WIDE.add(Decimal(1), ratio)), Decimal(1))


def impermanent_loss_range(entry: Decimal, now: Decimal, lower: Decimal, upper: Decimal) -> Decimal:
    """Value of a range position over the value of its entry amounts, both at `now`, minus one."""
    if not (0 < lower < upper and entry > 0 and now > 0):
        raise MathError("prices must be positive and the range not empty")
    x0, y0 = _unit_amounts(entry, lower, upper)
    x1, y1 = _unit_amounts(now, lower, upper)
    held = _WIDE.add(_WIDE.multiply(x0, now), y0)
    position = _WIDE.add(_WIDE.multiply(x1, now), y1)
    return _WIDE.subtract(_WIDE.divide(position, held), Decimal(1))


def _unit_amounts(price: Decimal, lower: Decimal, upper: Decimal) -> tuple[Decimal, Decimal]:
    """(x, y) of liquidity 1."""
    root = _WIDE.sqrt(min(max(price, lower), upper))
    x = _WIDE.subtract(_WIDE.divide(Decimal(1), root), _WIDE.divide(Decimal(1), _WIDE.sqrt(upper)))
    return x, _WIDE.subtract(root, _WIDE.sqrt(lower))


def fee_growth_inside(
    tick: int,
    lower: int,
    upper: int,
    growth_global: int,
    outside_lower: int,
    outside_upper: int,
) -> int:
    """Fee growth per unit of liquidity inside a range (Q128), wrapping as uint256 does."""
    below = outside_lower if tick >= lower else growth_global - outside_lower
    above = outside_upper if tick < upper else growth_global - outside_upper
    return (growth_global - below - above) & MAX_UINT256


def fees_owed(liquidity: int, growth_inside_now: int, growth_inside_last: int) -> int:
    """Fees a position has earned since its last update, in raw units."""
    return mul_div((growth_inside_now - growth_inside_last) & MAX_UINT256, liquidity, Q128)
