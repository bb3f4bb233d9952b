"""Impermanent loss: full range (v2) against concentrated (v3/v4).

Trap: the same move costs a concentrated position far more; and entry and current price are not
interchangeable for a range.
"""

from __future__ import annotations

from denizen.tasks.families._edits import scaled
from denizen.tasks.families._make import Draw, answer, make_item
from denizen.tasks.phrasing import near, say_number, say_version
from denizen.tasks.types import Family, Item, Split

NAME = "impermanent_loss"


def generate(seed: int, split: Split) -> Item:
    """A move of -45% to +90%; ranges of 10% to 60% around the entry price."""
    draw = Draw(NAME, seed, split, {"full_range": 0.45, "range": 0.55})
    rng, pool = draw.rng, draw.pool
    entry = near(rng, pool.price, 0.7, 1.4, 4)
    now = near(rng, entry, *rng.choice(((0.55, 0.95), (1.05, 1.9))), 4)
    dollar = "$" if pool.price > 0.5 and rng.random() < 0.6 else ""
    lower, upper = near(rng, entry, 0.4, 0.9, 4), near(rng, entry, 1.1, 1.6, 4)
    version = rng.choice(("v3", "v4")) if draw.kind == "range" else "v2"
    slots = {
        key: dollar + say_number(rng, value, scale=False)
        for key, value in (("entry", entry), ("now", now), ("lower", lower), ("upper", upper))
    }
    slots |= {"pair": pool.name, "version": say_version(rng, version)}
    gold = f"entry={slots['entry']}; now={slots['now']}"
    if draw.kind == "range":
        gold = f"il_range({gold}; lower={slots['lower']}; upper={slots['upper']})"
    else:
        gold = f"il_full({gold})"
    hard = 3 if draw.kind == "range" else 1
    return make_item(draw, draw.ask(slots), gold, version=version, difficulty=hard)


def near_misses(item: Item) -> tuple[str, ...]:
    """A current price 1% off; for a range also the full-range formula."""
    misses = [answer(scaled(item.gold, "now", "1.01"))]
    if item.kind == "range":
        entry_now = item.gold.split("; lower=")[0].removeprefix("il_range(")
        misses.append(answer(f"il_full({entry_now})"))
    return tuple(misses)


FAMILY = Family(
    NAME,
    "impermanent loss of full-range and concentrated positions",
    ("full_range", "range"),
    generate,
    near_misses,
    tools=("il_full", "il_range"),
    levels=(1, 3),
    versions=("v2", "v3", "v4"),
)
