"""Looks at a holdout: what they may spend, and a ledger that notices when it is touched."""

from __future__ import annotations

import json
import multiprocessing
from itertools import pairwise
from pathlib import Path

import pytest

from denizen.evaluate.looks import LedgerError, LookLedger
from denizen.evaluate.spending import Schedule, obrien_fleming


@pytest.fixture
def ledger(tmp_path: Path) -> LookLedger:
    made = LookLedger(tmp_path)
    for candidate in "abc":
        made.look("holdout", candidate)
    return made


def lines(ledger: LookLedger) -> list[str]:
    return ledger.path.read_text("utf-8").splitlines()


def refused(ledger: LookLedger, how: str = "was changed", **options: object) -> None:
    with pytest.raises(LedgerError, match=how):
        ledger.look("holdout", "d", **options)  # type: ignore[arg-type]
    with pytest.raises(LedgerError):
        ledger.looks("holdout", **options)  # type: ignore[arg-type]


# -- tampering -----------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [0, 1, 2])
def test_a_cut_ledger_is_refused(ledger: LookLedger, keep: int) -> None:
    ledger.path.write_text("".join(f"{line}\n" for line in lines(ledger)[:keep]))
    refused(ledger)


def test_a_missing_ledger_or_head_is_refused(ledger: LookLedger) -> None:
    text = ledger.path.read_text()
    ledger.path.unlink()
    refused(ledger)
    ledger.path.write_text(text)
    ledger.head.unlink()
    refused(ledger, "head file is missing")


@pytest.mark.parametrize("line", [0, 1, 2])
@pytest.mark.parametrize(
    ("key", "value"),
    [("candidate", "x"), ("holdout", "other"), ("alpha", 0.05), ("number", 9), ("at", "2020")],
)
def test_an_edited_entry_is_refused(ledger: LookLedger, line: int, key: str, value: object) -> None:
    rows = [json.loads(row) for row in lines(ledger)]
    rows[line][key] = value
    ledger.path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    refused(ledger)


def test_dropped_swapped_and_garbled_lines_are_refused(ledger: LookLedger) -> None:
    a, b, c = lines(ledger)
    for rows in ((a, c), (b, a, c), (a, b, b), (a, "not json", c), (a, b, c, "{}"), (a, b, "[]")):
        ledger.path.write_text("\n".join(rows) + "\n")
        refused(ledger)
    ledger.path.write_bytes(b"\xff\xfe")
    refused(ledger, "cannot be read")
    ledger.path.write_text("\n".join((a, b, c)) + "\n")
    assert ledger.look("holdout", "d").number == 4


def test_a_rewritten_head_is_refused(ledger: LookLedger) -> None:
    for text in ("{}", "no", '{"count": 2, "hash": "0"}', '{"count": -1, "hash": ""}'):
        ledger.head.write_text(text)
        refused(ledger)


def test_a_verdict_is_witness_against_a_fresh_start(ledger: LookLedger) -> None:
    seen = [look.entry for look in ledger.looks("holdout")]
    assert len(ledger.looks("holdout", witnesses=seen)) == 3
    ledger.path.unlink()
    ledger.head.unlink()
    assert ledger.looks("holdout") == ()
    refused(ledger, "3 looks that verdicts name", witnesses=seen)


# -- counting ------------------------------------------------------------------------------------


def test_the_same_candidate_is_the_same_look(ledger: LookLedger) -> None:
    first = ledger.look("holdout", "b")
    assert (first.number, first.repeated) == (2, True)
    assert len(lines(ledger)) == 3
    again = ledger.look("holdout", "b", scoring="other decoding")
    assert (again.number, again.repeated) == (4, False)
    assert ledger.look("holdout", "b", scoring="other decoding").number == 4


def test_each_holdout_has_its_own_looks(ledger: LookLedger) -> None:
    other = ledger.look("another holdout", "a")
    assert (other.number, other.alpha) == (1, 0.025)
    assert [look.number for look in ledger.looks("holdout")] == [1, 2, 3]
    assert ledger.looks("never seen") == ()


def test_the_schedule_cannot_change_after_the_first_look(ledger: LookLedger) -> None:
    for schedule in (Schedule(0.1), Schedule(0.05, planned=5)):
        with pytest.raises(LedgerError, match="cannot change"):
            ledger.look("holdout", "d", schedule=schedule)
    assert ledger.look("fresh", "d", schedule=Schedule(0.1)).total == 0.1


def test_a_used_up_plan_counts_no_more(tmp_path: Path) -> None:
    ledger = LookLedger(tmp_path)
    plan = Schedule(0.05, planned=2)
    assert [ledger.look("h", c, schedule=plan).number for c in "ab"] == [1, 2]
    with pytest.raises(LedgerError, match="all 2 planned looks"):
        ledger.look("h", "c", schedule=plan)
    assert ledger.look("h", "b", schedule=plan).left == 0


def test_a_kill_between_the_two_files_keeps_the_look(ledger: LookLedger) -> None:
    head = ledger.head.read_text()
    ledger.look("holdout", "d")
    ledger.head.write_text(head)
    assert ledger.look("holdout", "d").number == 4
    assert ledger.look("holdout", "e").number == 5


def test_a_look_needs_hashes(tmp_path: Path) -> None:
    for holdout, candidate in (("", "a"), ("h", "")):
        with pytest.raises(LedgerError, match="content hashes"):
            LookLedger(tmp_path).look(holdout, candidate)


def _count(folder: Path, name: str) -> None:
    for i in range(5):
        LookLedger(folder).look("h", f"{name}{i}")


def test_two_processes_lose_no_look(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    both = [context.Process(target=_count, args=(tmp_path, name)) for name in "ab"]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [look.number for look in LookLedger(tmp_path).looks("h")] == list(range(1, 11))


# -- spending ------------------------------------------------------------------------------------


def test_unlimited_looks_spend_exactly_alpha_and_never_more() -> None:
    plan = Schedule(0.05)
    levels = [plan.level(k) for k in range(1, 10_001)]
    assert levels[:3] == pytest.approx([0.025, 0.05 / 6, 0.05 / 12])
    assert sum(levels) == pytest.approx(plan.spent(10_000)) and sum(levels) < 0.05
    assert plan.left(10_000) == pytest.approx(0.05 / 10_001)
    assert all(a > b > 0 for a, b in pairwise(levels))


def test_planned_looks_spend_exactly_alpha_and_save_it_for_the_last() -> None:
    plan = Schedule(0.05, planned=4)
    levels = [plan.level(k) for k in range(1, 6)]
    assert sum(levels) == pytest.approx(0.05) and levels[4] == 0
    assert levels == [*sorted(levels[:4]), 0] and levels[3] > 0.02
    assert plan.spent(9) == 0.05


def test_the_spending_function_is_lan_and_demets() -> None:
    # Two-sided 0.05 at half the information: 2 - 2 Phi(1.95996 / sqrt(0.5)) = 0.00557
    assert obrien_fleming(0.5) == pytest.approx(0.005575, abs=1e-6)
    assert obrien_fleming(1.0) == 0.05
    with pytest.raises(ValueError, match="fraction"):
        obrien_fleming(0.0)


def test_impossible_schedules_are_refused() -> None:
    for total, planned in ((0.0, None), (0.5, None), (0.05, 0)):
        with pytest.raises(ValueError, match="need"):
            Schedule(total, planned)
    with pytest.raises(ValueError, match="counted from 1"):
        Schedule().level(0)
