"""Ticks and square-root prices: sqrtPriceX96 = sqrt(1.0001^tick) x 2^96, bit for bit.

Source: Uniswap v4-core TickMath (MIT).  Prices are raw token1 per raw token0; the helpers at the
end take human prices and the two tokens' decimals.
"""

from __future__ import annotations

from bisect import bisect_right
from decimal import ROUND_FLOOR, Context, Decimal
from functools import cache, lru_cache
from math import isqrt

from .fixed_point import MAX_UINT256, MathError

MIN_TICK = -887272
MAX_TICK = 887272
MIN_SQRT_PRICE = 4295128739
MAX_SQRT_PRICE = 1461446703485210103287273052203988822378723970342

# sqrt(1.0001)^-(2^i) as Q128, i = 0..19 (a test recomputes them at 80 digits).
_RATIOS = (
    0xFFFCB933BD6FAD37AA2D162D1A594001,
    0xFFF97272373D413259A46990580E213A,
    0xFFF2E50F5F656932EF12357CF3C7FDCC,
    0xFFE5CACA7E10E4E61C3624EAA0941CD0,
    0xFFCB9843D60F6159C9DB58835C926644,
    0xFF973B41FA98C081472E6896DFB254C0,
    0xFF2EA16466C96A3843EC78B326B52861,
    0xFE5DEE046A99A2A811C461F1969C3053,
    0xFCBE86C7900A88AEDCFFC83B479AA3A4,
    0xF987A7253AC413176F2B074CF7815E54,
    0xF3392B0822B70005940C7A398E4B70F3,
    0xE7159475A2C29B7443B29C7FA6E889D9,
    0xD097F3BDFD2022B8845AD8F792AA5825,
    0xA9F746462D870FDF8A65DC1F90E061E5,
    0x70D869A156D2A1B890BB3DF62BAF32F7,
    0x31BE135F97D08FD981231505542FCFA6,
    0x9AA508B5B7A84E1C677DE54F3E99BC9,
    0x5D6AF8DEDB81196699C329225EE604,
    0x2216E584F5FA1EA926041BEDFE98,
    0x48A170391F7DC42444E8FA2,
)
_WIDE = Context(prec=90, rounding=ROUND_FLOOR)


@cache
def _low_ratios() -> tuple[int, ...]:
    """Products of the first eight ratios for every |tick| below 256: one look-up for eight steps.

    Later ratios cannot be joined so: each product is cut to 128 bits before the next.
    """
    found = [1 << 128]
    for magnitude in range(1, 256):
        top = magnitude.bit_length() - 1
        found.append(found[magnitude - (1 << top)] * _RATIOS[top] >> 128)
    return tuple(found)


@lru_cache(maxsize=1 << 16)
def sqrt_price_at_tick(tick: int) -> int:
    """getSqrtPriceAtTick: sqrtPriceX96 of a tick, rounded up as the contract does."""
    if not MIN_TICK <= tick <= MAX_TICK:
        raise MathError(f"tick {tick} is outside {MIN_TICK}..{MAX_TICK}")
    magnitude = abs(tick)
    ratio = _low_ratios()[magnitude & 255]
    high, bit = magnitude >> 8, 8
    while high:
        if high & 1:
            ratio = ratio * _RATIOS[bit] >> 128
        high >>= 1
        bit += 1
    if tick > 0:
        ratio = MAX_UINT256 // ratio
    return (ratio + 0xFFFFFFFF) >> 32


@cache
def _prices_of_every_256th_tick() -> tuple[int, ...]:
    return tuple(sqrt_price_at_tick.__wrapped__(t) for t in range(MIN_TICK, MAX_TICK + 1, 256))


@cache
def _prices_within_256_ticks() -> tuple[int, ...]:
    """sqrt(1.0001)^0..256 as Q96."""
    return tuple(sqrt_price_at_tick.__wrapped__(offset) for offset in range(257))


def tick_at_sqrt_price(sqrt_price: int) -> int:
    """getTickAtSqrtPrice: the greatest tick whose sqrtPriceX96 is at most `sqrt_price`."""
    if not MIN_SQRT_PRICE <= sqrt_price < MAX_SQRT_PRICE:
        raise MathError(f"sqrtPriceX96 {sqrt_price} is outside the allowed range")
    coarse = _prices_of_every_256th_tick()
    index = bisect_right(coarse, sqrt_price) - 1
    offset = bisect_right(_prices_within_256_ticks(), (sqrt_price << 96) // coarse[index]) - 1
    # The quotient of two rounded prices may be off by one tick: the exact prices decide.
    tick = MIN_TICK + 256 * index + offset
    if tick > MAX_TICK or sqrt_price_at_tick(tick) > sqrt_price:
        return tick - 1
    return tick + 1 if sqrt_price_at_tick(tick + 1) <= sqrt_price else tick


def sqrt_price_from_price(price: Decimal, decimals0: int, decimals1: int) -> int:
    """floor(sqrt(price) x 2^96) for a human price (token1 per token0)."""
    if price <= 0:
        raise MathError(f"a price must be positive, not {price}")
    numerator, denominator = price.as_integer_ratio()
    numerator *= 10**decimals1
    denominator *= 10**decimals0
    result = isqrt((numerator << 192) // denominator)
    if not MIN_SQRT_PRICE <= result < MAX_SQRT_PRICE:
        raise MathError(f"price {price} is outside what a pool can hold")
    return result


def price_from_sqrt_price(sqrt_price: int, decimals0: int, decimals1: int) -> Decimal:
    """Human price (token1 per token0) of a sqrtPriceX96, to 90 digits."""
    raw = _WIDE.divide(Decimal(sqrt_price * sqrt_price), Decimal(1 << 192))
    return raw.scaleb(decimals0 - decimals1, _WIDE)


def price_at_tick(tick: int, decimals0: int, decimals1: int) -> Decimal:
    """Human price of a tick: 1.0001^tick, adjusted for decimals."""
    return _WIDE.power(Decimal("1.0001"), tick).scaleb(decimals0 - decimals1, _WIDE)


def tick_at_price(price: Decimal, decimals0: int, decimals1: int) -> int:
    """The tick a pool shows at a human price."""
    return tick_at_sqrt_price(sqrt_price_from_price(price, decimals0, decimals1))
