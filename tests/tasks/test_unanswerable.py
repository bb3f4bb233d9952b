"""Unanswerable questions: none states what it lacks, and only a plain refusal is right."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from denizen.tasks import Item, catalogue, evaluate, find_call, find_spans, offers, verify
from denizen.tasks.families.unanswerable import FAMILY, KINDS, MANY, NAME, generate
from denizen.tasks.phrasing import templates
from denizen.tasks.tools.refusal import MISSING, REFUSAL_TOOLS

SPLITS = ("train", "dev")
SLOT = re.compile(r"{(\w+)}")
# The slots that would supply what a kind lacks, or let it be worked out.
FORBIDDEN = {
    "reserves": {"reserve_base", "reserve_quote", "liquidity", "tvl", "value"},
    "liquidity": {"liquidity", "own_liquidity", "reserve_base", "reserve_quote", "lower", "upper"},
    "fee": {"fee"},
    "price": {"price", "now"},
    "amount": {"amount", "debt", "value"},
    "range": {"lower", "upper"},
    "period": {"period", "horizon"},
    "collateral": {"value", "reserve_base"},
    "debt": {"debt"},
    "threshold": {"threshold"},
    "rate": {"apr", "fee", "share"},
    "share": {"share", "own_liquidity"},
    "future": set(),
}


def items(split: str, count: int = 300) -> list[Item]:
    return [generate(seed, split) for seed in range(count)]  # type: ignore[arg-type]


@pytest.mark.parametrize("split", SPLITS)
def test_no_wording_states_what_it_lacks(split: str) -> None:
    rows_by_kind = templates(split, NAME)  # type: ignore[arg-type]
    assert set(rows_by_kind) == set(KINDS) == set(MISSING) == set(FORBIDDEN)
    for kind, rows in rows_by_kind.items():
        for row in rows.rows:
            found = SLOT.findall(row)
            # An interest question may be about a rate on a threshold market; no rate itself.
            assert not set(found) & FORBIDDEN[kind] or (kind, row) in EXCEPTIONS, (kind, row)
            repeated = {s for s in found if found.count(s) > 1}
            assert repeated <= {"token", "quote", "pair"}, row


# Slots that stand here for something else, told in the sentence.
EXCEPTIONS = {
    ("debt", "What's my interest for {horizon} at {apr} on the loan I took?"),
}


def test_both_levels_and_every_kind_come_with_decoys() -> None:
    seen: Counter[tuple[str, int]] = Counter()
    for item in items("train", 1500):
        assert item.difficulty == (2 if len(find_spans(item.prompt)) >= MANY else 1)
        seen[item.kind, item.difficulty] += 1
    assert all(seen[kind, level] >= 5 for kind in KINDS for level in (1, 2)), seen


@pytest.mark.parametrize("split", SPLITS)
def test_gold_and_a_plain_refusal_are_right(split: str) -> None:
    for item in items(split):
        assert offers(item) and verify(item, item.answer).ok
        gold = evaluate(item.gold)
        assert dict(gold.values) == {"unanswerable": "yes", "missing": item.kind}
        assert verify(item, gold.text).ok
        for word in MISSING[item.kind]:
            assert verify(item, f"I can't answer this, because of this: {word}.").ok
        for span in find_spans(item.prompt):
            assert verify(item, f"{span} or not, {gold.text}").ok, span


@pytest.mark.parametrize("split", SPLITS)
def test_figures_other_inputs_and_bare_refusals_are_wrong(split: str) -> None:
    for item in items(split):
        text = evaluate(item.gold).text
        for wrong in (
            f"{text}; roughly 1,234.56 USDC.",
            f"{text}. Assuming the usual one, 3.21%.",
            "That cannot be answered, sorry.",
            "1,234.56 USDC",
            f"<calc>{item.gold}</calc> and then <calc>il_full(entry=1; now=2)</calc>",
        ):
            assert not verify(item, wrong).ok, wrong
        for other in MISSING:
            if other != item.kind:
                assert not verify(item, f"<calc>cannot_answer(missing={other})</calc>").ok


def test_near_misses_use_the_figures_of_the_prompt() -> None:
    used: Counter[str] = Counter()
    for item in items("train"):
        misses = FAMILY.near_misses(item)
        assert not any(verify(item, miss).ok for miss in misses)
        calls = [call for miss in misses if (call := find_call(miss)) is not None]
        assert {"cannot_answer"} < {call.partition("(")[0] for call in calls}
        for call in calls:
            tool, _, rest = call.partition("(")
            used[tool] += 1
            if tool not in ("fact", "cannot_answer"):
                values = [part.partition("=")[2] for part in rest[:-1].split("; ")]
                choices = {c for p in catalogue()[tool].parameters for c in p.choices}
                assert set(values) <= set(find_spans(item.prompt)) | choices
    assert len(used) >= 5


def test_a_tool_is_told_what_each_word_means() -> None:
    (parameter,) = REFUSAL_TOOLS[0].parameters
    assert all(word in parameter.doc for word in MISSING)
    assert set(parameter.choices) == set(MISSING)


def test_splits_share_no_wording() -> None:
    train, dev = (
        {row.lower() for rows in templates(split, NAME).values() for row in rows.rows}
        for split in ("train", "dev")
    )
    assert not train & dev and len(train) >= 250 and len(dev) >= 70
