"""No train-on-test: each leak rule must fire, and the real training rows must be clean."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from denizen.data import build_rows, check_leaks, load_holdout, read_rows, stratified, write_jsonl
from denizen.data.holdout import PARTS, freeze
from denizen.data.rows import Row
from denizen.project import ArtefactError, DataError, LeakError
from denizen.tasks import CORE, FAMILIES, verify

HOLDOUT = load_holdout()


def frozen_families() -> set[str]:
    return set(FAMILIES) if "wide" in PARTS else set(CORE)


def row(question: str, **changes: str) -> Row:
    messages = (
        {"role": "system", "content": "s"},
        {"role": "user", "content": question},
        {"role": "assistant", "content": "a"},
    )
    plain = Row("r1", messages, "f", "train/x", "A/B", "v3", "s", "l", "d")
    return dataclasses.replace(plain, **changes)


def test_holdout_is_frozen_and_whole() -> None:
    assert len(HOLDOUT) >= 600
    assert len({i.id for i in HOLDOUT}) == len({i.prompt for i in HOLDOUT}) == len(HOLDOUT)
    assert {i.family for i in HOLDOUT} == frozen_families()
    assert all(verify(i, i.answer).ok for i in HOLDOUT)
    assert all(i.template.startswith("holdout/") for i in HOLDOUT)


def test_holdout_is_what_its_templates_give() -> None:
    # Difficulty is a label that was refined after the exam was frozen; nothing else may move.
    for part in PARTS:
        made = [dataclasses.replace(i, difficulty=0) for i in freeze(part)]
        ours = [i for i in HOLDOUT if (i.family in CORE) == (part == "core")]
        assert made == [dataclasses.replace(i, difficulty=0) for i in ours]


def test_edited_holdout_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PARTS, "core", (PARTS["core"][0], "0" * 64))
    with pytest.raises(ArtefactError, match="not the frozen one"):
        load_holdout()


def test_stratified_sample_touches_every_family() -> None:
    sample = stratified([i for i in HOLDOUT if i.family in CORE], 200)
    assert len(sample) == 200
    share = {f: sum(i.family == f for i in sample) for f in CORE}
    assert min(share.values()) >= 18
    assert stratified(HOLDOUT, 10**6) == HOLDOUT


def test_training_rows_are_clean() -> None:
    rows, report = build_rows(400, 3, HOLDOUT, system="s")
    assert len(rows) == report.rows == 400
    found = check_leaks(rows, HOLDOUT)
    assert 0 < found.nearest < 0.85


def test_rows_are_reproducible() -> None:
    first, _ = build_rows(60, 5, HOLDOUT, system="s")
    assert first == build_rows(60, 5, HOLDOUT, system="s")[0]
    assert first != build_rows(60, 6, HOLDOUT, system="s")[0]


def test_same_question_is_a_leak() -> None:
    exam = HOLDOUT[0]
    with pytest.raises(LeakError, match="the same question"):
        check_leaks([row(f"  {exam.prompt.upper()} ")], HOLDOUT)


def test_same_template_or_pool_is_a_leak() -> None:
    with pytest.raises(LeakError, match="template"):
        check_leaks([row("hello", template=HOLDOUT[0].template)], HOLDOUT)
    pool = next(i.pool for i in HOLDOUT if i.pool)
    with pytest.raises(LeakError, match="pool"):
        check_leaks([row("hello", pool=pool)], HOLDOUT)


def test_shared_number_is_a_leak() -> None:
    event = next(i for i in HOLDOUT if i.family == "swap_event")
    amount = event.gold.split("amount0=")[1].split(";")[0]
    with pytest.raises(LeakError, match="number"):
        check_leaks([row(f"Something about {amount} units")], HOLDOUT)


def test_reworded_numbers_are_still_the_same_wording() -> None:
    exam = next(i for i in HOLDOUT if i.family == "range_status")
    changed = exam.prompt
    for digit in "0123456789":
        changed = changed.replace(digit, "7")
    with pytest.raises(LeakError, match=r"wording|number|question"):
        check_leaks([row(changed)], HOLDOUT)


def test_files(tmp_path: Path) -> None:
    rows, _ = build_rows(20, 1, HOLDOUT, system="s")
    path = tmp_path / "rows.jsonl"
    write_jsonl(path, rows)
    assert read_rows(path) == rows
    path.write_text('{"id": 1}\n')
    with pytest.raises(DataError, match=r"rows.jsonl:1"):
        read_rows(path)
    path.write_text("\n")
    with pytest.raises(DataError, match="empty"):
        read_rows(path)
    with pytest.raises(DataError, match="cannot read"):
        read_rows(tmp_path / "none.jsonl")
