"""Leverage on a lending market: a loop's yield and limit, the fall that liquidates, unwinding.

Trap: the LTV is taken for the liquidation threshold (questions often give both), and the cost of
what is borrowed is forgotten or charged on the whole position.
"""

from __future__ import annotations

from decimal import Decimal
from random import Random

from denizen.tasks.families._edits import distinct, exchanged, replace_argument, scaled
from denizen.tasks.families._make import Draw, answer, make_item
from denizen.tasks.phrasing import near, plain, say_money, say_percent, shorten, significant
from denizen.tasks.types import Family, Item, Split

NAME = "leverage_loop"
GOLD = {
    "rounds": "loop_rounds(supply={supply}; borrow={borrow}; ltv={ltv}; rounds={rounds})",
    "leverage": "loop_leverage(supply={supply}; borrow={borrow}; leverage={leverage})",
    "limit": "max_leverage(ltv={ltv})",
    "drop": "loan_drop(collateral={collateral}; debt={debt}; threshold={threshold})",
    "loop_drop": "loop_drop(leverage={leverage}; threshold={threshold})",
    "unwind_health": "unwind_health(collateral={collateral}; debt={debt}; threshold={threshold};"
    " health={health}; cost={cost})",
    "unwind_leverage": "unwind_leverage(collateral={collateral}; debt={debt}; leverage={leverage};"
    " cost={cost})",
}
HARD = {"limit": 1, "leverage": 1, "drop": 2, "loop_drop": 2}
# The kinds in which a threshold beside the LTV names a market that keeps the two apart.
AAVE = ("limit", "drop", "loop_drop", "unwind_health")


def generate(seed: int, split: Split) -> Item:
    """LTVs of 60% to 93%, thresholds 1 to 5 points above, rates of 1.5% to 9%."""
    draw = Draw(NAME, seed, split, dict.fromkeys(GOLD, 1.0))
    slots = distinct(lambda: _slots(draw.kind, draw.rng))
    slots |= {"asset": draw.pool.base, "loan": draw.pool.quote}
    gold = GOLD[draw.kind].format(**slots)
    version = "aave v3" if draw.kind in AAVE else "any"
    hard = HARD.get(draw.kind, 3)
    return make_item(draw, draw.ask(slots), gold, version=version, difficulty=hard)


def _slots(kind: str, rng: Random) -> dict[str, str]:
    ltv = Decimal(rng.randrange(120, 187)) / 2
    threshold = ltv + Decimal(rng.choice(("1", "1.5", "2", "2.5", "3", "4", "5")))
    slots = {"ltv": f"{plain(ltv)}%", "threshold": f"{plain(threshold)}%"}
    if kind in ("rounds", "leverage"):
        slots["supply"] = say_percent(rng, significant(rng, 2.2, 9, 3))
        slots["borrow"] = say_percent(rng, significant(rng, 1.5, 8, rng.choice((2, 3))))
        if kind == "rounds":
            return slots | {"rounds": str(rng.randrange(2, 13))}
        return slots | {"leverage": f"{plain(Decimal(rng.randrange(15, 90)) / 10)}x"}
    if kind in ("limit", "loop_drop"):
        limit = 1 / (1 - ltv / 100) - 1
        return slots | {"leverage": _times(1 + limit * Decimal(rng.randrange(25, 90)) / 100)}
    collateral = significant(rng, 1e4, 5e6, 3)
    slots["collateral"] = say_money(rng, collateral)
    slots["cost"] = say_percent(rng, Decimal(rng.randrange(1, 21)) / 20)
    if kind == "unwind_leverage":
        part = Decimal(rng.randrange(50, 86)) / 100
        slots["debt"] = say_money(rng, near(rng, collateral * part, 0.99, 1.01, 3))
        excess = part / (1 - part) * Decimal(rng.randrange(30, 80)) / 100
        return slots | {"leverage": _times(1 + excess)}
    share = (1.05, 1.4) if kind == "unwind_health" else (1.04, 2.6)
    debt = near(rng, collateral * threshold / 100, 1 / share[1], 1 / share[0], 3)
    return slots | {
        "debt": say_money(rng, debt),
        "health": plain(Decimal(rng.randrange(30, 61)) / 20),
    }


def _times(leverage: Decimal) -> str:
    return f"{plain(shorten(leverage, 3 if leverage >= 10 else 2))}x"


def near_misses(item: Item) -> tuple[str, ...]:
    """Supply and borrow swapped, a round more, the LTV's figure for the threshold, 1% off."""
    gold = item.gold
    misses = {
        "rounds": lambda: [exchanged(gold, "supply", "borrow"), exchanged(gold, "borrow", "ltv")],
        "leverage": lambda: [exchanged(gold, "supply", "borrow"), scaled(gold, "leverage", "2")],
        "limit": lambda: [scaled(gold, "ltv"), gold.replace("max_leverage", "loop_drop")],
        "drop": lambda: [exchanged(gold, "collateral", "debt"), scaled(gold, "threshold", "0.97")],
        "loop_drop": lambda: [scaled(gold, "threshold", "0.97"), scaled(gold, "leverage")],
        "unwind_health": lambda: [scaled(gold, "threshold", "0.97"), scaled(gold, "health")],
        "unwind_leverage": lambda: [scaled(gold, "leverage"), replace_argument(gold, "cost", "0%")],
    }[item.kind]()
    return tuple(map(answer, misses))


FAMILY = Family(
    NAME,
    "leverage loops: net yield, limit, fall to liquidation, unwinding",
    tuple(GOLD),
    generate,
    near_misses,
    tools=(
        "loop_rounds", "loop_leverage", "max_leverage", "loan_drop", "loop_drop", "unwind_health",
        "unwind_leverage",
    ),
    levels=(1, 2, 3),
    versions=("any", "aave v3"),
)  # fmt: skip
