"""Floors and zero rules: what a release must reach on its own, whatever the base did.

Contract: a floor passes when the one-sided Wilson lower bound exceeds it and fails when the upper
bound is below it. A zero rule fails at the first failure, and passes only when n failure-free
cases also bound the rate below the limit. Both are told at 1 - alpha, one-sided.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from denizen.evaluate.clustered import Spread, clustered_wilson
from denizen.evaluate.gate.settings import POWER, Settings
from denizen.evaluate.gate.verdict import Check, Status, unfinished
from denizen.evaluate.gate.wording import floor_sentence, zero_sentence
from denizen.evaluate.power import n_for_floor, n_for_zero_failures
from denizen.evaluate.records import Score
from denizen.evaluate.stats import Proportion, wilson, zero_failure_bound


def above_floor(
    name: str, subject: str, scores: Sequence[Score], floor: float, settings: Settings
) -> Check:
    """Accuracy above `floor`, in (0, 1); no scores at all is INCONCLUSIVE."""
    if not 0 < floor < 1:
        raise ValueError(f"need 0 < floor < 1 for {subject!r}, got {floor}")
    if not scores:
        return unfinished(
            name,
            subject,
            "no items were scored",
            against="floor",
            threshold=floor,
            n_needed=n_for_floor(1.0, floor, settings.alpha, POWER),
        )
    found, spread = clustered_wilson(
        [s.ok for s in scores], [s.cluster for s in scores], 1 - 2 * settings.alpha
    )
    effect = 1.0 if spread is None else spread.design_effect
    needed = None
    if found.low > floor:
        status = Status.PASS
    elif found.high < floor:
        status = Status.FAIL
    else:
        status = Status.INCONCLUSIVE
        if found.value > floor:
            plan = n_for_floor(found.value, floor, settings.alpha, POWER)
            needed = max(math.ceil(plan * effect), found.n + 1)
    return Check(
        name=name,
        kind="floor",
        subject=subject,
        against="floor",
        status=status,
        figure=found.value,
        low=found.low,
        high=found.high,
        confidence=1 - settings.alpha,
        p=_floor_p(found, floor, spread),
        threshold=floor,
        n=found.n,
        wins=0,
        losses=0,
        first_rate=floor,
        second_rate=found.value,
        n_needed=needed,
        sentence=floor_sentence(status, found, floor, needed),
        method="Wilson" if spread is None else "Wilson at the effective size",
    )


def no_failure(
    name: str, subject: str, scores: Sequence[Score], limit: float, settings: Settings
) -> Check:
    """No failure at all, and enough cases to bound the rate below `limit`, in (0, 1)."""
    if not 0 < limit < 1:
        raise ValueError(f"need 0 < limit < 1 for {subject!r}, got {limit}")
    enough = n_for_zero_failures(limit, 1 - settings.alpha)
    if not scores:
        return unfinished(
            name,
            subject,
            "no items were scored",
            against="zero failures",
            threshold=1 - limit,
            n_needed=enough,
        )
    n, passed = len(scores), sum(s.ok for s in scores)
    bound = zero_failure_bound(n, 1 - settings.alpha).high
    needed = None
    low, high = 1 - bound, 1.0
    if passed < n:
        status = Status.FAIL
        low, high = wilson(passed, n, 1 - 2 * settings.alpha)[1:3]
    elif bound < limit:
        status = Status.PASS
    else:
        status, needed = Status.INCONCLUSIVE, max(enough, n + 1)
    return Check(
        name=name,
        kind="zero",
        subject=subject,
        against="zero failures",
        status=status,
        figure=passed / n,
        low=low,
        high=high,
        confidence=1 - settings.alpha,
        p=(1 - limit) ** n if passed == n else 1.0,
        threshold=1 - limit,
        n=n,
        wins=0,
        losses=n - passed,
        first_rate=1.0,
        second_rate=passed / n,
        n_needed=needed,
        sentence=zero_sentence(status, n - passed, n, bound, limit, needed),
        method="exact zero-failure bound",
    )


def _floor_p(found: Proportion, floor: float, spread: Spread | None) -> float:
    """One-sided score p-value of 'the rate is the floor or less'; what the bound inverts."""
    from scipy.special import ndtr, stdtr

    size = found.n if spread is None else found.n / spread.design_effect
    z = (found.value - floor) / math.sqrt(floor * (1 - floor) / size)
    return float(ndtr(-z) if spread is None else stdtr(spread.freedom, -z))
