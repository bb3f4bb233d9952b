"""Aave's fixed point: wad (1e18), ray (1e27), basis points, and its two interest formulas.

Products and quotients round half up and revert past 256 bits, as WadRayMath and PercentageMath of
Aave v3 do; interest factors are rays and round down term by term.  Rates are rays a year.
Source: Aave v3 technical paper; certified against @aave/core-v3 1.19.3 by evm/certify/aave_v3.
"""

from __future__ import annotations

from .fixed_point import MAX_UINT128, MAX_UINT256, MathError

WAD = 10**18
RAY = 10**27
WAD_RAY_RATIO = 10**9
PERCENTAGE_FACTOR = 10**4
SECONDS_PER_YEAR = 365 * 86_400


def wad_mul(a: int, b: int) -> int:
    """a x b / 1e18, half up."""
    return _half_up(a * b, WAD)


def wad_div(a: int, b: int) -> int:
    """a x 1e18 / b, half up."""
    return _half_up(a * WAD, b)


def ray_mul(a: int, b: int) -> int:
    """a x b / 1e27, half up."""
    return _half_up(a * b, RAY)


def ray_div(a: int, b: int) -> int:
    """a x 1e27 / b, half up."""
    return _half_up(a * RAY, b)


def ray_to_wad(a: int) -> int:
    """A ray as a wad, half up."""
    return _half_up(a, WAD_RAY_RATIO)


def wad_to_ray(a: int) -> int:
    """A wad as a ray, exactly."""
    return to_uint256(a * WAD_RAY_RATIO)


def percent_mul(value: int, percentage: int) -> int:
    """value x basis points / 10,000, half up."""
    return _half_up(value * percentage, PERCENTAGE_FACTOR)


def percent_div(value: int, percentage: int) -> int:
    """value x 10,000 / basis points, half up."""
    return _half_up(value * PERCENTAGE_FACTOR, percentage)


def calculate_linear_interest(rate: int, elapsed: int) -> int:
    """1 + rate x elapsed / year in ray: how the liquidity index grows."""
    return RAY + rate * _forward(elapsed) // SECONDS_PER_YEAR


def calculate_compounded_interest(rate: int, elapsed: int) -> int:
    """(1 + rate per second)^elapsed in ray, by the binomial's first three powers of the rate."""
    if _forward(elapsed) == 0:
        return RAY
    less_two = elapsed - 2 if elapsed > 2 else 0
    square = ray_mul(rate, rate) // SECONDS_PER_YEAR**2
    cube = ray_mul(square, rate) // SECONDS_PER_YEAR
    pairs = elapsed * (elapsed - 1)
    second = pairs * square // 2
    third = pairs * less_two * cube // 6
    return RAY + rate * elapsed // SECONDS_PER_YEAR + second + third


def to_uint128(value: int) -> int:
    """`value` itself, which the contract keeps in 128 bits."""
    if not 0 <= value <= MAX_UINT128:
        raise MathError(f"{value} does not fit in 128 bits")
    return value


def to_uint256(value: int) -> int:
    """`value` itself; the contract's checked arithmetic reverts past 256 bits."""
    if value > MAX_UINT256:
        raise MathError("the product overflows 256 bits")
    return value


def _half_up(numerator: int, denominator: int) -> int:
    if denominator <= 0 or numerator < 0:
        raise MathError("amounts must not be negative, nor divisors zero")
    return to_uint256(numerator + denominator // 2) // denominator


def _forward(elapsed: int) -> int:
    if elapsed < 0:
        raise MathError(f"interest runs forward in time, not by {elapsed} seconds")
    return elapsed
