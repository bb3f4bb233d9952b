"""Rules of ERC-20, 721, 1155, 2612, 3643, 4337 and 4626: level, compliance, and who states them.

Trap: the same matter is a SHOULD in one standard and a MUST in another, or is not asked for at all
(zero-address transfers in ERC-20); departing from a SHOULD is no violation.
"""

from __future__ import annotations

from functools import cache

from denizen.protocols.erc_rules import KEYS, NOT_REQUIRED, RULES, STANDARDS, Rule, stating
from denizen.tasks.families._edits import replace_argument
from denizen.tasks.families._make import Draw, answer, make_item
from denizen.tasks.phrasing import templates
from denizen.tasks.types import Family, Item, Split

NAME = "erc_rules"
KINDS = {"level": 0.5, "comply": 0.3, "which": 0.2}
# How a rule's subject is worded stands in a file of its own, by rule and split.
CLAUSES = "erc_clauses"
_HARD = {"which": 1, "level": 2, "comply": 3}
_DONE = {
    "yes": ("is the case", "happens", "is what our code does"),
    "no": ("is not the case", "does not happen", "is not what our code does"),
}
_UNIQUE = tuple(key for key in KEYS if len(stating(key)) == 1)


@cache
def _near(standard: str, key: str) -> tuple[Rule, ...]:
    """The rule in other standards, then this standard's rules on the same function."""
    same = [r for r in RULES if r.key == key and r.standard != standard]
    own = next(r for r in RULES if (r.standard, r.key) == (standard, key))
    mine = [r for r in RULES if r.standard == standard and r.key != key]
    mine.sort(key=lambda r: (r.subject != own.subject, r.section != own.section))
    return (*same, *mine[:2])


def generate(seed: int, split: Split) -> Item:
    """A rule of a standard, worded anew in each split."""
    draw = Draw(NAME, seed, split, KINDS)
    rng = draw.rng
    found = rng.choice(RULES)
    while draw.kind == "which" and (found.key not in _UNIQUE or found.level == NOT_REQUIRED):
        found = rng.choice(RULES)
    done = rng.choice(tuple(_DONE))
    number = found.standard.partition("-")[2]
    slots = {
        "standard": rng.choice((found.standard, f"ERC{number}", f"EIP-{number}")),
        "rule": rng.choice(templates(split, CLAUSES)[found.key].rows),
        "done": rng.choice(_DONE[done]),
    }
    gold = {
        "level": f"erc_rule(standard={found.standard}; rule={found.key})",
        "comply": f"erc_check(standard={found.standard}; rule={found.key}; done={done})",
        "which": f"erc_standard(rule={found.key})",
    }[draw.kind]
    return make_item(
        draw,
        draw.ask(slots),
        gold,
        version=found.standard.lower(),
        difficulty=_HARD[draw.kind],
        pool="",
    )


def near_misses(item: Item) -> tuple[str, ...]:
    """The same rule in another standard, a neighbouring rule, the opposite of what is done."""
    call = item.gold
    key = call.partition("rule=")[2].partition(";")[0].rstrip(")")
    misses = []
    for other in _near(item.version.upper(), key):
        miss = replace_argument(call, "rule", other.key)
        if "standard=" in call:
            miss = replace_argument(miss, "standard", other.standard)
        misses.append(miss)
    if item.kind == "comply":
        flipped = "no" if "done=yes" in call else "yes"
        misses.append(replace_argument(call, "done", flipped))
    return tuple(answer(miss) for miss in misses if miss != call)


FAMILY = Family(
    NAME,
    "what ERC standards demand, and whether a contract complies",
    tuple(KINDS),
    generate,
    near_misses,
    tools=("erc_rule", "erc_check", "erc_standard"),
    levels=(1, 2, 3),
    versions=tuple(standard.lower() for standard in STANDARDS),
)
