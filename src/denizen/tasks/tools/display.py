"""How exact results are said: token amounts, percentages and plain figures, rounded for people.

Rounding happens here and nowhere else; the canonical `values` of a Result stay exact.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal

from denizen.tasks.quantities import decimals_of

_SHOWN = Context(prec=60, rounding=ROUND_HALF_EVEN)


def figure(value: Decimal, digits: int = 6) -> str:
    """`value` with about `digits` significant digits, thousands separated, no exponent."""
    if value == 0:
        return "0"
    places = max(0, digits - 1 - value.adjusted())
    rounded = value.quantize(Decimal(1).scaleb(-min(places, 18)), context=_SHOWN)
    text = f"{rounded:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def token_amount(raw: int, token: str) -> str:
    """Raw units as a person says them: 13857123456 of USDC is "13,857.1 USDC"."""
    return f"{figure(Decimal(raw).scaleb(-decimals_of(token)), 8)} {token}"


def percent(fraction: Decimal, places: int = 2) -> str:
    """A fraction as a percentage: 0.00372 is "0.37%"."""
    rounded = (fraction * 100).quantize(Decimal(1).scaleb(-places), context=_SHOWN)
    return f"{rounded or abs(rounded):,f}%"


def canonical(value: Decimal) -> str:
    """A Decimal at 18 fixed places: equal inputs give equal strings, and zero has no sign."""
    rounded = value.quantize(Decimal(1).scaleb(-18), context=_SHOWN)
    return f"{rounded or abs(rounded):f}"
