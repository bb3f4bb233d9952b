"""What an analyst is told: phrase keys with their slots, and the figures that these mean.

Contract: `draw_statements` gives the text of every figure as somebody would write it, some left
out or out of date; `figures_of` reads these texts into `analysis.Figures`, so that a figure is what
is written and nothing else.  Phrases: templates/{split}/analyst_figures.json.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from random import Random
from typing import Any

from denizen.protocols.position import impermanent_loss_v2
from denizen.tasks.analysis import Figure, Figures
from denizen.tasks.phrasing import plain, say_money, shorten, significant
from denizen.tasks.quantities import parse_quantity

Statements = dict[str, dict[str, str]]
# The figures that may be told with their age.
DATED = ("fee_apr", "supply_apr", "utilisation", "tvl", "holders")
# Never left out: not required, so leaving them out would change nothing.
_KEPT = ("own_share", "planned_share", "in_range", "out_of_range")
# A phrase's slot {x} is the field of its own name, unless told here.
_FIELDS = {
    "supply_apr": {"x": "fee_apr"},
    "planned_share": {"x": "own_share"},
    "incentives": {"x": "incentive_apr", "days": "incentive_days"},
    "incentives_open": {"x": "incentive_apr"},
}


def draw_statements(rng: Random, kind: str, trouble: float, gaps: float) -> Statements:
    """Phrase keys with their slots; a figure is troubled, not stated or stale by these odds."""
    said = _all(rng, kind, trouble)
    kept: Statements = {}
    for key, slots in said.items():
        if key not in _KEPT and rng.random() < gaps:
            if key != "incentives" or rng.random() < 0.5:
                continue
            key = "incentives_open"
        stale = rng.random() < gaps
        if key in DATED and (stale or rng.random() < 0.12):
            slots["age"] = f"{rng.choice((8, 9, 12, 20, 45) if stale else (2, 3, 5, 7))} days"
        kept[key] = slots
    return kept


def _all(rng: Random, kind: str, trouble: float) -> Statements:
    """Every statement of a kind of question, before any is dropped."""

    def percent(sound: tuple[int, int], troubled: tuple[int, int]) -> dict[str, str]:
        low, high = troubled if rng.random() < trouble else sound
        return {"x": f"{plain(Decimal(rng.randint(low * 10, high * 10)) / 10)}%"}

    def days(sound: tuple[int, int], troubled: tuple[int, int]) -> str:
        return _period(rng, rng.randint(*(troubled if rng.random() < trouble else sound)))

    pool, held = kind.startswith("pool"), kind.endswith("position")
    deep = (4e4, 9e5) if rng.random() < trouble else (1.2e6, 4e8)
    said: Statements = {"tvl": {"x": say_money(rng, significant(rng, *deep, 2))}}
    if pool:
        said["fee_apr"] = percent((7, 45), (1, 5))
        said["impermanent_loss"] = _loss(rng, rng.random() < trouble)
    else:
        said["supply_apr"] = percent((6, 22), (1, 5))
        said["utilisation"] = percent((35, 89), (90, 99))
    if rng.random() < 0.3:
        said["no_incentives"] = {}
    else:
        said["incentives"] = {**percent((1, 6), (15, 90)), "days": days((15, 360), (2, 13))}
    if rng.random() < trouble / 2:
        said["unaudited"] = {}
    else:
        said["audit_age"] = {"x": days((20, 360), (400, 1100))}
    said["venue_age"] = {"x": days((31, 900), (2, 29))}
    said["holders"] = percent((8, 49), (51, 93))
    if held or rng.random() < 0.5:
        said["own_share" if held else "planned_share"] = percent((1, 9), (11, 40))
    if pool and held:
        said["out_of_range" if rng.random() < trouble else "in_range"] = {}
    return said


def _loss(rng: Random, troubled: bool) -> dict[str, str]:
    """The impermanent loss of a price move, full range, with the move."""
    spans = ((15, 45), (210, 450)) if troubled else ((60, 92), (110, 180))
    ratio = Decimal(rng.randint(*rng.choice(spans))) / 100
    loss = shorten(-impermanent_loss_v2(ratio) * 100, 2)
    return {"x": f"{plain(loss)}%", "move": f"{(ratio - 1) * 100:+.0f}%"}


def _period(rng: Random, days: int) -> str:
    """Days as somebody would say them: 42 as "6 weeks", 400 as "13 months"."""
    if days >= 60 and rng.random() < 0.6:
        return f"{days // 30} months"
    return f"{days // 7} weeks" if days > 7 and days % 7 == 0 else f"{days} days"


def figures_of(said: Mapping[str, Mapping[str, str]], kind: str) -> Figures:
    """The figures that statements of a kind of question mean."""
    values: dict[str, Any] = {"unaudited": "unaudited" in said}
    for key, slots in said.items():
        age = parse_quantity(slots["age"]).value if "age" in slots else Decimal(0)
        for slot, field in _FIELDS.get(key, {"x": key}).items():
            if slot in slots:
                values[field] = Figure(parse_quantity(slots[slot]).value, age)
    if "no_incentives" in said:
        values["incentive_apr"] = Figure(Decimal(0))
    if "in_range" in said or "out_of_range" in said:
        values["in_range"] = "in_range" in said
    venue, _, stance = kind.partition("_")
    return Figures("pool" if venue == "pool" else "market", stance == "position", **values)
