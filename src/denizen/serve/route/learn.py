"""From scored answers to a calibration: fit on one half, test thresholds on the other.

Contract: pure; `learn` takes the two halves (which share no item) and gives the model, a threshold
a group with its evidence, the trade-off of budget and risk, and the curve.  delta is divided by the
number of sequences that are tested, so the promise holds for all groups together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from denizen.evaluate.stats import wilson
from denizen.serve.route.calibration import POOLED, CurvePoint, GroupThreshold, Tradeoff
from denizen.serve.route.fit import Confidence, Fitted, fit
from denizen.serve.route.risk import (
    FLOOR,
    counts_at,
    learn_then_test,
    percent,
    sequence,
    stands_alone,
    upper_bound,
)
from denizen.serve.route.router import hard_failure

if TYPE_CHECKING:
    from denizen.serve.route.scored import Scored

_CURVE = 40  # points


@dataclass(frozen=True)
class Learnt:
    """What a calibration found; `confidences` are the testing half's, in its order."""

    model: Confidence
    groups: tuple[GroupThreshold, ...]
    members: tuple[str, ...]
    tradeoff: Tradeoff
    curve: tuple[CurvePoint, ...]
    confidences: tuple[float, ...]


def learn(
    fitting: Sequence[Scored],
    testing: Sequence[Scored],
    *,
    risk: float,
    delta: float,
    budget: float,
) -> Learnt:
    """Fit and test; raises ValueError if a half is empty or the halves share an item."""
    if {one.id for one in fitting} & {one.id for one in testing}:
        raise ValueError("the halves share an item")
    if not fitting or not testing:
        raise ValueError("a half is empty")
    fitted = fit(
        [s.signals for s in fitting], [s.ok for s in fitting], [s.cluster for s in fitting]
    )
    own = crossed_confidences(fitted, fitting)
    seen = stated(fitted.model, testing)
    groups = _groups(fitting, own, testing, seen, risk, delta)
    # A group that only the fitting half met has no evidence of its own, but belongs to the pool.
    members = tuple(sorted({s.group for s in (*fitting, *testing)}))
    return Learnt(
        fitted.model,
        groups,
        members,
        _tradeoff(own, testing, seen, groups, delta, budget),
        _curve(own, testing, seen, delta),
        tuple(seen),
    )


def stated(model: Confidence, scored: Sequence[Scored]) -> list[float]:
    """Confidences; 0 where a check failed, which is never answered locally."""
    values = model.of([s.signals for s in scored]).tolist()
    return [_unless_failed(s, v) for s, v in zip(scored, values, strict=True)]


def crossed_confidences(fitted: Fitted, scored: Sequence[Scored]) -> list[float]:
    """The fitting half's, each by models that had not seen its cluster."""
    return [_unless_failed(s, v) for s, v in zip(scored, fitted.crossed, strict=True)]


def _unless_failed(scored: Scored, value: float) -> float:
    # A stated 0 of a sound answer is still above what stands for a failed check.
    return 0.0 if hard_failure(scored.signals) else max(value, FLOOR)


def _groups(
    fitting: Sequence[Scored],
    own: Sequence[float],
    testing: Sequence[Scored],
    seen: Sequence[float],
    risk: float,
    delta: float,
) -> tuple[GroupThreshold, ...]:
    sizes = Counter(s.group for s in testing)
    alone = stands_alone(dict(sizes), risk, delta)
    names = [*alone, *([POOLED] if len(alone) < len(sizes) else [])]
    part = delta / len(names)
    found = []
    for name in names:

        def belongs(one: Scored, name: str = name) -> bool:
            return one.group == name if name != POOLED else one.group not in alone

        before = [(c, s.ok) for c, s in zip(own, fitting, strict=True) if belongs(s)]
        after = [(c, s.ok) for c, s in zip(seen, testing, strict=True) if belongs(s)]
        # A group that the fitting half hardly met takes the order of all.
        before = before or [(c, s.ok) for c, s in zip(own, fitting, strict=True)]
        order = sequence([c for c, _ in before], [ok for _, ok in before], risk, part, len(after))
        tested = learn_then_test([c for c, _ in after], [ok for _, ok in after], order, risk, part)
        found.append(GroupThreshold(name, *tested, part))
    return tuple(found)


def is_local(groups: Sequence[GroupThreshold], group: str, confidence: float) -> bool:
    """Whether these thresholds keep an answer."""
    thresholds = {g.group: g.threshold for g in groups}
    threshold = thresholds.get(group, thresholds.get(POOLED))
    return threshold is not None and confidence >= threshold


def _tradeoff(
    own: Sequence[float],
    testing: Sequence[Scored],
    seen: Sequence[float],
    groups: Sequence[GroupThreshold],
    delta: float,
    budget: float,
) -> Tradeoff:
    import numpy as np

    kept = [is_local(groups, s.group, c) for s, c in zip(testing, seen, strict=True)]
    away = wilson(len(kept) - sum(kept), len(kept))
    # The threshold of the budget is fixed by the other half, so one bound is all it takes.
    level = max(float(np.quantile(own, budget)), FLOOR)
    answered, errors = counts_at(seen, [s.ok for s in testing], [level])
    bound = upper_bound(int(errors[0]), int(answered[0]), delta)
    proven = any(g.threshold is not None for g in groups)
    return Tradeoff(
        "FEASIBLE" if proven and away.value <= budget else "INFEASIBLE",
        away.value,
        away.low,
        away.high,
        bound,
        1 - float(answered[0]) / len(seen),
        away.value if proven else 1.0,
    )


def _curve(
    own: Sequence[float], testing: Sequence[Scored], seen: Sequence[float], delta: float
) -> tuple[CurvePoint, ...]:
    import numpy as np

    shares = np.arange(_CURVE + 1) / _CURVE
    levels = np.unique(np.maximum(np.quantile(own, shares), FLOOR))
    answered, errors = counts_at(seen, [s.ok for s in testing], levels)
    return tuple(
        CurvePoint(
            float(level),
            1 - float(n) / len(seen),
            int(n),
            int(k),
            float(k / n) if n else 0.0,
            upper_bound(int(k), int(n), delta),
        )
        for level, n, k in zip(levels, answered, errors, strict=True)
    )


def sentence(tradeoff: Tradeoff, risk: float, delta: float, budget: float) -> str:
    """The trade-off in words: what holds, or which risk the budget buys and what the risk needs."""
    promise = (
        f"at most {percent(risk, 1)} of local answers wrong, with confidence {percent(1 - delta)}"
    )
    if tradeoff.status == "FEASIBLE":
        return f"{promise}: {tradeoff.escalated:.1%} of questions escalate, within {budget:.1%}"
    buys = (
        f"a budget of {budget:.1%} buys a risk of {tradeoff.risk_of_budget:.1%} at most"
        if tradeoff.risk_of_budget < 1
        else f"a budget of {budget:.1%} proves nothing about the risk"
    )
    needs = (
        f"the risk needs {tradeoff.budget_of_risk:.1%} escalated"
        if tradeoff.budget_of_risk < 1
        else "no threshold keeps the risk: everything would have to escalate"
    )
    return f"{promise}, is not possible within the budget: {buys}; {needs}"
