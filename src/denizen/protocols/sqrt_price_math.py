"""How amounts move the square-root price, and what amounts lie between two of them.

Source: Uniswap v4-core SqrtPriceMath (MIT).  Amounts paid in round up, amounts paid out round
down, always in the pool's favour.
"""

from __future__ import annotations

from .fixed_point import (
    MAX_UINT256,
    Q96,
    MathError,
    div_rounding_up,
    mul_div,
    mul_div_rounding_up,
)


def amount0_delta(sqrt_a: int, sqrt_b: int, liquidity: int, round_up: bool) -> int:
    """Token0 between two prices: L (sqrt b - sqrt a) / (sqrt a sqrt b)."""
    low, high = sorted((sqrt_a, sqrt_b))
    if low == 0:
        raise MathError("sqrtPriceX96 is zero")
    numerator = liquidity << 96
    if round_up:
        return div_rounding_up(mul_div_rounding_up(numerator, high - low, high), low)
    return mul_div(numerator, high - low, high) // low


def amount1_delta(sqrt_a: int, sqrt_b: int, liquidity: int, round_up: bool) -> int:
    """Token1 between two prices: L (sqrt b - sqrt a)."""
    difference = abs(sqrt_a - sqrt_b)
    return (mul_div_rounding_up if round_up else mul_div)(liquidity, difference, Q96)


def next_sqrt_price_from_input(sqrt_price: int, liquidity: int, amount: int, zero: bool) -> int:
    """Price after an exact input; `zero` is zeroForOne."""
    _check(sqrt_price, liquidity)
    if zero:
        return _from_amount0(sqrt_price, liquidity, amount, add=True)
    return sqrt_price + (amount << 96) // liquidity


def next_sqrt_price_from_output(sqrt_price: int, liquidity: int, amount: int, zero: bool) -> int:
    """Price after an exact output; raises MathError if the pool cannot pay it."""
    _check(sqrt_price, liquidity)
    if not zero:
        return _from_amount0(sqrt_price, liquidity, amount, add=False)
    quotient = div_rounding_up(amount << 96, liquidity)
    if sqrt_price <= quotient:
        raise MathError("the pool holds too little token1 for this output")
    return sqrt_price - quotient


def _from_amount0(sqrt_price: int, liquidity: int, amount: int, *, add: bool) -> int:
    if amount == 0:
        return sqrt_price
    numerator = liquidity << 96
    product = amount * sqrt_price
    if add:
        # The contract's exact path, and its less precise one where 256 bits would overflow.
        if product <= MAX_UINT256 and numerator + product <= MAX_UINT256:
            return mul_div_rounding_up(numerator, sqrt_price, numerator + product)
        return div_rounding_up(numerator, numerator // sqrt_price + amount)
    if product > MAX_UINT256 or numerator <= product:
        raise MathError("the pool holds too little token0 for this output")
    return mul_div_rounding_up(numerator, sqrt_price, numerator - product)


def _check(sqrt_price: int, liquidity: int) -> None:
    if sqrt_price <= 0 or liquidity <= 0:
        raise MathError("price and liquidity must be positive")
