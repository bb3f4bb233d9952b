"""Protocol mechanics by version: fees, ticks, tokens, oracles, flash loans, hooks, ...

Trap: the same question has another answer one version away, and that answer scores zero.
"""

from __future__ import annotations

from decimal import Decimal

from denizen.tasks.families._make import Draw, answer, make_item
from denizen.tasks.phrasing import say_percent, say_version
from denizen.tasks.tools.facts import TOPICS, VERSIONS
from denizen.tasks.types import Family, Item, Split

NAME = "mechanics"
KINDS = (*TOPICS, "tick_spacing")


def generate(seed: int, split: Split) -> Item:
    """Topics in turn, versions at random (tick spacing: v3 and v4 only)."""
    draw = Draw(NAME, seed, split, dict.fromkeys(KINDS, 1.0))
    rng = draw.rng
    slots: dict[str, str] = {}
    if draw.kind == "tick_spacing":
        version = rng.choice(("v3", "v3", "v4"))
        slots["fee"] = say_percent(
            rng, rng.choice((Decimal("0.01"), Decimal("0.05"), Decimal("0.3"), Decimal("1")))
        )
        gold = f"spacing(version={version}; fee={slots['fee']})"
    else:
        version = rng.choice(VERSIONS)
        gold = f"fact(version={version}; topic={draw.kind})"
    slots["version"] = say_version(rng, version)
    prompt = draw.ask(slots)
    hard = 2 if draw.kind == "tick_spacing" else 1
    return make_item(draw, prompt, gold, version=version, difficulty=hard, pool="")


def near_misses(item: Item) -> tuple[str, ...]:
    """The same topic of the other versions, and another topic of this one."""
    misses = [item.gold.replace(item.version, v, 1) for v in VERSIONS if v != item.version]
    if item.kind == "tick_spacing":
        misses = [f"fact(version={item.version}; topic=swap_fee)", *misses]
    else:
        other = TOPICS[(TOPICS.index(item.kind) + 1) % len(TOPICS)]
        misses.append(f"fact(version={item.version}; topic={other})")
    return tuple(answer(miss) for miss in misses)


FAMILY = Family(
    NAME,
    "mechanics of Uniswap v2, v3 and v4",
    KINDS,
    generate,
    near_misses,
    tools=("fact", "spacing"),
    levels=(1, 2),
    versions=VERSIONS,
)
