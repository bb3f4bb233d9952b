"""Yield arithmetic: APR and APY, realised, blended and net rates, break-even, real yield.

Trap: an APR is taken for an APY, interest is compounded the wrong number of times, a rate of some
days is not brought to 365, and emissions are counted as yield.
"""

from __future__ import annotations

from random import Random

from denizen.tasks.families._edits import argument, distinct, exchanged, replace_argument, scaled
from denizen.tasks.families._make import Draw, answer, make_item
from denizen.tasks.phrasing import near, plain, say_money, say_percent, significant
from denizen.tasks.tools.yield_math import COMPOUNDING
from denizen.tasks.types import Family, Item, Split

NAME = "yield_math"
GOLD = {
    "apy": "apy_from_apr(apr={apr}; compounding={compounding})",
    "apr": "apr_from_apy(apy={apy}; compounding={compounding})",
    "realised": "realised_apr(start={start}; end={end}; period={period})",
    "blended": "blended_apr(lp={lp}; fees={fees}; rewards={rewards}; lent={lent}; rate={rate})",
    "net": "net_apr(gross={gross}; il={il}; cost={cost}; capital={capital}; period={period})",
    "break_even": "break_even(cost={cost}; capital={capital}; apr={apr})",
    "real": "real_yield(revenue={revenue}; emissions={emissions}; capital={capital};"
    " period={period})",
    "required": "required_apr(il={il}; period={period})",
}
HARD = {"apy": 1, "apr": 1, "realised": 2, "blended": 3, "net": 3, "break_even": 1, "real": 2}
DAYS = (7, 10, 14, 21, 28, 30, 45, 60, 75, 90, 120, 180)


def generate(seed: int, split: Split) -> Item:
    """Rates of 1% to 120%, money of $3k to $300M, periods of a week to half a year."""
    draw = Draw(NAME, seed, split, dict.fromkeys(GOLD, 1.0))
    slots = distinct(lambda: _slots(draw.kind, draw.rng))
    slots |= {"token": draw.pool.base, "pair": draw.pool.name}
    gold = GOLD[draw.kind].format(**slots)
    return make_item(draw, draw.ask(slots), gold, version="any", difficulty=HARD.get(draw.kind, 2))


def _slots(kind: str, rng: Random) -> dict[str, str]:
    days = rng.choice(DAYS)
    weeks = days % 7 == 0 and rng.random() < 0.4
    period = (f"{days // 7} week{'s' * (days > 7)}") if weeks else f"{days} days"
    if kind in ("apy", "apr"):
        often = rng.choice(tuple(COMPOUNDING)[1:])
        return {kind[:2] + ("r" if kind == "apy" else "y"): _rate(rng, 2, 90), "compounding": often}
    if kind == "realised":
        start = significant(rng, 1, 3, 6)
        low, high = (-0.2, -0.02) if rng.random() < 0.1 else (0.02, 0.4)
        end = near(rng, start, 1 + low * days / 365, 1 + high * days / 365, 7)
        return {"start": plain(start), "end": plain(end), "period": period}
    if kind == "blended":
        lp = significant(rng, 5e3, 2e6, 3)
        slots = {"fees": _rate(rng, 2, 40), "rewards": _rate(rng, 1, 30), "rate": _rate(rng, 1, 14)}
        lent = near(rng, lp, 0.15, 3, 3)
        return slots | {"lp": say_money(rng, lp), "lent": say_money(rng, lent)}
    if kind == "required":
        return {"il": _loss(rng, days / 8), "period": period}
    if kind == "real":
        capital = significant(rng, 8e5, 3e8, 3)
        slots = {"capital": say_money(rng, capital), "period": period}
        part = capital * days / 365
        slots["revenue"] = say_money(rng, near(rng, part, 0.005, 0.22, 3))
        return slots | {"emissions": say_money(rng, near(rng, part, 0.02, 0.5, 3))}
    capital = significant(rng, 3e3, 6e5, 3)
    least, most = (0.0006, 0.02) if kind == "break_even" else (0.0003, 0.0006 + days / 20_000)
    cost = near(rng, capital, least, most, 3)
    slots = {"capital": say_money(rng, capital), "cost": say_money(rng, cost)}
    if kind == "break_even":
        return slots | {"apr": _rate(rng, 3, 60)}
    return slots | {"gross": _rate(rng, 8, 120), "il": _loss(rng, days / 20), "period": period}


def _rate(rng: Random, low: float, high: float) -> str:
    rate = significant(rng, low, high, rng.choice((2, 3, 3)))
    return say_percent(rng, rate) if rate < 10 else f"{plain(rate)}%"


def _loss(rng: Random, high: float) -> str:
    sign = "-" if rng.random() < 0.25 else ""
    return f"{sign}{plain(significant(rng, 0.2, high + 0.4, 3))}%"


def near_misses(item: Item) -> tuple[str, ...]:
    """The other direction, another compounding or period, emissions for revenue, 1% off."""
    gold = item.gold
    if item.kind in ("apy", "apr"):
        other = "monthly" if argument(gold, "compounding") != "monthly" else "daily"
        turned = gold.replace("apy_from_apr(apr", "apr_from_apy(apy", 1)
        if item.kind == "apr":
            turned = gold.replace("apr_from_apy(apy", "apy_from_apr(apr", 1)
        rate = {"apy": "apr", "apr": "apy"}[item.kind]
        return tuple(
            map(answer, (turned, replace_argument(gold, "compounding", other), scaled(gold, rate)))
        )
    misses = {
        "realised": lambda: [exchanged(gold, "start", "end")],
        "blended": lambda: [exchanged(gold, "lp", "lent"), scaled(gold, "rate")],
        "net": lambda: [exchanged(gold, "gross", "il"), scaled(gold, "cost", "2")],
        "break_even": lambda: [scaled(gold, "cost"), exchanged(gold, "cost", "capital")],
        "real": lambda: [exchanged(gold, "revenue", "emissions"), scaled(gold, "capital")],
        "required": lambda: [scaled(gold, "il")],
    }[item.kind]()
    if "period=" in gold:
        misses.append(replace_argument(gold, "period", "365 days"))
    return tuple(map(answer, misses))


FAMILY = Family(
    NAME,
    "yields: APR and APY, realised, blended, net and real rates",
    tuple(GOLD),
    generate,
    near_misses,
    tools=(
        "apy_from_apr", "apr_from_apy", "realised_apr", "blended_apr", "net_apr", "break_even",
        "real_yield", "required_apr",
    ),
    levels=(1, 2, 3),
)  # fmt: skip
