"""A wallet user's message becomes one structured action that the wallet can show and ask about.

Trap: complaints quote amounts and addresses without ordering anything, an exact-output swap names
the bought amount, a second address or amount is not the one meant, and risks are said in passing.
"""

from __future__ import annotations

import json
from dataclasses import replace
from random import Random
from typing import Any

from denizen.tasks.families._make import Draw, make_item
from denizen.tasks.families._wallet_schema import (
    HIGH_SLIPPAGE,
    INTENTS,
    NETWORKS,
    RISKS,
    SCHEMA,
    TOPICS,
    UNCONFIRMED,
)
from denizen.tasks.families._wallet_words import address, draw_slots, order_of, risks_in_passing
from denizen.tasks.phrasing import fill, pick_template, templates
from denizen.tasks.quantities import parse_quantity
from denizen.tasks.types import Family, Item, Split

NAME = "wallet_intent"
# Sentences that state a risk in passing: templates/{split}/wallet_notes.json.
NOTES = "wallet_notes"
# The intent of each kind, and the notes that can go with it.
ORDERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "send": (
        "send",
        ("new address", "whole balance", "told by a stranger", "asks for seed phrase"),
    ),
    "swap": ("swap", ("whole balance", "asks for seed phrase")),
    "buy": ("swap", ("asks for seed phrase",)),
    "bridge": ("bridge", ("whole balance", "unverified contract", "told by a stranger")),
    "stake": ("stake", ("whole balance", "unverified contract", "told by a stranger")),
    "unstake": ("unstake", ("told by a stranger", "asks for seed phrase")),
    "approve": ("approve", ("new address", "unverified contract", "told by a stranger")),
    "approve_unlimited": ("approve", ("new address", "unverified contract", "told by a stranger")),
    "revoke": ("revoke", ("unverified contract",)),
    "claim": ("claim", ("unverified contract", "told by a stranger", "asks for seed phrase")),
    "balance": ("balance", ()),
}
_SAID = {"approve_unlimited": "unlimited approval", "seed_phrase_request": "asks for seed phrase"}
# Native ETH has no allowance.
ALLOWANCES = ("approve", "approve_unlimited", "revoke")
SUPPORT = {topic.replace(" ", "_"): topic for topic in TOPICS}
KINDS = dict.fromkeys(ORDERS, 1.0) | {"send": 1.6, "swap": 1.6} | dict.fromkeys(SUPPORT, 0.4)


def generate(seed: int, split: Split) -> Item:
    """Orders four times in five, complaints else; a risk said in passing in two orders of five."""
    draw = Draw(NAME, seed, split, KINDS)
    rng, kind = draw.rng, draw.kind
    draw.template, text = pick_template(rng, split, NAME, kind)
    slots, networks = draw_slots(rng, draw.pool, erc20=kind in ALLOWANCES)
    used = {name: value for name, value in slots.items() if f"{{{name}}}" in text}
    prompt = fill(text, **slots)
    intent, notes = ORDERS.get(kind, ("support", ()))
    values: dict[str, Any] = dict.fromkeys((f.name for f in SCHEMA.fields), None)
    values["intent"], values["topic"] = intent, SUPPORT.get(kind)
    values["needs_confirmation"] = "no" if intent in UNCONFIRMED else "yes"
    if "network" in used:
        values["network"] = networks[0]
    risks = {_SAID[kind]} if kind in _SAID else set()
    if intent != "support":
        values |= order_of(used, networks[1])
        if (limit := values["max_slippage"]) and parse_quantity(limit).value > HIGH_SLIPPAGE:
            risks.add("high slippage")
        for risk in risks_in_passing(rng, notes, used):
            note = rng.choice(templates(split, NOTES)[risk].rows)
            end = "" if prompt[-1] in ".?!" else "."
            prompt = f"{prompt}{end} {note}" if rng.random() < 0.75 else f"{note} {prompt}"
            risks.add(risk)
    values["risk"] = [risk for risk in RISKS if risk in risks]
    filled = sum(value not in (None, []) for value in values.values())
    item = make_item(
        draw,
        prompt,
        SCHEMA.dump(values),
        version="any",
        difficulty=1 if filled < 5 else 2 if filled < 7 else 3,
    )
    return replace(item, form="object")


def near_misses(item: Item) -> tuple[str, ...]:
    """One field off at a time; a field short, one too many, and an answer that is not JSON."""
    gold = json.loads(item.gold)
    edits: list[dict[str, Any]] = [
        {"intent": _next(INTENTS, gold["intent"])},
        {"needs_confirmation": "no" if gold["needs_confirmation"] == "yes" else "yes"},
        {"network": _next(NETWORKS, gold["network"]) if gold["network"] else "ethereum"},
        {"risk": gold["risk"][1:] if gold["risk"] else ["new address"]},
        {"recipient": address(Random(item.seed)), "spender": gold["recipient"]},
        {"memo": "thanks"},
    ]
    edits += [{name: None} for name in ("network", "amount", "topic", "to_network") if gold[name]]
    if gold["topic"]:
        edits += [{"topic": _next(tuple(TOPICS), gold["topic"])}, {"intent": "send", "topic": None}]
    if gold["amount"]:
        number = gold["amount"].rpartition(" ")[0]
        edits += [{"amount": f"{number} XYZ"}, {"amount": f"{number}9 {gold['asset'] or 'ETH'}"}]
    for name in ("recipient", "spender"):
        if old := gold[name]:
            edits.append({name: old[:21] + f"{int(old[21], 16) ^ 1:x}" + old[22:]})
    if gold["max_slippage"]:
        edits.append({"max_slippage": "7.77%"})
    short = {name: value for name, value in gold.items() if name != "risk"}
    return (*(json.dumps(gold | e) for e in edits), json.dumps(short), f"Done: {gold['intent']}.")


def _next(words: tuple[str, ...], word: str) -> str:
    return words[(words.index(word) + 1) % len(words)]


FAMILY = Family(
    NAME,
    "a wallet user's message as one structured action",
    tuple(KINDS),
    generate,
    near_misses,
    schema=SCHEMA,
    levels=(1, 2, 3),
)
