"""A proposal or standard, told in prose, becomes one object: who, what, when, which state.

Trap: other dates than the day of creation, proposals that are named and not required, a status
that the document has left behind, and helpers who are thanked and are no authors.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from random import Random

from denizen.tasks.documents import (
    ACTIONS,
    LAYOUTS,
    NAME,
    NETWORKS,
    SCHEMA,
    Record,
    document_item,
    listed,
    part,
    say_date,
    word_document,
)
from denizen.tasks.phrasing import rng_for
from denizen.tasks.types import Family, Item, Split

_FIRST, _LAST = date(2016, 2, 1), date(2026, 9, 30)
_EIPS: tuple[int, ...] = (
    *(20, 55, 137, 155, 165, 191, 223, 712, 721, 777, 1014, 1153, 1155, 1167, 1271, 1559, 1820),
    *(1967, 2098, 2200, 2309, 2535, 2612, 2771, 2930, 2981, 3009, 3156, 4337, 4626, 4844, 4907),
    *(5192, 5267, 5792, 6093, 6551, 6900, 7201, 7540, 7579, 7683, 7702),
)
_CHOICES = {
    "EIP": (("core", "networking", "interface", "meta", "informational"), (1200, 8300)),
    "ERC": (("ERC",), (1400, 8300)),
    "SIP": (("governance", "governance", "meta-governance"), (60, 420)),
    "SCCP": (("governance",), (90, 420)),
    "LIP": ((None,), (3, 40)),
    "AIP": ((None,), (20, 480)),
    "Uniswap": ((None,), (12, 98)),
    "ENS": ((None,), (8, 74)),
}
_STATUSES = {
    "standard": ("draft", "review", "last call", "final", "stagnant", "withdrawn", "living"),
    "sip": ("draft", "approved", "implemented", "rejected", "deprecated"),
    "lip": ("draft", "proposed", "approved", "implemented"),
    "vote": ("draft", "proposed", "approved", "implemented", "rejected"),
}
_KINDS = {"standard": 0.4, "sip": 0.2, "lip": 0.12, "vote": 0.28}


def _record(rng: Random, split: Split, layout: str) -> tuple[Record, str]:
    """A document of a layout, and its body."""
    kind = rng.choice(LAYOUTS[layout])
    categories, (low, high) = _CHOICES[kind]
    number = rng.randrange(low, high)
    action = rng.choice(ACTIONS) if layout == "vote" else None
    sort = f"vote {action}" if action else layout
    title, _, body = part(rng, split, f"text {sort}").partition(" :: ")
    asset = part(rng, split, "asset")
    pool = _EIPS if layout == "standard" else range(2, 400)
    few = rng.choice((0, 0, 1, 1, 2, 3)) if layout in ("standard", "sip") else 0
    many = rng.choice((1, 1, 2)) if layout in ("sip", "vote") else 0
    names: list[str] = []
    while len(names) < rng.choice((1, 2, 2, 3, 4)):
        name = f"{part(rng, split, 'first name')} {part(rng, split, 'last name')}"
        names += [name] if name not in names else []
    days = rng.randrange((_LAST - _FIRST).days)
    slug = "-".join(title.replace("{asset}", asset).lower().split()[:4])
    record = Record(
        kind,
        number,
        title.replace("{asset}", asset),
        tuple(names),
        rng.choice(_STATUSES[layout]),
        rng.choice(categories),
        _FIRST + timedelta(days),
        tuple(sorted(rng.sample([n for n in pool if n != number], few))),
        tuple(rng.sample(NETWORKS, many)),
        f"{part(rng, split, 'forum')}/t/{slug}" if rng.random() < 0.6 else "",
        action,
    )
    return record, body.replace("{asset}", asset)


def _noise(rng: Random, split: Split, record: Record, count: int) -> str:
    """Sentences that name another day, another proposal, an earlier status or a helper."""
    told = []
    taken = {record.number, *record.requires}
    for sort in rng.sample(("date", "number", "status", "helper"), count):
        sentence = part(rng, split, f"noise {sort}")
        later = record.created + timedelta(rng.randrange(9, 400))
        other = rng.choice([n for n in _EIPS if n not in taken])
        past = rng.choice([s for s in _STATUSES[record.layout] if s != record.status])
        helper = f"{part(rng, split, 'first name')} {part(rng, split, 'last name')}"
        told.append(
            sentence.replace("{date}", say_date(rng, later))
            .replace("{other}", f"EIP-{other}")
            .replace("{past}", past.title())
            .replace("{helper}", helper)
        )
    return " ".join(told)


def generate(seed: int, split: Split) -> Item:
    """Standards, Synthetix and Lido proposals, and votes of Aave, Uniswap and ENS."""
    rng = rng_for(NAME, seed, split)
    layout = rng.choices(tuple(_KINDS), tuple(_KINDS.values()))[0]
    record, body = _record(rng, split, layout)
    count = rng.choice((0, 1, 2))
    noise = _noise(rng, split, record, count)
    told = record
    if rng.random() < 0.3:
        handles = tuple(f"{name} (@{name.split()[0].lower()})" for name in record.names)
        told = replace(record, names=handles)
    template, prompt = word_document(rng, split, told, body, noise)
    return document_item(
        record,
        prompt,
        template=template,
        split=split,
        seed=seed,
        difficulty=count + 1,
        key=f"{seed:05d}",
    )


def near_misses(item: Item) -> tuple[str, ...]:
    """One field that is wrong, missing or too many, and a text that is no JSON."""
    gold = json.loads(item.gold)
    others = [s for s in _STATUSES[item.kind] if s != gold["status"]]
    wrong = {
        "number": gold["number"] + 1,
        "title": gold["title"].rpartition(" ")[0],
        "authors": gold["authors"] + 1,
        "status": others[item.seed % len(others)],
        "created": (date.fromisoformat(gold["created"]) + timedelta(30)).isoformat(),
        "requires": [*gold["requires"], gold["number"]],
        "discussion": "no" if gold["discussion"] == "yes" else "yes",
        "action": None if gold["action"] else ACTIONS[item.seed % len(ACTIONS)],
    }
    missing = {name: value for name, value in gold.items() if name != "author"}
    return (
        *(json.dumps({**gold, name: value}, ensure_ascii=False) for name, value in wrong.items()),
        json.dumps(missing),
        json.dumps({**gold, "summary": "a proposal"}),
        f"{gold['kind']} {gold['number']}, {listed([gold['title'], gold['status']])}",
    )


FAMILY = Family(
    NAME,
    "structure a governance proposal or protocol document",
    tuple(_KINDS),
    generate,
    near_misses,
    schema=SCHEMA,
    levels=(1, 2, 3),
    versions=tuple(kind.lower() for kinds in LAYOUTS.values() for kind in kinds),
)
