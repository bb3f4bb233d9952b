"""`denizen route report`: what the router is worth, as plain data; words and page are made of it.

Contract: `make_report` is pure (calibration, testing half, frontier's answers, audits in; figures
out), JSON-serialisable, every rate with its interval.  Without a frontier it says so, and gives
what local answers alone can show.  Text of answers never enters.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from denizen.evaluate.report.calibration import reliability
from denizen.evaluate.report.evidence import Rate, Reliability
from denizen.evaluate.stats import discordant, holm, mcnemar, wilson
from denizen.serve.route.learn import stated
from denizen.serve.route.measures import Curve, Measures, Money, curve, measure, money, oracle

if TYPE_CHECKING:
    from denizen.serve.route.audit import AuditState
    from denizen.serve.route.calibration import Calibration
    from denizen.serve.route.frontier import Frontier
    from denizen.serve.route.scored import Scored

_POINTS = 41  # of a curve that is shown
FIVE_PERCENT = 0.05
_RESAMPLES = 1000


@dataclass(frozen=True)
class FamilyRow:
    """A family, local against frontier; `better` says that the frontier surely is (exact McNemar,
    Holm over families)."""

    family: str
    local: Rate
    frontier: Rate
    p: float
    better: bool


@dataclass(frozen=True)
class Line:
    """A drawn curve: quality at evenly spaced shares escalated."""

    name: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class RouteReport:
    """Everything the report says.

    `measures` are at the configured budget and `five` at exactly 5% escalated; `money` is at the
    share that the thresholds escalate, `money_of_budget` at the budget.  `upstream` names the
    frontier, "" without one; `failed` counts its missing answers.  `ceiling` is the quality at the
    budget if an upstream were always right, which no upstream is.
    """

    created: str
    gguf: str
    sentence: str
    status: str
    local: Rate
    answered: Rate
    wrong_of_answered: Rate
    promise: float
    delta: float
    budget: float
    confidence: Reliability
    ceiling: float
    upstream: str
    failed: int
    measures: Measures | None
    five: Measures | None
    families: tuple[FamilyRow, ...]
    lines: tuple[Line, ...]
    risk_curve: tuple[tuple[float, float, float], ...]
    money: Money
    money_of_budget: Money
    audits: dict[str, Any]
    limits: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """For JSON; decimals become text, so that no cent is rounded."""
        value: dict[str, Any] = json.loads(json.dumps(asdict(self), default=str))
        return value


def make_report(
    calibration: Calibration,
    testing: Sequence[Scored],
    *,
    local_price: float,
    upstream_price: float,
    audit: float = 0.0,
    upstream: str = "",
    frontier: Frontier | None = None,
    audits: AuditState | None = None,
) -> RouteReport:
    """All figures over the testing half; raises ValueError if it is empty."""
    from denizen.serve.route.learn import is_local

    confidences = stated(calibration.model, testing)
    kept = [
        is_local(calibration.groups, s.group, c) for s, c in zip(testing, confidences, strict=True)
    ]
    n, answered = len(testing), sum(kept)
    wrong = sum(k and not s.ok for s, k in zip(testing, kept, strict=True))
    settings = calibration.settings
    judged = _judged(testing, confidences, frontier)
    measures = five = None
    lines: tuple[Line, ...] = ()
    if judged is not None:
        stated_, ours, theirs, clusters = judged
        measures = measure(stated_, ours, theirs, clusters, settings.budget)
        five = measure(stated_, ours, theirs, clusters, FIVE_PERCENT)
        lines = _lines(curve(stated_, ours, theirs), oracle(ours, theirs))
    ok = [s.ok for s in testing]
    return RouteReport(
        calibration.created,
        calibration.gguf,
        str(calibration.facts.get("sentence", "")),
        calibration.tradeoff.status,
        Rate.of(wilson(sum(ok), n)),
        Rate.of(wilson(answered, n)),
        Rate.of(wilson(wrong, answered)) if answered else Rate(0.0, 0.0, 1.0, 0),
        settings.risk,
        settings.delta,
        settings.budget,
        reliability(
            confidences,
            ok,
            system="router",
            measure="calibrated confidence",
            resamples=_RESAMPLES,
        ),
        curve(confidences, ok, [True] * n).at(settings.budget),
        upstream if judged is not None else "",
        len(frontier.failed) if frontier else 0,
        measures,
        five,
        _families(testing, frontier) if judged is not None else (),
        lines,
        tuple((p.escalated, p.risk, p.bound) for p in calibration.curve),
        money(1 - answered / n, local_price, upstream_price, audit),
        money(settings.budget, local_price, upstream_price, audit),
        asdict(audits) if audits is not None else {},
        _limits(calibration, frontier, judged is not None),
    )


def _judged(
    testing: Sequence[Scored], confidences: Sequence[float], frontier: Frontier | None
) -> tuple[list[float], list[bool], list[bool], list[str]] | None:
    """(confidence, local right, frontier right, cluster) of what both answered; None if nothing."""
    if frontier is None or not frontier.answers:
        return None
    rows = [
        (c, s.ok, frontier.answers[s.id].ok, s.cluster)
        for s, c in zip(testing, confidences, strict=True)
        if s.id in frontier.answers
    ]
    return [r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows], [r[3] for r in rows]


def _families(testing: Sequence[Scored], frontier: Frontier | None) -> tuple[FamilyRow, ...]:
    if frontier is None:
        return ()
    pairs: dict[str, list[tuple[bool, bool]]] = {}
    for one in testing:
        if one.id in frontier.answers:
            pairs.setdefault(one.family, []).append((one.ok, frontier.answers[one.id].ok))
    return family_rows(pairs)


def family_rows(pairs: Mapping[str, Sequence[tuple[bool, bool]]]) -> tuple[FamilyRow, ...]:
    """A row a family from (local right, frontier right) pairs."""
    tests = {}
    for family, outcomes in pairs.items():
        first, second = [float(a) for a, _ in outcomes], [float(b) for _, b in outcomes]
        tests[family] = mcnemar(*discordant(first, second), "greater").p
    adjusted = holm(tests)
    return tuple(
        FamilyRow(
            family,
            Rate.of(wilson(sum(a for a, _ in outcomes), len(outcomes))),
            Rate.of(wilson(sum(b for _, b in outcomes), len(outcomes))),
            adjusted[family].adjusted,
            adjusted[family].rejected,
        )
        for family, outcomes in sorted(pairs.items())
    )


def _lines(found: Curve, best: Curve) -> tuple[Line, ...]:
    shares = [i / (_POINTS - 1) for i in range(_POINTS)]
    first, last = float(found.quality[0]), float(found.quality[-1])
    return (
        Line("router", tuple((s, found.at(s)) for s in shares)),
        Line("oracle", tuple((s, best.at(s)) for s in shares)),
        Line("at random", ((0.0, first), (1.0, last))),
    )


def _limits(calibration: Calibration, frontier: Frontier | None, judged: bool) -> tuple[str, ...]:
    said = [
        "The promise holds for questions drawn as the calibration's were (dev templates of the "
        "families); drift is what the audits watch.",
        "Thresholds were tested on the questions this report is made of; the confidence was not "
        "fitted on them.",
    ]
    if calibration.tradeoff.status == "INFEASIBLE":
        said.append(
            "The budget is kept, not stretched: of the questions that want to escalate, those "
            "beyond it get what route.fallback says, a flagged answer or none."
        )
    if not calibration.domain:
        said.append("Distance from the training questions was not among the signals.")
    if not judged:
        said.append(
            "There is no upstream (route.upstream_url) or it answered nothing: what escalated "
            "questions gain, APGR, CPT and regret cannot be told."
        )
    elif frontier is not None and frontier.failed:
        said.append(
            f"The upstream gave no answer to {len(frontier.failed)} questions, which the "
            "comparison leaves out."
        )
    return tuple(said)
