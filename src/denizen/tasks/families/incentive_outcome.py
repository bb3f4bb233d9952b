"""What an incentive programme ends in: the TVL farmers settle at, what stays, what that cost.

Trap: the baseline was there before and is not retained, mercenary capital leaves with the rewards,
and arbitrage of a v2 pair stops at the fee and not at the outside price.
"""

from __future__ import annotations

from decimal import Decimal
from random import Random

from denizen.tasks.families._edits import argument, distinct, exchanged, replace_argument, scaled
from denizen.tasks.families._make import Draw, answer, make_item
from denizen.tasks.phrasing import (
    Pool,
    cap_decimals,
    near,
    say_amount,
    say_money,
    say_percent,
    say_price,
    significant,
)
from denizen.tasks.types import Family, Item, Split

NAME = "incentive_outcome"
GOLD = {
    "equilibrium": "farm_tvl(rewards={rewards}; per={per}; outside={outside})",
    "retained": "retained_tvl(tvl={tvl}; mercenary={mercenary}; baseline={baseline})",
    "cost": "retention_cost(budget={budget}; tvl={tvl}; mercenary={mercenary};"
    " baseline={baseline})",
    "arbitrage": "v2_arbitrage(a={a}; b={b}; price={price})",
}
HARD = {"equilibrium": 1, "retained": 2, "cost": 3, "arbitrage": 3}
REWARDS = {"day": (5e2, 2e5), "month": (2e4, 4e6), "year": (3e5, 5e7)}


def generate(seed: int, split: Split) -> Item:
    """Programmes of $300k to $50M a year, TVL of $5M to $400M, pairs 1.2% to 12% off the market."""
    draw = Draw(NAME, seed, split, dict.fromkeys(GOLD, 1.0))
    slots = {"pair": draw.pool.name, "base": draw.pool.base, "quote": draw.pool.quote}
    arbitrage = draw.kind == "arbitrage"
    slots |= distinct(lambda: _pair(draw.rng, draw.pool) if arbitrage else _slots(draw.rng))
    gold = GOLD[draw.kind].format(**slots)
    version = "v2" if arbitrage else "any"
    return make_item(draw, draw.ask(slots), gold, version=version, difficulty=HARD[draw.kind])


def _slots(rng: Random) -> dict[str, str]:
    per = rng.choice(tuple(REWARDS))
    tvl = significant(rng, 5e6, 4e8, 3)
    leaving = Decimal(rng.randrange(30, 86))
    staying = tvl * (100 - leaving) / 100
    return {
        "per": per,
        "rewards": say_money(rng, significant(rng, *REWARDS[per], 3)),
        "outside": say_percent(rng, significant(rng, 3, 25, rng.choice((2, 3)))),
        "tvl": say_money(rng, tvl),
        "mercenary": f"{leaving}%",
        "baseline": say_money(rng, near(rng, staying, 0.2, 0.85, 3)),
        "budget": say_money(rng, near(rng, tvl, 0.01, 0.1, 3)),
    }


def _pair(rng: Random, pool: Pool) -> dict[str, str]:
    base = significant(rng, 2e4, 4e6) / pool.price
    base = cap_decimals(near(rng, base, 1, 1.0001), pool.base)
    quote = cap_decimals(near(rng, base * pool.price, 0.97, 1.03), pool.quote)
    low, high = rng.choice(((0.88, 0.988), (1.012, 1.12)))
    sides = [say_amount(rng, base, pool.base), say_amount(rng, quote, pool.quote)]
    rng.shuffle(sides)
    price = near(rng, quote / base, low, high, 4)
    return {"a": sides[0], "b": sides[1], "price": say_price(rng, price, pool)}


def near_misses(item: Item) -> tuple[str, ...]:
    """Another epoch, staying for leaving, no baseline, the market at another price, 1% off."""
    gold = item.gold
    if item.kind == "equilibrium":
        other = "year" if argument(gold, "per") != "year" else "month"
        misses = [replace_argument(gold, "per", other), scaled(gold, "outside")]
    elif item.kind == "arbitrage":
        misses = [scaled(gold, "price"), scaled(gold, "a")]
    else:
        stays = 100 - int(argument(gold, "mercenary").removesuffix("%"))
        misses = [replace_argument(gold, "baseline", "0"), exchanged(gold, "tvl", "baseline")]
        if stays != 50:
            misses.append(replace_argument(gold, "mercenary", f"{stays}%"))
    return tuple(map(answer, misses))


FAMILY = Family(
    NAME,
    "incentive programmes: equilibrium and retained TVL, cost of it, arbitrage",
    tuple(GOLD),
    generate,
    near_misses,
    tools=("farm_tvl", "retained_tvl", "retention_cost", "v2_arbitrage"),
    levels=(1, 2, 3),
    versions=("any", "v2"),
)
