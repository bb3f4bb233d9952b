"""Wallet intents: gold agrees with the wording read back, risks are stated, and no answer is close."""

from __future__ import annotations

import json
import re
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest

from denizen.tasks import Item, parse_quantity
from denizen.tasks.families._wallet_schema import INTENTS, RISKS, SCHEMA, TOPICS
from denizen.tasks.families._wallet_words import NETWORK_NAMES, SLIPPAGES
from denizen.tasks.families.wallet_intent import FAMILY, KINDS, NOTES, ORDERS, SUPPORT, generate
from denizen.tasks.phrasing import templates
from denizen.tasks.structured import SchemaError

SPLITS = ("train", "dev")
SLOT = re.compile(r"{(\w+)}")
NETWORK = {name: network for network, names in NETWORK_NAMES.items() for name in names}

_ADDRESS, _NETWORK, _TOKEN = "0x[0-9a-f]{40}", "|".join(map(re.escape, NETWORK)), "[A-Za-z]+"
FORMS = {
    "recipient": _ADDRESS, "spender": _ADDRESS, "other_address": _ADDRESS, "network": _NETWORK,
    "to_network": _NETWORK, "asset": _TOKEN, "asset_out": _TOKEN,
}  # fmt: skip


def items(split: str, count: int = 400) -> list[Item]:
    return [generate(seed, split) for seed in range(count)]  # type: ignore[arg-type]


def slots_of(item: Item, split: str) -> dict[str, str]:
    """What the wording's slots hold in the prompt, read back without the generator."""
    row = templates(split, "wallet_intent")[item.kind].rows[int(item.template.rpartition("/")[2])]  # type: ignore[arg-type]
    pattern, seen = "", set()
    for number, part in enumerate(SLOT.split(row)):
        if number % 2 == 0:
            pattern += re.escape(part)
        elif part in seen:
            pattern += f"(?P={part})"
        else:
            seen.add(part)
            pattern += f"(?P<{part}>{FORMS.get(part, '.+?')})"
    notes = [note for rows in templates(split, NOTES).values() for note in rows.rows]  # type: ignore[arg-type]
    text = item.prompt
    for note in notes * 2:  # two notes at most, in any order
        text = text.removeprefix(note).removesuffix(note).strip()
    match = re.fullmatch(pattern + (r"\.?" if row[-1] not in ".?!" else ""), text)
    assert match, (row, text)
    return match.groupdict()


@pytest.mark.parametrize("split", SPLITS)
def test_gold_is_what_the_wording_says(split: str) -> None:
    for item in items(split):
        said, gold = slots_of(item, split), json.loads(item.gold)
        intent = ORDERS[item.kind][0] if item.kind in ORDERS else "support"
        assert gold["intent"] == intent
        assert gold["network"] == (NETWORK[said["network"]] if "network" in said else None)
        if intent == "support":
            filled = {key for key, value in gold.items() if value not in (None, [])}
            assert filled <= {"intent", "topic", "network", "needs_confirmation", "risk"}
            assert gold["topic"] == item.kind.replace("_", " ")
            continue
        assert gold["topic"] is None
        assert gold["recipient"] == said.get("recipient") and gold["spender"] == said.get("spender")
        assert gold["max_slippage"] == said.get("max_slippage")
        assert gold["amount"] == said.get("amount", said.get("bought"))
        to = said.get("to_network")
        assert gold["to_network"] == (NETWORK[to] if to else None)
        if "amount" in said:
            assert gold["asset"] == parse_quantity(said["amount"]).unit
        else:
            assert gold["asset"] == said.get("asset")
        bought = parse_quantity(said["bought"]).unit if "bought" in said else said.get("asset_out")
        assert gold["asset_out"] == bought and (bought is not None) == (intent == "swap")


@pytest.mark.parametrize("split", SPLITS)
def test_risks_are_exactly_those_stated(split: str) -> None:
    notes = templates(split, NOTES)  # type: ignore[arg-type]
    for item in items(split):
        gold = json.loads(item.gold)
        stated = {
            risk for risk, rows in notes.items() if any(note in item.prompt for note in rows.rows)
        }
        if item.kind == "approve_unlimited":
            stated.add("unlimited approval")
        if item.kind == "seed_phrase_request":
            stated.add("asks for seed phrase")
        limit = gold["max_slippage"]
        if limit and Decimal(limit.split("%")[0].split(" ")[0]) > (500 if "bps" in limit else 5):
            stated.add("high slippage")
        assert set(gold["risk"]) == stated
        assert "new address" not in stated or gold["recipient"] or gold["spender"]
        assert "whole balance" not in stated or gold["amount"]


def test_a_slippage_limit_of_five_percent_is_not_high() -> None:
    assert {"5%", "5.5%", "50 bps"} <= set(SLIPPAGES)
    by_limit: dict[str, set[bool]] = {}
    for item in items("train", 2500):
        gold = json.loads(item.gold)
        if gold["max_slippage"]:
            high = "high slippage" in gold["risk"]
            by_limit.setdefault(gold["max_slippage"], set()).add(high)
    assert by_limit["5%"] == by_limit["50 bps"] == {False}
    assert by_limit["5.5%"] == by_limit["30%"] == {True}


def test_everything_that_leaves_the_wallet_is_confirmed() -> None:
    seen = {}
    for item in items("train", 1500):
        gold = json.loads(item.gold)
        seen.setdefault(gold["intent"], set()).add(gold["needs_confirmation"])
    free = {"balance", "support", "claim"}
    assert seen == {intent: {"no" if intent in free else "yes"} for intent in INTENTS}
    for intent in free:
        assert intent in SCHEMA.doc


@pytest.mark.parametrize("split", SPLITS)
def test_every_near_miss_is_wrong_and_gold_is_right(split: str) -> None:
    for item in items(split, 200):
        gold = SCHEMA.parse(item.gold)
        assert SCHEMA.difference(gold, SCHEMA.parse(item.gold)) is None
        misses = FAMILY.near_misses(item)
        assert len(misses) >= 8
        for miss in misses:
            try:
                assert SCHEMA.difference(gold, SCHEMA.parse(miss)), miss
            except SchemaError:
                continue


def test_near_misses_take_the_errors_that_cost_money() -> None:
    item = next(i for i in items("train") if i.kind == "send" and json.loads(i.gold)["recipient"])
    gold = json.loads(item.gold)
    fields: Counter[str] = Counter()
    digits = []
    for miss in FAMILY.near_misses(item):
        if not miss.startswith("{"):
            continue
        got: dict[str, Any] = json.loads(miss)
        fields.update(k for k in gold if k in got and got[k] != gold[k])
        if got.get("recipient") and got["recipient"] != gold["recipient"]:
            digits.append(
                sum(a != b for a, b in zip(got["recipient"], gold["recipient"], strict=True))
            )
    assert {"intent", "amount", "recipient", "network", "needs_confirmation", "risk"} <= set(fields)
    assert 1 in digits


def test_the_same_action_in_other_spelling_is_right() -> None:
    item = next(i for i in items("train") if i.kind == "send" and json.loads(i.gold)["recipient"])
    gold = json.loads(item.gold)
    number, _, token = gold["amount"].rpartition(" ")
    same = gold | {
        "recipient": "0x" + gold["recipient"][2:].upper(),
        "amount": f"{parse_quantity(gold['amount']).value:f} {token}",
        "asset": token.lower(),
        "risk": list(reversed(gold["risk"])),
    }
    assert (
        number
        and SCHEMA.difference(SCHEMA.parse(item.gold), SCHEMA.parse(json.dumps(same))) is None
    )


def test_kinds_cover_intents_topics_and_risks() -> None:
    assert {ORDERS[k][0] for k in ORDERS} | {"support"} == set(INTENTS)
    assert set(SUPPORT.values()) == set(TOPICS) and set(KINDS) == set(ORDERS) | set(SUPPORT)
    seen = Counter(risk for item in items("train", 1500) for risk in json.loads(item.gold)["risk"])
    assert set(seen) == set(RISKS) and min(seen.values()) >= 15


NEEDED = {
    "send": {"amount"}, "swap": {"amount", "asset_out"}, "buy": {"bought", "asset"},
    "bridge": {"amount", "to_network"}, "approve": {"amount", "spender"},
    "approve_unlimited": {"asset", "spender"},
}  # fmt: skip
ALLOWED = {
    "send": {"recipient", "network", "more", "other_address"},
    "swap": {"network", "max_slippage", "more"},
    "buy": {"network", "max_slippage"},
    "bridge": {"network", "more", "asset"},
    "stake": {"amount", "asset", "network", "more"},
    "unstake": {"amount", "asset", "network", "more"},
    "approve": {"network", "more", "other_address"},
    "approve_unlimited": {"network", "other_address"},
    "revoke": {"asset", "spender", "network", "other_address"},
    "claim": {"amount", "asset", "network"},
    "balance": {"asset", "network"},
}


@pytest.mark.parametrize("split", SPLITS)
def test_wordings_have_the_slots_of_their_kind(split: str) -> None:
    rows_by_kind = templates(split, "wallet_intent")  # type: ignore[arg-type]
    assert set(rows_by_kind) == set(KINDS)
    for kind, rows in rows_by_kind.items():
        for row in rows.rows:
            found = SLOT.findall(row)
            assert set(found) <= NEEDED.get(kind, set()) | ALLOWED.get(
                kind,
                {
                    "amount",
                    "asset",
                    "asset_out",
                    "network",
                    "recipient",
                    "spender",
                    "other_address",
                },
            ), (kind, row)
            required = NEEDED.get(kind, set())
            if kind == "bridge" and "{asset}" in row:
                required = required - {"amount"}
            assert required <= set(found), (kind, row)
            if kind in ("stake", "unstake", "claim"):
                assert {"amount", "asset"} & set(found), row
            if kind == "revoke":
                assert {"spender", "asset"} & set(found), row
            once = set(found) - {"network"} | required
            assert all(found.count(slot) == 1 for slot in once), row


def test_splits_share_no_wording() -> None:
    for name in ("wallet_intent", NOTES):
        train, dev = (
            {row.lower() for rows in templates(split, name).values() for row in rows.rows}
            for split in ("train", "dev")
        )
        assert len(train) >= 20 and not train & dev
