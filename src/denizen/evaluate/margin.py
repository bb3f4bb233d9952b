"""Is the second system no worse than the first by more than a stated margin?

Contract: binary outcomes paired by position, margin > 0 as a fraction. The bound is Tango's
score bound (closed form for the nuisance parameter, bisection for the bound; T. Tango, 1998),
which stays honest when few or no pairs disagree, where a bootstrap collapses to a point; with
clusters the cluster bootstrap bound is taken as well and the lower of the two decides.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import NamedTuple

from denizen.evaluate.stats import RESAMPLES, SEED, discordant, paired_bootstrap, z_value


class NonInferiority(NamedTuple):
    """low/high are one-sided bounds, each at `confidence`: both hold together at 2c - 1.

    `noninferior` when low > -margin, `inferior` when high < -margin; neither means undecided.
    `p` is the one-sided score p-value of 'worse by the margin or more'.
    """

    value: float
    low: float
    high: float
    margin: float
    p: float
    confidence: float
    wins: int
    losses: int
    n: int
    method: str

    @property
    def noninferior(self) -> bool:
        return self.low > -self.margin

    @property
    def inferior(self) -> bool:
        return self.high < -self.margin


def score_statistic(wins: int, losses: int, n: int, delta: float) -> float:
    """Tango's z for 'the true difference (second - first) is delta', |delta| < 1."""
    a = 2.0 * n
    b = -wins - losses + (2.0 * n - wins + losses) * delta
    c = -losses * delta * (1.0 - delta)
    root = math.sqrt(max(0.0, b * b - 4.0 * a * c))
    share_lost = max(0.0, (root - b) / (2.0 * a))
    variance = n * (2.0 * share_lost + delta * (1.0 - delta))
    distance = wins - losses - n * delta
    if variance <= 0.0:
        return 0.0 if distance == 0 else math.copysign(math.inf, distance)
    return distance / math.sqrt(variance)


def score_bounds(wins: int, losses: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """One-sided lower and upper score bounds of the paired difference, each at `confidence`."""
    if n <= 0 or min(wins, losses) < 0 or wins + losses > n:
        raise ValueError(f"impossible counts: {wins} wins and {losses} losses of {n}")
    z = z_value(confidence)
    value = (wins - losses) / n

    def solve(inner: float, outer: float, target: float) -> float:
        # The statistic falls as delta rises, so the sign of (z - target) brackets the bound.
        for _ in range(60):
            middle = (inner + outer) / 2
            if abs(score_statistic(wins, losses, n, middle)) > target:
                outer = middle
            else:
                inner = middle
        return (inner + outer) / 2

    low = -1.0 if losses == n else solve(value, -1.0, z)
    high = 1.0 if wins == n else solve(value, 1.0, z)
    return low, high


def noninferiority(
    first: Sequence[float],
    second: Sequence[float],
    margin: float,
    *,
    clusters: Sequence[Hashable] | None = None,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> NonInferiority:
    """Test that `second` is not worse than `first` by `margin` or more.

    `p` comes from the score statistic alone; the decision uses the more cautious bounds.
    """
    from scipy.stats import norm

    if not 0 < margin < 1:
        raise ValueError(f"need 0 < margin < 1, got {margin}")
    wins, losses = discordant(first, second)
    n = len(first)
    low, high = score_bounds(wins, losses, n, confidence)
    method = "score bound (Tango)"
    if clusters is not None and len(set(clusters)) > 1:
        boot = paired_bootstrap(
            first,
            second,
            clusters=clusters,
            confidence=2 * confidence - 1,
            resamples=resamples,
            seed=seed,
        )
        low, high = min(low, boot.low), max(high, boot.high)
        method = "score bound and cluster bootstrap, the wider"
    p = float(norm.sf(score_statistic(wins, losses, n, -margin)))
    return NonInferiority(
        (wins - losses) / n, low, high, margin, p, confidence, wins, losses, n, method
    )
