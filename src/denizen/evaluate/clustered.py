"""What clusters cost: design effects, and intervals that hold when few templates carry the items.

Contract: outcomes are paired by position with one cluster label each. A percentile bootstrap of k
clusters is too narrow when k is small (5 clusters: 6% false alarms where 2.5% were promised), and
has no tail left at the small levels that alpha spending asks for; the linearised variance with
Student's quantile covers both. Rates and differences are fractions. Bad input: ValueError.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import NamedTuple

from denizen.evaluate.stats import Difference, Proportion

# Below this many clusters there is nothing to learn a variance between them from: they are then
# taken as fixed, and the claim is about these templates only.
FEWEST = 5


class Spread(NamedTuple):
    """How far clusters move a mean.

    `error` is its standard error between clusters. `design_effect` (>= 1) is that variance over
    the one of independent items: n items are worth n / design_effect (L. Kish, 1965).
    `freedom` counts the clusters that carry the variance, (sum r^2)^2 / sum r^4 over cluster
    residuals r, at least 1 and at most k - 1: ten templates of which two differ know little.
    """

    value: float
    error: float
    design_effect: float
    freedom: float
    n: int
    clusters: int


def spread(values: Sequence[float], clusters: Sequence[Hashable]) -> Spread:
    """The spread of a mean over clusters (ratio estimator, with k / (k - 1))."""
    import numpy as np

    if not len(values) or len(values) != len(clusters):
        raise ValueError(f"need one cluster a value, got {len(clusters)} for {len(values)}")
    data = np.asarray(values, dtype=float)
    index: dict[Hashable, int] = {}
    labels = np.array([index.setdefault(label, len(index)) for label in clusters])
    n, k, value = len(data), len(index), float(data.mean())
    if k == 1:
        return Spread(value, math.inf, float(n), 1.0, n, 1)
    residual = np.bincount(labels, weights=data - value, minlength=k)
    square, fourth = float((residual**2).sum()), float((residual**4).sum())
    variance = k / (k - 1) * square / n**2
    independent = float(data.var()) / n
    effect = variance / independent if independent > 0 else 1.0
    freedom = square * square / fourth if fourth > 0 else k - 1.0
    return Spread(
        value,
        math.sqrt(variance),
        min(float(n), max(1.0, effect)),
        min(k - 1.0, max(1.0, freedom)),
        n,
        k,
    )


def paired_spread(
    first: Sequence[float], second: Sequence[float], clusters: Sequence[Hashable]
) -> Spread:
    """The spread of mean(second - first)."""
    return spread([float(b) - float(a) for a, b in zip(first, second, strict=True)], clusters)


def cluster_interval(
    first: Sequence[float],
    second: Sequence[float],
    clusters: Sequence[Hashable],
    confidence: float = 0.95,
) -> Difference:
    """Student interval of mean(second - first) with k - 1 degrees of freedom; [-1, 1] for one."""
    from scipy.special import stdtrit

    found = paired_spread(first, second, clusters)
    if found.clusters == 1:
        return Difference(found.value, -1.0, 1.0, confidence, "cluster t", found.n, 1)
    half = float(stdtrit(found.clusters - 1, 0.5 + confidence / 2)) * found.error
    low, high = max(-1.0, found.value - half), min(1.0, found.value + half)
    return Difference(found.value, low, high, confidence, "cluster t", found.n, found.clusters)


def wider(one: Difference, other: Difference) -> Difference:
    """The union of two intervals of the same difference; the method names both."""
    method = f"{one.method} and {other.method}, the wider"
    low, high = min(one.low, other.low), max(one.high, other.high)
    return one._replace(low=low, high=high, method=method)


def clustered_wilson(
    outcomes: Sequence[bool], clusters: Sequence[Hashable], confidence: float = 0.95
) -> tuple[Proportion, Spread | None]:
    """Wilson interval of a share of successes, and the spread it took into account.

    At the effective size with Student's quantile (as E. L. Korn and B. I. Graubard, 1998, do for
    surveys). The plain interval, and no spread, when there are fewer than FEWEST clusters, or as
    many as items.
    """
    from denizen.evaluate.stats import wilson

    n, passed = len(outcomes), sum(map(bool, outcomes))
    plain = wilson(passed, n, confidence)
    if not FEWEST <= len(set(clusters)) < n:
        return plain, None
    from scipy.special import stdtrit

    found = spread([float(bool(x)) for x in outcomes], clusters)
    size, share = n / found.design_effect, passed / n
    z = float(stdtrit(found.freedom, 0.5 + confidence / 2))
    centre = (share + z * z / (2 * size)) / (1 + z * z / size)
    half = z / (1 + z * z / size)
    half *= math.sqrt(share * (1 - share) / size + z * z / (4 * size * size))
    low = 0.0 if passed == 0 else max(0.0, centre - half)
    high = 1.0 if passed == n else min(1.0, centre + half)
    return Proportion(share, low, high, passed, n, confidence), found
