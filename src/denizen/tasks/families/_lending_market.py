"""The market lending questions are set in: a split's assets with prices, loans on them, factors.

Assets are the bases of the split's pools, so no two splits share one; prices are in the split's
dollar coins, a pool quoted in ether being converted.  Figures have at most three significant
digits where they can, as people write them.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import cache
from typing import NamedTuple

from denizen.tasks.families._make import Draw
from denizen.tasks.phrasing import (
    POOLS,
    Pool,
    cap_decimals,
    near,
    plain,
    say_amount,
    say_number,
    say_price,
    shorten,
    significant,
)
from denizen.tasks.quantities import find_spans, parse_quantity
from denizen.tasks.reading import DOLLAR_COINS
from denizen.tasks.types import Item, Split

ETHER = ("WETH", "ETH")
_ETHER_PRICE = Decimal(2900)
# Correlated assets of an efficiency mode: collateral, debt, price of one in the other.
CORRELATED: dict[Split, tuple[Pool, ...]] = {
    "train": (
        Pool("stETH", "WETH", Decimal("0.986")),
        Pool("cbBTC", "WBTC", Decimal("0.984")),
        Pool("LBTC", "WBTC", Decimal("0.979")),
    ),
    "dev": (Pool("rETH", "WETH", Decimal("1.13")),),
    "holdout": (Pool("wstETH", "ETH", Decimal("1.22")),),
}
_POINTS = "65 68 70 72 72.5 73 74 75 76 77 77.5 78 78.5 79 80 80.5 81 82 82.5 83 84"
THRESHOLDS = tuple(map(Decimal, _POINTS.split()))


class Leg(NamedTuple):
    """An asset of an account: amount and price, and both as written."""

    token: str
    amount: Decimal
    price: Decimal
    said: str
    told: str

    @property
    def worth(self) -> Decimal:
        """In the token its price is quoted in."""
        return self.amount * self.price


@cache
def coins(split: Split) -> tuple[str, ...]:
    """The dollar coins of a split."""
    return tuple(dict.fromkeys(p.quote for p in POOLS[split] if p.quote in DOLLAR_COINS))


@cache
def assets(split: Split) -> tuple[Pool, ...]:
    """The assets of a split with their dollar prices, each once."""
    found = {p.base: p for p in POOLS[split]}
    ether = next((found[t].price for t in ETHER if t in found), _ETHER_PRICE)
    return tuple(
        p if p.quote in DOLLAR_COINS else Pool(p.base, coins(split)[0], shorten(p.price * ether, 3))
        for p in found.values()
    )


def leg(draw: Draw, asset: Pool, quote: str, low: float, high: float) -> Leg:
    """`low` to `high` of the quote in an asset, at 0.7 to 1.35 times its typical price."""
    price = near(draw.rng, asset.price, 0.7, 1.35, draw.rng.choice((2, 3, 3)))
    return leg_at(draw, Pool(asset.base, quote, price), low, high)


def leg_at(draw: Draw, pair: Pool, low: float, high: float) -> Leg:
    """`low` to `high` of a pair's quote in its base, at the pair's own price."""
    rng, token = draw.rng, pair.base
    worth = significant(rng, low, high, 3)
    amount = cap_decimals(shorten(worth / pair.price, rng.choice((2, 2, 3))), token)
    return Leg(
        token, amount, pair.price, say_amount(rng, amount, token), say_price(rng, pair.price, pair)
    )


def legs(draw: Draw, quote: str, count: int) -> list[Leg]:
    """Several collaterals of different assets, each worth clearly less than the one before."""
    high, made = draw.rng.uniform(6e4, 9e5), []
    for asset in draw.rng.sample(assets(draw.split), count):
        made.append(leg(draw, asset, quote, high * 0.8, high))
        high *= draw.rng.uniform(0.3, 0.8)
    draw.rng.shuffle(made)
    return made


def debt_of(
    draw: Draw, limit: Decimal, low: float, high: float, token: str, *, digits: int = 3
) -> Decimal:
    """A debt of `low` to `high` times a limit; three digits move it by 0.5% at most."""
    return cap_decimals(near(draw.rng, limit, low, high, digits), token)


def say_dollars(draw: Draw, value: Decimal, *, scale: bool = True) -> str:
    """A dollar figure with its sign."""
    return f"${say_number(draw.rng, value, scale=scale)}"


def say_points(value: Decimal) -> str:
    """A percentage given in points."""
    return f"{plain(value)}%"


def below(draw: Draw, points: Decimal) -> Decimal:
    """An LTV or borrow factor some points below a threshold."""
    return points - draw.rng.choice(
        (Decimal("2.5"), Decimal(3), Decimal(4), Decimal(5), Decimal(8))
    )


def other_percents(item: Item, used: Sequence[str]) -> list[str]:
    """Percentages of the question that a call does not use: the traps laid in it."""
    spans = [s for s in find_spans(item.prompt) if "percent" in parse_quantity(s).kinds]
    return [span for span in spans if span not in used]
