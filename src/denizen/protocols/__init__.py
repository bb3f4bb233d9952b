"""Exact integer DeFi: Uniswap v2, v3 and v4.  Standard library only, no float, imports nothing.

Each module covers one idea and cites its specification; rounding is the contracts'.
"""

from . import (
    fixed_point,
    mechanics,
    position,
    sqrt_price_math,
    swap_math,
    tick_math,
    uniswap_v2,
    uniswap_v3,
    uniswap_v4,
    yields,
)
from .fixed_point import MathError
from .swap_sample import Swap, load_swaps

__all__ = [
    "MathError",
    "Swap",
    "fixed_point",
    "load_swaps",
    "mechanics",
    "position",
    "sqrt_price_math",
    "swap_math",
    "tick_math",
    "uniswap_v2",
    "uniswap_v3",
    "uniswap_v4",
    "yields",
]
