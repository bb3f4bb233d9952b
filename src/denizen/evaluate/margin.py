"""Is the second system no worse than the first by more than a stated margin?

Contract: binary outcomes paired by position, margin > 0 as a fraction. The bound is Tango's
score bound (closed form for the nuisance parameter, bisection for the bound; T. Tango, 1998),
which stays honest when few or no pairs disagree, where a bootstrap collapses to a point. With
clusters it is taken at the effective sample size with Student's quantile (see `clustered.py`),
the cluster bootstrap bound is taken as well, and the lower of the two decides.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import NamedTuple

from denizen.evaluate.clustered import Spread, paired_spread
from denizen.evaluate.stats import RESAMPLES, SEED, discordant, paired_bootstrap, z_value


class NonInferiority(NamedTuple):
    """low/high are one-sided bounds, each at `confidence`: both hold together at 2c - 1.

    `noninferior` when low > -margin, `inferior` when high < -margin; neither means undecided.
    `p` is the one-sided score p-value of 'worse by the margin or more'. `design_effect` is how
    many times more items the clusters cost (1 without clusters).
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
    design_effect: float = 1.0

    @property
    def noninferior(self) -> bool:
        return self.low > -self.margin

    @property
    def inferior(self) -> bool:
        return self.high < -self.margin


def score_statistic(wins: float, losses: float, n: float, delta: float) -> float:
    """Tango's z for 'the true difference (second - first) is delta', |delta| < 1.

    Counts may be fractions: those of an effective sample size.
    """
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


def score_bounds(
    wins: float,
    losses: float,
    n: float,
    confidence: float = 0.95,
    quantile: float | None = None,
) -> tuple[float, float]:
    """One-sided lower and upper score bounds of the paired difference, each at `confidence`.

    `quantile` replaces the normal quantile of `confidence` (Student's, for few clusters).
    """
    if n <= 0 or min(wins, losses) < 0 or wins + losses > n * (1 + 1e-9):
        raise ValueError(f"impossible counts: {wins} wins and {losses} losses of {n}")
    z = z_value(confidence) if quantile is None else quantile
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
    Clusters shrink the sample to its effective size, and their number (those that carry the
    difference) gives Student's degrees of freedom: without both, a margin is declared kept in
    6 to 10% of trials at its very edge instead of 5%.
    """
    from scipy.special import ndtr, stdtr, stdtrit

    if not 0 < margin < 1:
        raise ValueError(f"need 0 < margin < 1, got {margin}")
    wins, losses = discordant(first, second)
    n = len(first)
    spread: Spread | None = None
    if clusters is not None and len(set(clusters)) > 1:
        spread = paired_spread(first, second, clusters)
    if spread is None:
        low, high = score_bounds(wins, losses, n, confidence)
        p = float(ndtr(-score_statistic(wins, losses, n, -margin)))
        value = (wins - losses) / n
        return NonInferiority(
            value, low, high, margin, p, confidence, wins, losses, n, "score bound (Tango)"
        )
    effect, freedom = spread.design_effect, spread.freedom
    won, lost, size = wins / effect, losses / effect, n / effect
    quantile = float(stdtrit(freedom, confidence))
    low, high = score_bounds(won, lost, size, confidence, quantile)
    boot = paired_bootstrap(
        first,
        second,
        clusters=clusters,
        confidence=2 * confidence - 1,
        resamples=resamples,
        seed=seed,
    )
    return NonInferiority(
        (wins - losses) / n,
        min(low, boot.low),
        max(high, boot.high),
        margin,
        float(stdtr(freedom, -score_statistic(won, lost, size, -margin))),
        confidence,
        wins,
        losses,
        n,
        "score bound at the effective size and cluster bootstrap, the wider",
        effect,
    )
