"""Ticks and the tick bitmap: which tick a swap stops at next, and which ticks a range may have.

Contract: a bitmap is a dict from word number to 256 bits, one per tick divided by the spacing.
Source: Uniswap v3 white paper section 6.2 and v4-core TickBitmap (MIT).
"""

from __future__ import annotations

from .fixed_point import MAX_UINT128, MathError
from .tick_math import MAX_TICK, MIN_TICK


def next_initialized_tick_within_one_word(
    bitmap: dict[int, int], tick: int, tick_spacing: int, lte: bool
) -> tuple[int, bool]:
    """The next tick at or left of `tick` (`lte`), or right of it, and whether it is initialised.

    Looks no further than the 256 compressed ticks of one word and else answers the word's edge.
    """
    compressed = tick // tick_spacing
    if lte:
        word = compressed >> 8
        found = bitmap.get(word, 0) & ((2 << (compressed & 255)) - 1)
        if found:
            return ((word << 8) + found.bit_length() - 1) * tick_spacing, True
        return (word << 8) * tick_spacing, False
    compressed += 1
    word = compressed >> 8
    found = bitmap.get(word, 0) >> (compressed & 255)
    if found:
        return (compressed + (found & -found).bit_length() - 1) * tick_spacing, True
    return ((word << 8) + 255) * tick_spacing, False


def max_liquidity_per_tick(tick_spacing: int) -> int:
    """v3's tickSpacingToMaxLiquidityPerTick: uint128's range shared over the usable ticks."""
    return MAX_UINT128 // (2 * (MAX_TICK // tick_spacing) + 1)


def check_ticks(lower: int, upper: int, tick_spacing: int = 1) -> None:
    """Raise MathError unless lower < upper, both in range and multiples of the spacing."""
    if not MIN_TICK <= lower < upper <= MAX_TICK:
        raise MathError(f"range {lower}..{upper} is empty or out of bounds")
    if lower % tick_spacing or upper % tick_spacing:
        raise MathError(f"ticks must be multiples of {tick_spacing}")
