"""Canaries: a disguised one must be found, and ordinary data must not be taken for one."""

from __future__ import annotations

import json
import random
from importlib.resources import files

import pytest

from denizen.data import build_rows, load_holdout
from denizen.data.canary import (
    canary_of,
    carried_canaries,
    find_canaries,
    longest_part,
    plant,
    refuse_canaries,
    sentence,
    strings_of,
    uproot,
)
from denizen.data.holdout import PARTS
from denizen.data.own import Conversation
from denizen.project import DataError, LeakError

CANARY = canary_of("an exam")
DIGITS = CANARY.replace("-", "")
WIDE = "".join(chr(ord(c) + 0xFEE0) if c.isalnum() else c for c in CANARY)


@pytest.mark.parametrize(
    ("text", "form", "digits"),
    [
        (f"before {CANARY} after", "exact", 32),
        (CANARY.upper(), "disguised", 32),
        (f"x{DIGITS}", "disguised", 32),
        (" ".join(DIGITS), "disguised", 32),
        ("\n".join(CANARY), "disguised", 32),
        ("\u200b".join(CANARY), "disguised", 32),
        ("\u00ad\u2060".join(CANARY), "disguised", 32),
        ("_".join(CANARY), "disguised", 32),
        (f"**{CANARY[:18]}** `{CANARY[18:]}`", "disguised", 32),
        (WIDE, "disguised", 32),
        (CANARY.replace("a", "а").replace("e", "е").replace("c", "с"), "disguised", 32),
        (f"it begins with {CANARY[:8]}", "partial", 8),
        (f"... {DIGITS[20:]}", "partial", 12),
        (f"GUID {CANARY[:23]}!", "partial", 20),
        (f"0x{'0' * 60}{DIGITS[4:16]}", "partial", 12),
    ],
)
def test_a_canary_is_found_however_it_is_written(text: str, form: str, digits: int) -> None:
    (seen,) = find_canaries(["nothing", text], [canary_of("other"), CANARY])
    assert (seen.text, seen.canary, seen.form, seen.digits) == (1, CANARY, form, digits)


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"seven digits {DIGITS[:7]}",
        f"{DIGITS[:7]} words between {DIGITS[7:14]}",
        # Eight digits inside calldata are chance.
        f"0x{'0' * 60}{DIGITS[:8]}{'f' * 60}",
        canary_of("another exam"),
        DIGITS[::-1],
    ],
)
def test_what_is_no_canary_is_none(text: str) -> None:
    assert not find_canaries([text], [CANARY])


def test_real_rows_and_the_exam_itself_hold_none() -> None:
    holdout = load_holdout()
    canaries = list(carried_canaries().values())
    rows, _ = build_rows(200, 3, holdout, system="s")
    assert refuse_canaries(rows, canaries) == 200
    assert not find_canaries([i.prompt for i in holdout], canaries)


def test_hex_data_raises_no_false_alarm() -> None:
    rng = random.Random(1)
    texts = [f"0x{rng.getrandbits(1600):0400x} 0x{rng.getrandbits(160):040x}" for _ in range(500)]
    assert not find_canaries(texts, [CANARY, *carried_canaries().values()])


@pytest.mark.parametrize("place", ["question", "answer", "source", "id"])
def test_a_training_row_with_a_canary_is_a_leak(place: str) -> None:
    hidden = " ".join(DIGITS)
    texts = {key: hidden if key == place else "plain" for key in ("question", "answer", "id")}
    messages = (
        {"role": "user", "content": texts["question"]},
        {"role": "assistant", "content": texts["answer"]},
    )
    clean = Conversation("1", messages, "f")
    bad = Conversation(texts["id"], messages, hidden if place == "source" else "f")
    with pytest.raises(LeakError, match="canary of the holdout"):
        refuse_canaries([clean, bad] if place in ("source", "id") else [bad], [CANARY])


def test_planted_records_scream_and_can_be_uprooted() -> None:
    records = [{"id": "1", "prompt": "a"}, {"id": "2", "prompt": "b"}]
    planted = plant(records, CANARY)
    assert [uproot(record) for record in planted] == records
    assert plant(planted, CANARY) == planted
    assert all(find_canaries(strings_of(record), [CANARY]) for record in planted)
    # As text too: what a crawler would take.
    assert len(find_canaries([json.dumps(record) for record in planted], [CANARY])) == 2
    with pytest.raises(DataError, match="another 'canary'"):
        plant([{"id": "1", "canary": "mine"}], CANARY)


def test_canaries_follow_the_content_and_are_written_beside_the_carried_files() -> None:
    assert canary_of("a") == canary_of("a") != canary_of("b")
    beside = json.loads((files("denizen.data") / "assets" / "canary.json").read_text("utf-8"))
    assert {name: entry["canary"] for name, entry in beside.items()} == carried_canaries()
    assert {name: entry["sha256"] for name, entry in beside.items()} == dict(PARTS.values())
    assert all(entry["sentence"] == sentence(entry["canary"]) for entry in beside.values())


def test_only_a_guid_is_a_canary() -> None:
    for bad in ("", "secret", CANARY.upper(), DIGITS):
        with pytest.raises(DataError, match="not a canary"):
            find_canaries(["text"], [bad])


def test_longest_part() -> None:
    assert longest_part(f"a {DIGITS[3:15]} b {DIGITS[:8]}", DIGITS) == DIGITS[3:15]
    assert longest_part(DIGITS[:7], DIGITS) == ""
