"""Behaviour suites at the gate: each by its own rule, and an unfinished one never passes.

Contract: `BehaviourScores` is a suite's scores with the question it asks (see `suites/base.py`).
"noninferior" compares with the base, "floor" and "zero" look at the candidate alone. A suite that
is empty, lacks the base's scores, or is marked `incomplete` is INCONCLUSIVE; only a failure under
the zero rule stands even then, since no further case can undo it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from denizen.evaluate.gate.floors import above_floor, no_failure
from denizen.evaluate.gate.noninferiority import not_worse
from denizen.evaluate.gate.settings import ZERO_LIMIT, Settings
from denizen.evaluate.gate.verdict import Check, Status, unfinished
from denizen.evaluate.records import SuiteResult

if TYPE_CHECKING:
    from denizen.evaluate.suites.base import Rule


@dataclass(frozen=True, slots=True)
class BehaviourScores:
    """One behaviour suite, scored. `margin`, `floor` and `limit` are fractions, each for its rule.

    `base` is needed by "noninferior" only. `incomplete` says why the scores are not all there
    ("the judge timed out on 3 of 40 answers"); empty when they are.
    """

    name: str
    rule: Rule
    candidate: SuiteResult
    base: SuiteResult | None = None
    margin: float = 0.10
    floor: float = 0.0
    limit: float = ZERO_LIMIT
    incomplete: str = ""


def behaviour(suite: BehaviourScores, settings: Settings) -> Check:
    """The check of one behaviour suite; ValueError for an unknown rule."""
    check = _judge(suite, settings)
    if not suite.incomplete or (check.kind == "zero" and check.status is Status.FAIL):
        return check
    return unfinished(
        check.name,
        suite.name,
        suite.incomplete,
        against=check.against,
        threshold=check.threshold,
        n=check.n,
        n_needed=check.n_needed,
    )


def _judge(suite: BehaviourScores, settings: Settings) -> Check:
    name, scores = f"behaviour {suite.name}", suite.candidate.scores
    if suite.rule == "zero":
        return no_failure(name, suite.name, scores, suite.limit, settings)
    if suite.rule == "floor":
        return above_floor(name, suite.name, scores, suite.floor, settings)
    if suite.rule != "noninferior":
        raise ValueError(f"no rule {suite.rule!r} for {suite.name!r}: noninferior, floor or zero")
    if suite.base is None:
        return unfinished(
            name, suite.name, "the base was not scored on it", threshold=-suite.margin
        )
    return not_worse(name, suite.base, suite.candidate, suite.margin, settings)
