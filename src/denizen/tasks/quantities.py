"""Quantities as people write them: "4.5 WETH", "$21.7M", "0.05%", "7 days", "3,250 USDC per ETH".

`find_spans` lists every quantity of a text exactly as written, addresses, hex data and multiples
("3x") included; `parse_quantity` gives its exact Decimal value and unit.  The model copies spans
and never converts them: expanding "87k" is this module's work, a small model gets it wrong.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Context, Decimal
from functools import cached_property, lru_cache
from typing import Literal

Kind = Literal[
    "amount", "percent", "period", "price", "number", "integer", "multiple", "address", "hex"
]

# Two capitals make a token symbol, except in the jargon that follows figures.
_JARGON = r"(?!(?:LP\w*|APR|APY|IL|TVL|AMM|NFT|ROI|USD|MEV)\b)"
_TOKEN = rf"(?:{_JARGON}[A-Za-z]*[A-Z][A-Za-z0-9]*[A-Z][A-Za-z0-9]*)"
_NUMBER = r"[-\u2212]?\$?\d+(?:,\d{3})*(?:\.\d+)?"
_SCALE = r"(?:[ ]?(?:thousand|million|billion|trillion|bn|mm)\b|[kKmMbBT](?![A-Za-z0-9]))?"
_TAIL = (
    r"(?:[ ]?%|[ ]?(?:bps|bp)\b"
    r"|[ ]?(?:seconds?|secs?|minutes?|days?|hours?|hrs?|weeks?|months?|years?)\b"
    r"|[hdwx](?![A-Za-z0-9])"
    rf"|[ ]{_TOKEN}(?:(?:[ ]?/[ ]?|[ ]per[ ]){_TOKEN})?)?"
)
MAX_TEXT = 200
MAX_DIGITS = MAX_TEXT + 40
_SPAN = re.compile(
    r"(?<![A-Za-z0-9_])0x(?:[0-9a-fA-F]{2}){4,}(?![A-Za-z0-9_])"
    rf"|(?<![A-Za-z0-9_,$])(?<!\d\.){_NUMBER}{_SCALE}{_TAIL}(?![A-Za-z0-9_])"
)
# Wide enough for any text that is read: the default context would round at 28 digits.
_WIDE = Context(prec=MAX_DIGITS)
_HEX = re.compile(r"0x(?:[0-9a-fA-F]{2}){4,}")
# Longer data is refused: the largest honest transaction of a question is far shorter.
MAX_HEX = 8192
_PARTS = re.compile(
    r"^(?P<sign>[-\u2212]?)(?P<usd>\$?)(?P<digits>\d+(?:,\d{3})*(?:\.\d+)?)\s?"
    r"(?P<scale>thousand|million|billion|trillion|bn|mm|[kKmMbBT](?![A-Za-z0-9]))?\s?"
    r"(?:(?P<percent>%)|(?P<bps>bps?)|(?P<multiple>x(?![A-Za-z0-9]))"
    r"|(?P<period>seconds?|secs?|minutes?|days?|hours?|hrs?|weeks?|months?|years?|[hdw])"
    rf"|(?P<base>{_TOKEN})(?:\s?(?:/|per)\s?(?P<per>{_TOKEN}))?)?$"
)
_SCALES = {
    "k": 10**3, "thousand": 10**3, "m": 10**6, "mm": 10**6, "million": 10**6,
    "b": 10**9, "bn": 10**9, "billion": 10**9, "t": 10**12, "trillion": 10**12,
}  # fmt: skip
_HOURS = {"h": 1, "d": 24, "w": 24 * 7, "mo": 730, "y": 24 * 365}
_SECONDS = {"s": 1, "mi": 60}

_RAW = 1_000
_SIX = ("USDC", "USDT", "PYUSD", "EURC", "USDG", "XAUT")
_EIGHT = ("WBTC", "cbBTC", "LBTC")


class QuantityError(ValueError):
    """A text is not a quantity this module can read; the message says which."""


_OWN_KIND: dict[str, frozenset[Kind]] = {
    "%": frozenset({"percent"}),
    "days": frozenset({"period"}),
    "x": frozenset({"multiple"}),
    "address": frozenset({"address", "hex"}),
    "hex": frozenset({"hex"}),
}


@dataclass(frozen=True)
class Quantity:
    """An exact value with its unit: a token, "USD", "%", "days", "x", or "" for a bare number.

    For a price "3,250 USDC per ETH" the unit is "USDC" and `per` is "ETH".  Percent and basis
    points are held as fractions (0.05% is 0.0005); periods in days.  An address or hex data has
    the unit "address" or "hex" and its value as an integer.
    """

    text: str
    value: Decimal
    unit: str = ""
    per: str = ""

    @cached_property
    def kinds(self) -> frozenset[Kind]:
        """The parameter kinds this span can fill."""
        if self.unit in _OWN_KIND:
            return _OWN_KIND[self.unit]
        if self.per:
            return frozenset({"price"})
        whole = self.value == self.value.to_integral_value() and self.unit != "USD"
        if self.unit not in ("", "USD"):
            # "-1999025 USDC" in an event log is a raw integer that its token follows.
            raw = whole and abs(self.value) >= _RAW
            return frozenset({"amount", "integer"} if raw else {"amount"})
        return frozenset({"number", "integer"} if whole else {"number"})

    def raw(self) -> int:
        """The amount in the token's smallest unit (1.5 USDC is 1_500_000), rounded down."""
        return int(self.value.scaleb(decimals_of(self.unit), _WIDE))


def decimals_of(token: str) -> int:
    """ERC-20 decimals of a token symbol: 6 for the usual dollar coins, 8 for BTC, else 18."""
    return 6 if token in _SIX else 8 if token in _EIGHT else 18


def all_spans(text: str) -> list[str]:
    """Every quantity in `text` as written, in order, repeats included."""
    return [match.group(0) for match in _SPAN.finditer(text)]


def placed_spans(text: str) -> list[tuple[str, int, int]]:
    """Every quantity in `text` as written, with where it starts and ends."""
    return [(match.group(0), match.start(), match.end()) for match in _SPAN.finditer(text)]


def find_spans(text: str) -> list[str]:
    """Every quantity in `text` as written, in order of first appearance, without repeats."""
    return list(dict.fromkeys(all_spans(text)))


def spans_by_kind(text: str) -> dict[Kind, list[str]]:
    """Every quantity of `text` under each kind it can fill, in order, repeats included."""
    spans: dict[Kind, list[str]] = {}
    for span in all_spans(text):
        for kind in parse_quantity(span).kinds:
            spans.setdefault(kind, []).append(span)
    return spans


def parse_quantity(text: str) -> Quantity:
    """Read one quantity; raises QuantityError if the whole text is not one."""
    text = text.strip()
    if _HEX.fullmatch(text):
        if len(text) > MAX_HEX:
            raise QuantityError(f"hex data of {len(text)} characters is longer than {MAX_HEX}")
        return Quantity(text, Decimal(int(text, 16)), "address" if len(text) == 42 else "hex")
    found = _figure(text) if len(text) <= MAX_TEXT else None
    if found is None:
        raise QuantityError(
            f"{text[:80]!r} is not a quantity such as '4.5 WETH', '$21.7M' or '0.05%'"
        )
    return found


@lru_cache(maxsize=8192)
def _figure(text: str) -> Quantity | None:
    """A figure with its unit; cached, since a question's spans are read again for every call."""
    match = _PARTS.match(text)
    if match is None:
        return None
    part = match.groupdict()
    value = Decimal(part["digits"].replace(",", ""))
    if part["scale"]:
        value = _WIDE.multiply(value, Decimal(_SCALES[part["scale"].lower()]))
    if part["sign"] and value:
        value = value.copy_negate()
    if part["percent"]:
        return Quantity(text, value.scaleb(-2, _WIDE), "%")
    if part["bps"]:
        return Quantity(text, value.scaleb(-4, _WIDE), "%")
    if part["period"]:
        return Quantity(text, value * _hours(part["period"]) / 24, "days")
    if part["multiple"]:
        return Quantity(text, value, "x")
    if part["base"]:
        return Quantity(text, value, part["base"], part["per"] or "")
    return Quantity(text, value, "USD" if part["usd"] else "")


def _hours(word: str) -> Decimal:
    for prefix, seconds in _SECONDS.items():
        if word.startswith(prefix):
            return Decimal(seconds) / 3600
    return Decimal(_HOURS["mo" if word.startswith("mo") else word[0]])
