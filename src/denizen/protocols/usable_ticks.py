"""Ticks a range may use, and how wide a number of ticks is in price.

Contract: a usable tick is a multiple of the pool's tick spacing within MIN_TICK..MAX_TICK; a width
is the fraction by which the price rises over that many ticks, to 60 digits.
Source: Uniswap v3 white paper section 6.1; `nearest` as the v3 SDK's nearestUsableTick (MIT).
"""

from __future__ import annotations

from decimal import Context, Decimal
from typing import Literal

from .fixed_point import MathError
from .tick_math import MAX_TICK, MIN_TICK

Rounding = Literal["down", "up", "nearest"]
_WIDE = Context(prec=60)


def usable_tick(tick: int, tick_spacing: int, rounding: Rounding) -> int:
    """The multiple of the spacing at or below, at or above, or nearest to `tick` (halves go up).

    Down is toward minus infinity.  `nearest` stays within bounds; the others raise MathError
    where there is no such tick.
    """
    if not MIN_TICK <= tick <= MAX_TICK or tick_spacing <= 0:
        raise MathError(f"no usable tick at {tick} with a spacing of {tick_spacing}")
    lift = {"down": 0, "up": tick_spacing - 1, "nearest": tick_spacing // 2}[rounding]
    found = (tick + lift) // tick_spacing * tick_spacing
    if rounding == "nearest":
        bound = MAX_TICK // tick_spacing * tick_spacing
        return max(-bound, min(found, bound))
    if not MIN_TICK <= found <= MAX_TICK:
        raise MathError(f"tick {tick} has no usable tick {rounding} of it")
    return found


def width_of_ticks(ticks: int) -> Decimal:
    """1.0001^ticks - 1: the relative change of price over so many ticks, a fraction."""
    if abs(ticks) > MAX_TICK - MIN_TICK:
        raise MathError(f"{ticks} ticks are more than there are")
    return _WIDE.subtract(_WIDE.power(Decimal("1.0001"), ticks), Decimal(1))
