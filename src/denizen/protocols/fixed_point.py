"""Unsigned 256-bit fixed-point arithmetic as the contracts do it: Q96, Q128, mulDiv.

Python integers are exact, so only the contracts' overflow checks and rounding remain.
Source: Uniswap v4-core FullMath, UnsafeMath and FixedPoint libraries (MIT).
"""

from __future__ import annotations

Q96 = 1 << 96
Q128 = 1 << 128
MAX_UINT128 = (1 << 128) - 1
MAX_UINT256 = (1 << 256) - 1


class MathError(ValueError):
    """A result the contract would revert on (overflow, division by zero, bad range)."""


def mul_div(a: int, b: int, denominator: int) -> int:
    """floor(a x b / denominator); reverts past 256 bits, as FullMath.mulDiv."""
    if denominator == 0:
        raise MathError("mulDiv by zero")
    result = a * b // denominator
    if result > MAX_UINT256:
        raise MathError("mulDiv overflows 256 bits")
    return result


def mul_div_rounding_up(a: int, b: int, denominator: int) -> int:
    """ceil(a x b / denominator), as FullMath.mulDivRoundingUp."""
    result = mul_div(a, b, denominator) + (a * b % denominator > 0)
    if result > MAX_UINT256:
        raise MathError("mulDivRoundingUp overflows 256 bits")
    return result


def div_rounding_up(a: int, b: int) -> int:
    """ceil(a / b)."""
    if b == 0:
        raise MathError("division by zero")
    return -(-a // b)
