"""Scores on disk, and a suite that survives being killed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from denizen.evaluate import (
    Output,
    Score,
    ScoreFileError,
    SuiteResult,
    read_scores,
    run_suite,
    write_scores,
)


@dataclass(frozen=True)
class Item:
    id: str
    prompt: str
    family: str = "sum"
    template: str = "t1"
    version: str = "v3"
    difficulty: int = 1


@dataclass(frozen=True)
class Judged:
    ok: bool
    score: float
    reason: str
    expected: str
    answer: str


ITEMS = [Item(f"i{n}", f"{n}+1") for n in range(10)]


def verify(item: Item, output: str) -> Judged:
    left, right = item.prompt.split("+")
    gold = str(int(left) + int(right))
    return Judged(output == gold, float(output == gold), "", gold, output)


class Adder:
    """Answers right except for i3; `fails_at` raises after that many batches, like a kill."""

    def __init__(self, fails_at: int = 99) -> None:
        self.asked: list[str] = []
        self.batches, self.fails_at = 0, fails_at

    def __call__(self, items: Sequence[Item]) -> list[str | Output]:
        if self.batches == self.fails_at:
            raise KeyboardInterrupt
        self.batches += 1
        self.asked += [item.id for item in items]
        return [Output("?" if i.id == "i3" else str(int(i.id[1:]) + 1), 2) for i in items]


def test_scores_come_in_item_order_with_progress() -> None:
    seen: list[tuple[int, int]] = []
    result = run_suite(
        ITEMS, Adder(), verify, "adder", batch=4, progress=lambda d, t: seen.append((d, t))
    )
    assert [s.item_id for s in result.scores] == [i.id for i in ITEMS]
    assert result.accuracy == 0.9 and seen == [(0, 10), (4, 10), (8, 10), (10, 10)]
    assert result.scores[0].cluster == "t1@v3" and result.scores[0].tokens == 2


def test_kill_and_resume_asks_only_what_is_left(tmp_path: Path) -> None:
    partial = tmp_path / "deep" / "partial.jsonl"
    with pytest.raises(KeyboardInterrupt):
        run_suite(ITEMS, Adder(fails_at=2), verify, "a", artefact="h", batch=3, partial=partial)
    with partial.open("a") as file:
        file.write('{"item_id": "i6", "fam')  # a line cut by the kill
    second = Adder()
    result = run_suite(ITEMS, second, verify, "a", artefact="h", batch=3, partial=partial)
    assert second.asked == ["i6", "i7", "i8", "i9"]
    whole = run_suite(ITEMS, Adder(), verify, "a", artefact="h")
    assert result.hash() == whole.hash()


@pytest.mark.parametrize("change", ["artefact", "prompt"])
def test_scores_of_something_else_are_never_mixed_in(tmp_path: Path, change: str) -> None:
    partial = tmp_path / "p.jsonl"
    run_suite(ITEMS, Adder(), verify, "a", artefact="h", partial=partial)
    items = [Item("i0", "5+1"), *ITEMS[1:]] if change == "prompt" else ITEMS
    again = Adder()
    run_suite(
        items, again, verify, "a", artefact="h" if change == "prompt" else "other", partial=partial
    )
    assert len(again.asked) == 10
    assert (tmp_path / "p.jsonl.stale").exists()


def test_wrong_number_of_outputs_and_doubled_items_are_refused() -> None:
    with pytest.raises(ValueError, match="1 outputs for 10"):
        run_suite(ITEMS, lambda items: ["1"], verify, "a")
    with pytest.raises(ValueError, match="twice"):
        run_suite([ITEMS[0], ITEMS[0]], Adder(), verify, "a")


def test_score_file_round_trip_with_awkward_text(tmp_path: Path) -> None:
    odd = "line\u2028break \x85 \x1c émoji 🦄\n"
    score = Score("a", "f", "c", "v4", "easy", odd, odd, None, "1", True, 1.0, "", 3, 0.5)
    result = SuiteResult("base", (score,), "hash")
    path = tmp_path / "s.jsonl"
    digest = write_scores(path, result)
    assert read_scores(path) == result and digest == result.hash()


def test_hash_ignores_time_and_order_but_not_outcomes() -> None:
    a = run_suite(ITEMS, Adder(), verify, "a")
    assert SuiteResult("a", a.scores[::-1]).hash() == a.hash()
    assert SuiteResult("a", a.scores[1:]).hash() != a.hash()


def test_a_cut_or_edited_score_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    write_scores(path, run_suite(ITEMS, Adder(), verify, "a"))
    whole = path.read_text()
    path.write_text(whole.replace('"ok": false', '"ok": true'))
    with pytest.raises(ScoreFileError, match="do not match"):
        read_scores(path)
    path.write_text(whole[: len(whole) // 2])
    with pytest.raises(ScoreFileError, match="line"):
        read_scores(path)
    path.write_text(json.dumps({"kind": "other"}))
    with pytest.raises(ScoreFileError, match="line 1"):
        read_scores(path)
    with pytest.raises(ScoreFileError, match="cannot read"):
        read_scores(tmp_path / "none.jsonl")
