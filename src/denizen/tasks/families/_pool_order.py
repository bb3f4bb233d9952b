"""Which token is token0, which way round a price is wanted, and edits of integers and prices.

Shared by the families about ticks: token order is drawn, never assumed, since an inverse price is
their commonest mistake.
"""

from __future__ import annotations

from decimal import Decimal
from functools import cache

from denizen.tasks.calculator import parse_call
from denizen.tasks.families._edits import replace_argument
from denizen.tasks.families._make import Draw
from denizen.tasks.phrasing import POOLS, Pool, plain
from denizen.tasks.quantities import decimals_of, parse_quantity
from denizen.tasks.tools.ticks import DIRECT, INVERSE
from denizen.tasks.types import Split


@cache
def unequal_pools(split: Split) -> tuple[Pool, ...]:
    """Pools whose tokens differ in decimals: with equal ones forgetting them would not show."""
    return tuple(p for p in POOLS[split] if decimals_of(p.base) != decimals_of(p.quote))


def token_order(draw: Draw, pool: Pool) -> dict[str, str]:
    """Slots: token0 is either token of the pool, and a price is wanted either way round.

    `base` and `quote` are the tokens of the wanted price (quote per base)."""
    tokens = (pool.base, pool.quote) if draw.rng.random() < 0.5 else (pool.quote, pool.base)
    base, quote = tokens if draw.rng.random() < 0.6 else tokens[::-1]
    return {
        "token0": tokens[0],
        "token1": tokens[1],
        "decimals0": str(decimals_of(tokens[0])),
        "decimals1": str(decimals_of(tokens[1])),
        "base": base,
        "quote": quote,
        "quoted": DIRECT if base == tokens[0] else INVERSE,
    }


def turned(call: str) -> str:
    """The call with its price the other way round."""
    way, other = (DIRECT, INVERSE) if DIRECT in call else (INVERSE, DIRECT)
    return call.replace(way, other)


def swapped(call: str, one: str, two: str) -> str:
    """The call with two arguments exchanged."""
    values = dict(parse_call(call).arguments)
    return replace_argument(replace_argument(call, one, values[two]), two, values[one])


def moved(call: str, name: str, factor: str) -> str:
    """The call with a quantity multiplied, its unit kept; a whole number stays whole."""
    quantity = parse_quantity(dict(parse_call(call).arguments)[name])
    value = quantity.value * Decimal(factor)
    if not quantity.unit and quantity.value == int(quantity.value):
        value = Decimal(int(value))
    if quantity.unit == "%":
        return replace_argument(call, name, f"{plain(value * 100)}%")
    unit = f" {quantity.unit}" if quantity.unit else ""
    return replace_argument(
        call, name, plain(value) + unit + (f" per {quantity.per}" if quantity.per else "")
    )
