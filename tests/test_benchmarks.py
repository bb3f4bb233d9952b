"""The comparison with a generalist: paired figures that follow from the scores."""

from __future__ import annotations

from benchmarks.generalist import interval, lead, worked_examples

from denizen.evaluate import Score, SuiteResult
from denizen.tasks import suite_of


def suite(name: str, marks: str) -> SuiteResult:
    return SuiteResult(
        name,
        tuple(
            Score(str(i), "f", f"c{i % 5}", "v3", "1", "q", "o", None, None, m == "1", float(m))
            for i, m in enumerate(marks)
        ),
    )


def test_lead_counts_pairs() -> None:
    peer, specialist = suite("peer", "0" * 15 + "1" * 5), suite("ours", "1" * 18 + "00")
    found = lead(peer, specialist)
    assert (found["wins"], found["losses"]) == (15, 2)
    assert found["difference"] == 0.65 and found["p"] < 0.01
    assert found["interval"][0] < 0.65 < found["interval"][1]
    assert lead(specialist, specialist)["p"] == 1.0
    exact = interval(specialist)
    assert exact["exact"] == 0.9 and exact["interval"][0] < 0.9 < exact["interval"][1]


def test_every_tool_has_a_worked_example() -> None:
    shown = worked_examples()
    assert all(f"<calc>{name}(" in shown for name in suite_of("core").tools)
