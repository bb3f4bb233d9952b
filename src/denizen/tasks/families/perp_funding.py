"""Perpetuals and dated futures: funding, basis, cash and carry, liquidation of isolated margin.

Trap: at a positive rate longs pay shorts, a rate may be for 8 hours or for one, and liquidation
comes at the maintenance margin and not when the margin is gone.
"""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from random import Random

from denizen.tasks.families._edits import argument, distinct, exchanged, replace_argument, scaled
from denizen.tasks.families._make import Draw, answer, make_item
from denizen.tasks.phrasing import (
    POOLS,
    Pool,
    cap_decimals,
    near,
    plain,
    say_amount,
    say_money,
    say_number,
    say_percent,
    say_price,
    shorten,
    significant,
)
from denizen.tasks.reading import DOLLAR_COINS
from denizen.tasks.types import Family, Item, Split

NAME = "perp_funding"
GOLD = {
    "notional": "funding_notional(side={side}; notional={notional}; rate={rate};"
    " interval={interval}; held={held})",
    "size": "funding_size(side={side}; size={size}; mark={mark}; rate={rate};"
    " interval={interval}; held={held})",
    "annual": "funding_apr(rate={rate}; interval={interval})",
    "basis": "basis_apr(futures={futures}; spot={spot}; expiry={expiry})",
    "carry": "carry_apr(spot={spot}; futures={futures}; margin={margin}; fee={fee};"
    " expiry={expiry})",
    "liquidation": "perp_liquidation(side={side}; entry={entry}; leverage={leverage};"
    " maintenance={maintenance})",
    "margin": "perp_liquidation_margin(side={side}; size={size}; entry={entry}; margin={margin};"
    " maintenance={maintenance})",
}
HARD = {"annual": 1, "basis": 1, "carry": 3, "size": 3, "margin": 3}
# (hours, how they are said)
INTERVALS = ((8, "8h"), (8, "8 hours"), (8, "8 hours"), (4, "4h"), (1, "1h"), (1, "1 hour"))
HELD = ("24h", "2 days", "3 days", "5 days", "7 days", "10 days", "2 weeks", "30 days")
EXPIRY = (
    (14, "14 days"), (23, "23 days"), (28, "4 weeks"), (47, "47 days"), (60, "60 days"),
    (84, "12 weeks"), (87, "87 days"), (112, "112 days"), (175, "175 days"),
)  # fmt: skip
MAINTENANCE = ("0.4", "0.5", "0.65", "1", "1.25", "2", "2.5")


@cache
def _pools(split: Split) -> tuple[Pool, ...]:
    return tuple(pool for pool in POOLS[split] if pool.quote in DOLLAR_COINS)


def generate(seed: int, split: Split) -> Item:
    """Positions of $3k to $3M, rates of 0.001% to 0.09% in 8 hours, leverage of 2x to 25x."""
    draw = Draw(NAME, seed, split, dict.fromkeys(GOLD, 1.0))
    draw.pool = draw.rng.choice(_pools(split))
    slots = {"asset": draw.pool.base, "side": draw.rng.choice(("long", "short"))}
    slots |= distinct(lambda: _slots(draw.kind, draw.rng, draw.pool))
    gold = GOLD[draw.kind].format(**slots)
    return make_item(draw, draw.ask(slots), gold, version="any", difficulty=HARD.get(draw.kind, 2))


def _slots(kind: str, rng: Random, pool: Pool) -> dict[str, str]:
    price = near(rng, pool.price, 0.7, 1.4, 5)
    if kind in ("basis", "carry"):
        low, high = (-0.15, -0.02) if kind == "basis" and rng.random() < 0.2 else (0.03, 0.3)
        days, expiry = rng.choice(EXPIRY)
        future = near(rng, price, 1 + low * days / 365, 1 + high * days / 365, 5)
        slots = {"spot": _dollars(rng, price), "futures": _dollars(rng, future), "expiry": expiry}
        slots["margin"] = f"{plain(Decimal(rng.randrange(10, 101)) / 2)}%"
        return slots | {"fee": say_percent(rng, Decimal(rng.randrange(2, 11)) / 100)}
    value = significant(rng, 3e3, 3e6, 3)
    size = shorten(value / price, rng.choice((2, 3)))
    slots = {"size": say_amount(rng, cap_decimals(size, pool.base), pool.base)}
    if kind in ("liquidation", "margin"):
        slots |= {
            "entry": say_price(rng, price, pool),
            "maintenance": f"{rng.choice(MAINTENANCE)}%",
        }
        leverage = Decimal(rng.randrange(4, 51)) / 2
        margin = plain(shorten(size * price / leverage, 3))
        return slots | {
            "leverage": f"{plain(leverage)}x",
            "margin": "$" + say_number(rng, Decimal(margin)) if kind == "margin" else "",
        }
    hours, interval = rng.choice(INTERVALS)
    rate = shorten(significant(rng, 0.004, 0.09, 3) * hours / 8, rng.choice((2, 3)))
    sign = "-" if rng.random() < 0.35 else ""
    slots |= {"mark": say_price(rng, price, pool), "notional": say_money(rng, value)}
    return slots | {"rate": f"{sign}{plain(rate)}%", "interval": interval, "held": rng.choice(HELD)}


def _dollars(rng: Random, price: Decimal) -> str:
    return ("$" if rng.random() < 0.8 else "") + say_number(rng, price, scale=False)


def near_misses(item: Item) -> tuple[str, ...]:
    """The other side, another interval, spot and future swapped, no maintenance margin, 1% off."""
    gold = item.gold
    misses = []
    if "side=" in gold:
        other = "short" if argument(gold, "side") == "long" else "long"
        misses.append(replace_argument(gold, "side", other))
    if "interval=" in gold:
        wrong = "1h" if "8" in argument(gold, "interval") else "8h"
        misses += [replace_argument(gold, "interval", wrong), scaled(gold, "rate")]
    if "spot=" in gold:
        misses += [exchanged(gold, "spot", "futures"), replace_argument(gold, "expiry", "365 days")]
    if "entry=" in gold:
        misses += [replace_argument(gold, "maintenance", "0%"), scaled(gold, "entry")]
    return tuple(map(answer, misses))


FAMILY = Family(
    NAME,
    "perpetuals: funding, basis, cash and carry, liquidation price",
    tuple(GOLD),
    generate,
    near_misses,
    tools=(
        "funding_notional", "funding_size", "funding_apr", "basis_apr", "carry_apr",
        "perp_liquidation", "perp_liquidation_margin",
    ),
    levels=(1, 2, 3),
)  # fmt: skip
