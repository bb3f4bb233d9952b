"""Documents as objects: the wording states the record, and front matter becomes the truth."""

from __future__ import annotations

import json
import random
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from denizen.tasks.documents import (
    BODY,
    SCHEMA,
    STATUSES,
    Record,
    items_from_documents,
    listed,
    read_document,
    say_date,
    word_document,
)
from denizen.tasks.families import document_schema
from denizen.tasks.structured import SchemaError

# The corpora lie beside the checkout, where there are any.
DOCUMENTS = Path(__file__).parents[3] / "shared" / "data" / "docs"
ERC = """---
eip: 7999
title: Bounded 'Things'
description: not a field of ours
author: Ada Lovelace (@ada), Bo Chen <bo@example.org>, Carl d'Ort
discussions-to: https://forum.example.org/t/1
status: Last Call
last-call-deadline: 2025-06-01
type: Standards Track
category: ERC
created: 2025-03-04
requires: 20, 712
---

## Abstract

<!-- a hint for authors -->
Some text that mentions EIP-777.
"""
SIP = """---
sip: 61
network: Ethereum & Base
title: A change
status: Implemented
author: 'Kain (@kain), Noah (@noah)'
type: Meta-Governance
created: 2021-01-02
Requires: SIP-12
---
Body.
"""


def gold(record: Record) -> dict[str, Any]:
    return dict(json.loads(record.gold()))


def test_front_matter_of_an_erc() -> None:
    read = read_document(ERC)
    assert read is not None
    record, body = read
    assert gold(record) == {
        "kind": "ERC",
        "number": 7999,
        "title": "Bounded 'Things'",
        "author": "Ada Lovelace",
        "authors": 3,
        "status": "last call",
        "category": "ERC",
        "created": "2025-03-04",
        "requires": [20, 712],
        "networks": [],
        "discussion": "yes",
        "action": None,
    }
    assert body == "## Abstract\n\nSome text that mentions EIP-777."


def test_front_matter_of_a_sip() -> None:
    read = read_document(SIP)
    assert read is not None
    found = gold(read[0])
    assert (found["kind"], found["category"]) == ("SIP", "meta-governance")
    assert found["networks"] == ["ethereum", "base"] and found["requires"] == [12]
    assert found["authors"] == 2 and found["discussion"] == "no"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("status: Last Call", "status: Moved"),
        ("created: 2025-03-04\n", ""),
        ("created: 2025-03-04", "created: 2025-13-04"),
        ("author: Ada Lovelace (@ada), Bo Chen <bo@example.org>, Carl d'Ort", "author: "),
        ("requires: 20, 712", "requires: see the text"),
        ("category: ERC", "category: Poetry"),
        ("title: Bounded 'Things'", "title: >-"),
        ("---\neip", "eip"),
    ],
)
def test_documents_without_whole_truth_are_left_out(old: str, new: str) -> None:
    assert old in ERC
    assert read_document(ERC.replace(old, new)) is None


def test_the_wording_states_every_field() -> None:
    record = Record(
        *("SCCP", 231, "Raise It", ("Ada Lovelace", "Bo Chen"), "approved", "governance"),
        *(date(2024, 2, 29), (11, 12), ("base", "optimism"), "https://forum.example.org/t/2"),
    )
    for seed in range(60):
        for split in ("train", "dev"):
            rng = random.Random(seed)
            template, text = word_document(rng, split, record, "The body.", "A remark.")
            assert template.startswith(f"{split}/document_schema/sip/")
            stated = ("SCCP-231", "Raise It", "Ada Lovelace and Bo Chen", "Approved", "Governance")
            lists = ("SIP-11 and SIP-12", "Base and Optimism", record.link, "The body.")
            for fact in (*stated, *lists, "A remark."):
                assert text.count(fact) == 1, (fact, text)
            assert any(
                day in text for day in ("2024-02-29", "29 February 2024", "February 29, 2024")
            )
            assert "{" not in text and not text.startswith("---")


def test_lists_and_dates() -> None:
    assert [listed(w) for w in (["a"], ["a", "b"], ["a", "b", "c"])] == [
        "a",
        "a and b",
        "a, b and c",
    ]
    said = {say_date(random.Random(n), date(2023, 4, 5)) for n in range(30)}
    assert said == {"2023-04-05", "5 April 2023", "April 5, 2023"}


def test_generated_truth_is_in_the_text() -> None:
    """Every field can be read off; the distractors never are the truth."""
    for seed in range(200):
        item = document_schema.generate(seed, "train")
        found = json.loads(item.gold)
        assert found["title"] in item.prompt and found["author"] in item.prompt
        assert str(found["number"]) in item.prompt
        assert found["status"].title() in item.prompt and found["status"] in STATUSES
        for number in found["requires"]:
            assert f"-{number}" in item.prompt
        assert (found["discussion"] == "yes") == ("https://" in item.prompt)
        assert (found["action"] is not None) == (item.kind == "vote")
        assert found["number"] not in found["requires"]
        SCHEMA.parse(item.gold)


def test_near_misses_differ_or_are_refused() -> None:
    for seed in range(60):
        item = document_schema.generate(seed, "dev")
        right = SCHEMA.parse(item.gold)
        for miss in document_schema.near_misses(item):
            try:
                assert SCHEMA.difference(right, SCHEMA.parse(miss)), miss
            except SchemaError:
                continue


@pytest.mark.slow
@pytest.mark.parametrize(
    ("folder", "least", "kinds"),
    [
        ("eips", 500, {"eip"}),
        ("ercs", 500, {"erc", "eip"}),
        ("synthetix-sips", 500, {"sip", "sccp"}),
        ("lido-lips", 20, {"lip"}),
    ],
)
def test_real_documents(folder: str, least: int, kinds: set[str]) -> None:
    if not (DOCUMENTS / folder).is_dir():
        pytest.skip(f"no {DOCUMENTS / folder}: the documents are not on this machine")
    items = items_from_documents(DOCUMENTS / folder)
    assert len(items) >= least and len({item.id for item in items}) == len(items)
    assert {item.version for item in items} == kinds
    for item in items:
        found = json.loads(item.gold)
        right = SCHEMA.parse(item.gold)
        assert found["title"] in item.prompt and found["author"] in item.prompt
        assert "\nauthor:" not in item.prompt and not item.prompt.startswith("---")
        assert len(item.prompt) < BODY + 900
        assert all(_differs(right, miss) for miss in document_schema.near_misses(item)), item.id


def _differs(right: dict[str, Any], miss: str) -> bool:
    try:
        return SCHEMA.difference(right, SCHEMA.parse(miss)) is not None
    except SchemaError:
        return True
