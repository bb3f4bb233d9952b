"""Balancer's 18-decimal fixed point: mul and div by direction, and powers with a margin.

A figure is an unsigned integer of 256 bits that stands for itself / 1e18.  `pow_down` never
exceeds the true power and `pow_up` never falls short of it: the raw power is widened by
1e-14 of itself and one unit.  ln and exp halve their argument by tabled powers of e and end
in a short series, every division truncated, so results are the contracts' bit for bit.
Source: Balancer v2's LogExpMath (MIT) as published, and balancer-maths (MIT).
"""

from __future__ import annotations

from .fixed_point import MAX_UINT256, MathError

ONE = 10**18
MAX_POW_RELATIVE_ERROR = 10_000
MAX_NATURAL_EXPONENT = 130 * ONE
MIN_NATURAL_EXPONENT = -41 * ONE
_ONE_20 = 10**20
_ONE_36 = 10**36
_MAX_EXPONENT = (1 << 254) // _ONE_20
# (x, e^x): the first two with e^x in whole units, which leaves it room within 256 bits ...
_HUGE_POWERS = (
    (128 * ONE, 38877084059945950922200000000000000000000000000000000000),
    (64 * ONE, 6235149080811616882910000000),
)
# ... and the rest with 20 decimals on both sides.  exp needs only the first eight.
_POWERS = (
    (32 * _ONE_20, 7896296018268069516100000000000000),
    (16 * _ONE_20, 888611052050787263676000000),
    (8 * _ONE_20, 298095798704172827474000),
    (4 * _ONE_20, 5459815003314423907810),
    (2 * _ONE_20, 738905609893065022723),
    (_ONE_20, 271828182845904523536),
    (_ONE_20 // 2, 164872127070012814685),
    (_ONE_20 // 4, 128402541668774148407),
    (_ONE_20 // 8, 113314845306682631683),
    (_ONE_20 // 16, 106449445891785942956),
)


def mul_down(a: int, b: int) -> int:
    """floor(a x b)."""
    return _word(a * b) // ONE


def mul_up(a: int, b: int) -> int:
    """ceil(a x b)."""
    return -(-_word(a * b) // ONE)


def div_down(a: int, b: int) -> int:
    """floor(a / b); MathError if b is zero."""
    return _word(a * ONE) // _divisor(b)


def div_up(a: int, b: int) -> int:
    """ceil(a / b); MathError if b is zero."""
    return -(-_word(a * ONE) // _divisor(b))


def complement(x: int) -> int:
    """1 - x, or 0 past 1."""
    return max(ONE - x, 0)


def pow_down(base: int, exponent: int) -> int:
    """A lower bound of base^exponent, zero at worst; exact for the exponents 1, 2 and 4."""
    if exponent == ONE:
        return base
    if exponent == 2 * ONE:
        return mul_down(base, base)
    if exponent == 4 * ONE:
        square = mul_down(base, base)
        return mul_down(square, square)
    raw = pow_raw(base, exponent)
    return max(raw - _pow_error(raw), 0)


def pow_up(base: int, exponent: int) -> int:
    """An upper bound of base^exponent; exact (rounded up) for the exponents 1, 2 and 4."""
    if exponent == ONE:
        return base
    if exponent == 2 * ONE:
        return mul_up(base, base)
    if exponent == 4 * ONE:
        square = mul_up(base, base)
        return mul_up(square, square)
    raw = pow_raw(base, exponent)
    return raw + _pow_error(raw)


def pow_raw(base: int, exponent: int) -> int:
    """base^exponent as exp(exponent x ln base), without the margin; 0^0 is 1."""
    if exponent == 0:
        return ONE
    if base == 0:
        return 0
    if not 0 < base < 1 << 255:
        raise MathError(f"the base {base} is negative or past 255 bits")
    if not 0 < exponent < _MAX_EXPONENT:
        raise MathError(f"the exponent {exponent} is negative or too large")
    if ONE * 9 // 10 < base < ONE * 11 // 10:
        # Near 1 a logarithm of 18 decimals would be mostly rounding: 36 are kept.
        sign, log = _ln_near_one(base)
        product = log // ONE * exponent + log % ONE * exponent // ONE
    else:
        sign, log = _ln(base)
        product = log * exponent
    return exp(sign * (product // ONE))


def exp(x: int) -> int:
    """e^x for -41 <= x <= 130, truncated; a negative x through the reciprocal."""
    if not MIN_NATURAL_EXPONENT <= x <= MAX_NATURAL_EXPONENT:
        raise MathError(f"the natural exponent {x} is outside -41 to 130")
    if x < 0:
        return ONE * ONE // exp(-x)
    huge = 1
    for argument, power in _HUGE_POWERS:
        if x >= argument:
            x, huge = x - argument, power
            break
    x *= 100
    product = _ONE_20
    for argument, power in _POWERS[:8]:
        if x >= argument:
            x -= argument
            product = product * power // _ONE_20
    term = total = _ONE_20
    for k in range(1, 13):
        term = term * x // _ONE_20 // k
        total += term
    return product * total // _ONE_20 * huge // 100


def _ln(x: int) -> tuple[int, int]:
    """(sign, |ln x|) with 18 decimals, truncated."""
    if x < ONE:
        return -1, _ln(ONE * ONE // x)[1]
    total = 0
    for argument, power in _HUGE_POWERS:
        if x >= power * ONE:
            x //= power
            total += argument * 100
    x *= 100
    for argument, power in _POWERS:
        if x >= power:
            x = x * _ONE_20 // power
            total += argument
    # ln x = 2 artanh((x - 1) / (x + 1)), as a series to the 11th power.
    return 1, (total + _twice_artanh(x - _ONE_20, x + _ONE_20, _ONE_20, 11)) // 100


def _ln_near_one(x: int) -> tuple[int, int]:
    """(sign, |ln x|) with 36 decimals for 0.9 < x < 1.1, truncated."""
    distance = x * ONE - _ONE_36
    magnitude = _twice_artanh(abs(distance), x * ONE + _ONE_36, _ONE_36, 15)
    return (1 if distance >= 0 else -1), magnitude


def _twice_artanh(numerator: int, denominator: int, one: int, last: int) -> int:
    z = numerator * one // denominator
    square = z * z // one
    power = total = z
    for k in range(3, last + 1, 2):
        power = power * square // one
        total += power // k
    return 2 * total


def _pow_error(raw: int) -> int:
    return mul_up(raw, MAX_POW_RELATIVE_ERROR) + 1


def _word(value: int) -> int:
    if not 0 <= value <= MAX_UINT256:
        raise MathError("a fixed-point product is negative or overflows 256 bits")
    return value


def _divisor(value: int) -> int:
    if value <= 0:
        raise MathError("a fixed-point division by zero or by a negative figure")
    return value
