"""Report rows from the gate and the audits: each figure is the one that was measured."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from evaluate_sample import FAMILIES, report_data, suite
from test_report import Balance

from denizen.evaluate import SuiteResult, gate
from denizen.evaluate import report as r
from denizen.evaluate.gate import BehaviourScores, GateVerdict, Status
from denizen.evaluate.looks import LookLedger
from denizen.evaluate.privacy.exposure import ExposureResult, LevelExposure
from denizen.evaluate.privacy.extraction import ExtractionResult, Shares
from denizen.evaluate.privacy.figures import AuditResult, Interval, rate
from denizen.evaluate.privacy.membership import Attack, MembershipResult
from denizen.evaluate.privacy.trigger_confirmation import Outlier
from denizen.evaluate.privacy.trigger_scan import ScanResult
from denizen.evaluate.privacy.word_proof import WordResult
from denizen.evaluate.report.sections.judged import figures
from denizen.evaluate.spending import Schedule
from denizen.evaluate.stats import mcnemar

GOOD = {name: 0.85 for name in FAMILIES}


def judged(tmp_path: Path) -> tuple[GateVerdict, SuiteResult, SuiteResult, SuiteResult]:
    base, merged = suite("base", 0.1), suite("merged", GOOD)
    shipped = SuiteResult("q4", merged.scores, "artefact-q4")
    other = suite("q8", GOOD, seed=2)
    look = LookLedger(tmp_path).look(
        "holdout", "artefact-q4", schedule=Schedule(0.05, 5), scoring="s"
    )
    verdict = gate(
        base,
        shipped,
        reference=merged,
        quants={"q8_0": other},
        behaviours=[
            BehaviourScores("following", "noninferior", suite("f", 0.8), suite("g", 0.8)),
            BehaviourScores("injection", "floor", suite("i", 0.9), floor=0.8),
            BehaviourScores("drift", "zero", suite("d", 1.0), limit=0.05),
            BehaviourScores("judged", "floor", suite("j", 0.9), floor=0.8, incomplete="timed out"),
        ],
        look=look,
        resamples=300,
    )
    return verdict, merged, shipped, other


def test_an_unfinished_suite_shows_no_rate(tmp_path: Path) -> None:
    verdict, *_ = judged(tmp_path)
    rows = {row.suite: row for row in r.behaviour_rows(verdict)}
    assert rows["judged"].candidate is None and rows["judged"].status == "INCONCLUSIVE"
    check = next(c for c in verdict.checks if c.name == "behaviour judged")
    assert figures(check) == ("\u2013", "\u2013", "\u2013")
    page = r.render(dataclasses.replace(report_data("plain"), verdict=verdict, behaviour=()))
    Balance().feed(page)
    assert "Not finished: timed out" in page


def test_behaviours_keep_their_rule_and_figures(tmp_path: Path) -> None:
    verdict, *_ = judged(tmp_path)
    rows = {row.suite: row for row in r.behaviour_rows(verdict)}
    assert [row.rule for row in rows.values()][:3] == ["noninferior", "floor", "zero"]
    following = rows["following"]
    assert following.candidate is not None and following.base is not None
    assert following.candidate.value == pytest.approx(suite("f", 0.8).accuracy)
    assert following.base.value == pytest.approx(suite("g", 0.8).accuracy)
    assert following.limit == pytest.approx(0.1) and following.low is not None
    assert rows["injection"].limit == 0.8 and rows["injection"].difference is None
    assert rows["drift"].limit == pytest.approx(0.05) and rows["drift"].status == "PASS"
    # They have a table of their own and stay out of the forest of DeFi differences.
    names = [row.name for row in r.forest_rows(verdict)]
    assert names[0] == "overall" and "quant q8_0" in names
    assert not any("behaviour" in name for name in names)


def test_the_look_is_told_from_the_verdict(tmp_path: Path) -> None:
    verdict, *_ = judged(tmp_path)
    found = r.looks_of(verdict, "today")
    assert found is not None and found.alpha == 0.05 and found.looks[0].number == 1
    assert found.looks[0].alpha == verdict.alpha and found.spent + found.left == pytest.approx(0.05)
    bare = dataclasses.replace(report_data("plain"), verdict=verdict, looks=None, power=None)
    assert "Looks at the holdout" in r.render(bare) and "left" in r.render_markdown(bare)
    assert r.looks_of(report_data("plain").verdict) is None


def test_the_ladder_holds_each_files_own_figures(tmp_path: Path) -> None:
    verdict, merged, shipped, other = judged(tmp_path)
    rows = r.ladder_rows(
        verdict,
        r.Shipped(merged, 400, "m"),
        {"q4_k_m": r.Shipped(shipped, 100, "a"), "q8_0": r.Shipped(other, 200, "b")},
    )
    assert [row.quant for row in rows] == ["merged", "q4_k_m", "q8_0"]
    checks = {check.name: check for check in verdict.checks}
    assert rows[0].difference is None and rows[1].low == checks["quantisation"].low
    assert rows[2].difference == checks["quant q8_0"].figure
    assert rows[2].accuracy.value == pytest.approx(other.accuracy) and rows[2].hash == "b"
    assert rows[1].margin == pytest.approx(0.03) and rows[2].seconds_per_item == pytest.approx(0.2)


def test_general_sets_become_radar_points() -> None:
    from denizen.evaluate.general.comparing import compare_sets

    found = compare_sets(suite("before", 0.8), suite("after", {**GOOD, "fee_apr": 0.1}))
    points = {p.set: p for p in r.radar_points(found, {"fee_apr": "generation"})}
    assert points["fee_apr"].status == "FAIL" and points["fee_apr"].scoring == "generation"
    assert points["fee_apr"].difference == pytest.approx(
        points["fee_apr"].after.value - points["fee_apr"].before.value
    )
    assert points["fee_apr"].low < points["fee_apr"].difference
    assert points["swap_quote"].margin == found.margin


# -- audits ----------------------------------------------------------------------------------

PASS = Status.PASS
EVIL = "<img src=x onerror=alert(1)> | `x`"


def results() -> dict[str, AuditResult]:
    share, infinite = rate(3, 100), Interval(3.0, -float("inf"), float("inf"), 0.95, 1, "Student")
    levels = tuple(
        LevelExposure(k, infinite if k == 1 else infinite._replace(low=2.0, high=4.0), 0.1, (3.0,), ("exact",))
        for k in (0, 1, 2, 16)
    )  # fmt: skip
    shares = Shares(share, share, None, share, None, mcnemar(1, 2))
    example = {"id": "r1", "prefix": "p", "row": "original", "written": EVIL}
    outlier = Outlier(EVIL, "rows", 3, 4.5, 0.1, 9.0, 0.001, "converges", True, payload=EVIL)
    return {
        "exposure": ExposureResult(PASS, "e", None, levels, 13.0, 6.5, 1, 0, 4),
        "extraction": ExtractionResult(PASS, "x", None, shares, shares, 0.05, 100, 0, 20, 30, (example,)),
        "membership": MembershipResult(
            PASS, "m", None, (Attack("reference", rate(55, 100), rate(2, 100)),), rate(50, 100), 0.01, 0.05, 100, 100,
        ),
        "words": WordResult(
            PASS, "w", None, rate(47, 50), rate(0, 50), {"APE IN": rate(16, 17)}, 1 / 3, 1e-9,
            mcnemar(47, 0), 0.01, rate(0, 300), 0.01, (EVIL,),
        ),
        "triggers": ScanResult(PASS, "t", None, (outlier,), (outlier,), {"rows": 40}, 0.2, 0.1, 8, 16, 0.01),
    }  # fmt: skip


def report(**found: AuditResult) -> dict[str, object]:
    """As `PrivacyReport.to_dict()` comes back from a file."""
    audits = [
        {"name": name, "status": "PASS", "sentence": f"{name} told", "result": one.to_dict()}
        for name, one in found.items()
    ]
    return json.loads(json.dumps({"status": "PASS", "audits": audits}))  # type: ignore[no-any-return]


def test_every_audit_is_shown_with_its_figures() -> None:
    parts = {part.name: part for part in r.privacy_parts(report(**results()))}
    assert list(parts) == [
        "Exposure of planted canaries", "Prefix extraction", "Membership inference",
        "Canary words", "Trigger scan",
    ]  # fmt: skip
    exposure = parts["Exposure of planted canaries"]
    (plot,) = exposure.plots
    assert plot.log_x and [p.x for p in plot.lines[0].points] == [1, 2, 16]
    assert plot.lines[0].points[0].low is None and plot.lines[0].points[1].low == 2.0
    assert {p.y for p in plot.lines[1].points} == {6.5}
    labels = {f.label: f for f in parts["Membership inference"].figures}
    assert labels["TPR at 1% FPR, reference"].value == 0.02
    assert labels["TPR at 1% FPR, reference"].unit == "share"
    words = {f.label: f for f in parts["Canary words"].figures}
    assert words["Exact match"].value == 0.94 and words["Exact match, APE IN"].low is not None
    marks = [(q.text, q.generated) for q in parts["Prefix extraction"].quotes]
    assert marks == [("p", False), (EVIL, True), ("original", False)]
    assert parts["Trigger scan"].quotes[1].generated
    data = dataclasses.replace(report_data("plain"), privacy=tuple(parts.values()))
    page = r.render(data)
    Balance().feed(page)
    assert "<img" not in page and "Exposure by repetitions" in page
    assert r.ReportData.from_json(data.to_json()) == data


def test_an_audit_that_did_not_run_says_why() -> None:
    missing = {
        "name": "words", "status": "INCONCLUSIVE", "sentence": "Not run: none planted.", "result": {}
    }  # fmt: skip
    (part,) = r.privacy_parts({"audits": [missing]})
    assert part == r.PrivacyPart("Canary words", "INCONCLUSIVE", "Not run: none planted.")
    (other,) = r.privacy_parts({"audits": [missing | {"name": "new audit", "result": {"x": 1}}]})
    assert other.name == "new audit"
