"""Distinct figures for a question, and edits of its gold call: the usual wrong answers.

Contract: no two quantities of a question are equal, so that swapping two of them is wrong.  An
edited argument keeps its unit and so stays a call that can be evaluated; whether that is wrong is
for the verifier to say.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal

from denizen.tasks.calculator import parse_call
from denizen.tasks.phrasing import plain
from denizen.tasks.quantities import parse_quantity

_FIGURE = frozenset("-$0123456789")


def distinct(draw: Callable[[], dict[str, str]]) -> dict[str, str]:
    """Slots drawn until no two of their quantities are equal; slots of words may be."""
    while True:
        slots = draw()
        found = [parse_quantity(text) for text in slots.values() if text[:1] in _FIGURE]
        if len({(q.value, q.unit.replace("USD", "")) for q in found}) == len(found):
            return slots


def replace_argument(call: str, name: str, value: str) -> str:
    """`call` with one argument replaced."""
    return re.sub(rf"(?<=[(; ]){name}=[^;)]*", lambda _: f"{name}={value}", call, count=1)


def argument(call: str, name: str) -> str:
    """An argument as written."""
    return dict(parse_call(call).arguments)[name]


def scaled(call: str, name: str, factor: str = "1.01") -> str:
    """`call` with a quantity multiplied, its unit kept."""
    quantity = parse_quantity(argument(call, name))
    value = quantity.value * Decimal(factor)
    if quantity.unit == "%":
        text = f"{plain(value * 100)}%"
    elif quantity.unit == "x":
        text = f"{plain(value)}x"
    elif quantity.unit in ("", "USD"):
        text = plain(value)
    else:
        text = f"{plain(value)} {quantity.unit}" + (f" per {quantity.per}" if quantity.per else "")
    return replace_argument(call, name, text)


def scaled_each(call: str, name: str, factors: tuple[str, ...]) -> list[str]:
    """`call` with a quantity multiplied by each factor."""
    return [scaled(call, name, factor) for factor in factors]


def exchanged(call: str, one: str, other: str) -> str:
    """`call` with the values of two arguments swapped."""
    a, b = argument(call, one), argument(call, other)
    return replace_argument(replace_argument(call, one, b), other, a)
