"""Report rows made from a gate's verdict and what it compared: nothing is computed twice.

Contract: pure functions from verdicts, suite results and comparisons to the rows of `evidence.py`.
What a check does not hold is left empty, never filled in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from denizen.evaluate.gate import Check, GateVerdict
from denizen.evaluate.records import SuiteResult
from denizen.evaluate.report.evidence import (
    BehaviourRow,
    ForestRow,
    LadderRow,
    Look,
    Looks,
    RadarPoint,
    Rate,
)
from denizen.evaluate.stats import wilson

if TYPE_CHECKING:
    from denizen.evaluate.general.comparing import GeneralComparison

# The kinds of check whose figure is a paired difference that must exceed a threshold.
DIFFERENCES = ("superiority", "non-inferiority")
_BEHAVIOUR = "behaviour "
_RULES = {"non-inferiority": "noninferior", "floor": "floor", "zero": "zero"}
_WORDS = {"kept": "PASS", "lost": "FAIL", "undecided": "INCONCLUSIVE"}


class Shipped(NamedTuple):
    """One file of the ladder: its scores on the holdout, its bytes and its content hash."""

    scores: SuiteResult
    bytes: int
    hash: str = ""


def forest_rows(verdict: GateVerdict) -> tuple[ForestRow, ...]:
    """Every check that is a paired difference, in the gate's order; behaviours stand apart."""
    return tuple(
        ForestRow(
            check.subject if check.name.startswith("family ") else check.name,
            check.figure,
            check.low,
            check.high,
            check.n,
            check.against,
            check.kind,
            str(check.status),
            check.threshold,
            check.p,
        )
        for check in verdict.checks
        if check.kind in DIFFERENCES and not check.name.startswith(_BEHAVIOUR)
    )


def behaviour_rows(verdict: GateVerdict) -> tuple[BehaviourRow, ...]:
    """The verdict's behaviour suites; one that was not finished has no rate."""
    return tuple(_behaviour(check) for check in verdict.checks if check.name.startswith(_BEHAVIOUR))


def _behaviour(check: Check) -> BehaviourRow:
    suite, rule = check.name.removeprefix(_BEHAVIOUR), _RULES.get(check.kind, check.kind)
    paired = rule == "noninferior"
    known = check.kind in _RULES and check.n > 0
    limit = {"noninferior": -check.threshold, "floor": check.threshold, "zero": 1 - check.threshold}
    return BehaviourRow(
        suite,
        rule,
        _rate(check.second_rate, check.n) if known else None,
        _rate(check.first_rate, check.n) if known and paired else None,
        limit.get(rule),
        check.figure if known and paired else None,
        check.low if known and paired else None,
        str(check.status),
        check.sentence,
    )


def _rate(value: float, n: int) -> Rate:
    return Rate.of(wilson(round(value * n), n))


def looks_of(verdict: GateVerdict, when: str = "") -> Looks | None:
    """The look this verdict counted, and what all looks have spent; None without one."""
    if verdict.look is None or verdict.alpha_total is None:
        return None
    look = Look(verdict.look, when, verdict.candidate, verdict.alpha, str(verdict.status))
    spent, left = verdict.alpha_spent or 0.0, verdict.alpha_left or 0.0
    return Looks((look,), verdict.alpha_total, spent, left)


def radar_points(
    found: GeneralComparison, scoring: Mapping[str, str] | None = None
) -> tuple[RadarPoint, ...]:
    """Every general set before and after; `scoring` tells how a set is scored, by its name."""
    how = scoring or {}
    return tuple(
        RadarPoint(
            one.name,
            Rate.of(one.before),
            Rate.of(one.after),
            one.test.value,
            one.test.low,
            found.margin,
            _WORDS[one.status],
            how.get(one.name, ""),
        )
        for one in found.sets
    )


def ladder_rows(
    verdict: GateVerdict, merged: Shipped, quants: Mapping[str, Shipped]
) -> tuple[LadderRow, ...]:
    """The merged model, then each quant with its check ("quant NAME", or "quantisation")."""
    checks = {check.name: check for check in verdict.checks}

    def row(name: str, file: Shipped, check: Check | None) -> LadderRow:
        scores = file.scores
        seconds = sum(score.seconds for score in scores.scores) / scores.n
        rate = Rate.of(wilson(scores.passed, scores.n))
        if check is None:
            return LadderRow(
                name, file.bytes, rate, seconds_per_item=seconds or None, hash=file.hash
            )
        known = check.kind in DIFFERENCES
        return LadderRow(
            name,
            file.bytes,
            rate,
            check.figure if known else None,
            check.low if known else None,
            -check.threshold,
            str(check.status),
            seconds or None,
            file.hash,
        )

    rows = [row("merged", merged, None)]
    for name, file in quants.items():
        rows.append(row(name, file, checks.get(f"quant {name}", checks.get("quantisation"))))
    return tuple(rows)
