"""How a question is worded: templates by split, pools by split, and numbers as people write them.

Templates live in `templates/{split}/{family}.json`; the three splits were written independently
and share no sentence, and no pool occurs in two splits.  Every draw comes from one seeded
generator, so an item is a pure function of (family, seed, split).
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from denizen.tasks.quantities import decimals_of
from denizen.tasks.types import Split

_SLOT = re.compile(r"{(\w+)}")


@dataclass(frozen=True)
class Pool:
    """A pair of tokens with a typical price (quote per base)."""

    base: str
    quote: str
    price: Decimal

    @property
    def name(self) -> str:
        return f"{self.base}/{self.quote}"


def _pools(text: str) -> tuple[Pool, ...]:
    rows = (line.split() for line in text.strip().splitlines())
    return tuple(Pool(base, quote, Decimal(price)) for base, quote, price in rows)


POOLS: dict[Split, tuple[Pool, ...]] = {
    "train": _pools(
        """
        WBTC USDT 68200
        LINK USDT 12.7
        UNI USDT 7.85
        ARB USDT 0.742
        CRV USDT 0.472
        stETH USDT 2870
        GRT USDT 0.184
        LDO USDT 1.12
        COMP USDT 47.6
        SUSHI USDT 0.812
        XAUT USDT 4085
        cbBTC USDT 91400
        EURC USDT 1.16
        WETH USDT 2940
        LBTC USDT 92100
        """
    ),
    "dev": _pools(
        """
        SNX USDC 1.46
        rETH WETH 1.118
        ENS DAI 18.9
        YFI WETH 2.37
        MATIC USDC 0.531
        """
    ),
    "holdout": _pools(
        """
        ETH USDC 2690
        AAVE ETH 0.0874
        OP USDC 1.37
        MKR GHO 1540
        wstETH USDC 3310
        PENDLE ETH 0.00163
        tBTC USDC 84700
        GNO GHO 212
        """
    ),
}


def rng_for(family: str, seed: int, split: Split) -> random.Random:
    """The one generator of an item (stable across platforms and Python versions)."""
    digest = hashlib.sha256(f"{family}|{split}|{seed}".encode()).digest()
    return random.Random(int.from_bytes(digest[:8], "big"))


class Phrases(NamedTuple):
    """A kind's questions: whole ones first, then those combined from parts."""

    rows: tuple[str, ...]
    whole: int


@cache
def templates(split: Split, family: str) -> dict[str, Phrases]:
    """Templates of a family by kind.

    A kind is a list of questions, or parts to combine: every `context` sentence with every `ask`,
    in both orders, and the `whole` questions.
    """
    path = files("denizen.tasks") / "templates" / split / f"{family}.json"
    loaded = json.loads(path.read_text("utf-8"))
    return {kind: _expand(value) for kind, value in loaded.items()}


def _expand(value: list[str] | dict[str, list[str]]) -> Phrases:
    if isinstance(value, list):
        return Phrases(tuple(value), len(value))
    pairs = [(c, a) for c in value["context"] for a in value["ask"]]
    rows = [
        *value["whole"],
        *(f"{context} {ask}" for context, ask in pairs),
        *(f"{ask} {context}" for context, ask in pairs),
    ]
    return Phrases(tuple(rows), len(value["whole"]))


def pick_template(rng: random.Random, split: Split, family: str, kind: str) -> tuple[str, str]:
    """A template's (id, text); whole questions come more often than combined ones."""
    rows, whole = templates(split, family)[kind]
    index = rng.randrange(whole if rng.random() < 0.7 else len(rows))
    return f"{split}/{family}/{kind}/{index}", rows[index]


def fill(template: str, **slots: str) -> str:
    """Fill the slots; a template that wants a slot nobody gives raises KeyError."""
    return _SLOT.sub(lambda match: slots[match.group(1)], template)


def significant(rng: random.Random, low: float, high: float, digits: int = 4) -> Decimal:
    """A log-uniform Decimal with exactly `digits` significant digits, the last one not zero."""
    exponent = rng.uniform(_log10(low), _log10(high))
    scale = int(exponent // 1)
    mantissa = rng.randrange(10 ** (digits - 1), 10**digits)
    mantissa += 1 if mantissa % 10 == 0 else 0
    lead = 10 ** (exponent - scale)
    mantissa = max(mantissa % 10 ** (digits - 1), 1) + int(lead) * 10 ** (digits - 1)
    mantissa += 1 if mantissa % 10 == 0 else 0
    return Decimal(mantissa).scaleb(scale - digits + 1)


def _log10(value: float) -> float:
    from math import log10

    return log10(value)


def near(rng: random.Random, centre: Decimal, low: float, high: float, digits: int = 4) -> Decimal:
    """A Decimal of `digits` significant digits between centre x low and centre x high."""
    value = centre * Decimal(str(round(rng.uniform(low, high), 6)))
    return shorten(value, digits)


def shorten(value: Decimal, digits: int) -> Decimal:
    """`value` rounded to `digits` significant digits."""
    return value.quantize(Decimal(1).scaleb(value.adjusted() - digits + 1))


def plain(value: Decimal) -> str:
    """Digits without exponent or trailing zeros."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def say_number(rng: random.Random, value: Decimal, *, scale: bool = True) -> str:
    """A number as somebody would type it: 21700000 as "21.7M", "21,700,000" or "21.7 million"."""
    if scale and value >= 1_000_000 and rng.random() < 0.7:
        return plain(value / 1_000_000) + rng.choice(("M", "M", "m", " million"))
    if scale and value >= 10_000 and rng.random() < 0.45:
        return plain(value / 1_000) + rng.choice(("k", "k", "K"))
    if value >= 1_000 and rng.random() < 0.75:
        return f"{Decimal(plain(value)):,f}"
    return plain(value)


def say_money(rng: random.Random, value: Decimal) -> str:
    """A dollar figure, mostly with its sign."""
    return ("$" if rng.random() < 0.8 else "") + say_number(rng, value)


def say_amount(rng: random.Random, value: Decimal, token: str) -> str:
    """A token amount: "4.5 WETH"."""
    return f"{say_number(rng, value)} {token}"


def say_percent(rng: random.Random, value: Decimal) -> str:
    """A percentage given in points: 0.05 as "0.05%" or "5 bps"."""
    if value * 100 == (value * 100).to_integral_value() and rng.random() < 0.25:
        return f"{plain(value * 100)} bps"
    return f"{plain(value)}%"


def say_version(rng: random.Random, version: str) -> str:
    """ "Uniswap v3" or "v3"."""
    return rng.choice((f"Uniswap {version}", version, f"Uniswap {version.upper()}"))


def say_price(rng: random.Random, price: Decimal, pool: Pool) -> str:
    """ "3,250 USDC per ETH" or "3250 USDC/ETH"."""
    joint = rng.choice((" per ", " per ", "/"))
    return f"{say_number(rng, price, scale=False)} {pool.quote}{joint}{pool.base}"


def cap_decimals(value: Decimal, token: str) -> Decimal:
    """No finer than the token's smallest unit."""
    places = min(decimals_of(token), 8)
    return value if -int(value.as_tuple().exponent) <= places else round(value, places)
