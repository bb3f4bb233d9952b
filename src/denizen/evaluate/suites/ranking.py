"""AUROC and balanced accuracy of a score that should tell two kinds of item apart.

Contract: scores (any real, -inf included), labels (True is the kind that should score higher) and
cluster draws; each figure carries a percentile interval over resampled clusters. Draws without both
kinds say nothing and are left out; where most are, the interval is [0, 1]. numpy only.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

# A resample's comparison matrix is positives x negatives: draws are taken in blocks of this many.
_BLOCK = 500
FOLDS = 5


class Estimate(NamedTuple):
    """A figure in [0, 1] with its interval; `n` items in `clusters` independent groups."""

    value: float
    low: float
    high: float
    confidence: float
    n: int
    clusters: int


class ClusterDraws(NamedTuple):
    """How often each item occurs in each resample of clusters: labels [n], counts [draws, k]."""

    labels: Any
    counts: Any

    @classmethod
    def of(cls, clusters: Sequence[Hashable], resamples: int, seed: int) -> ClusterDraws:
        import numpy as np

        index: dict[Hashable, int] = {}
        labels = np.array([index.setdefault(label, len(index)) for label in clusters])
        k = len(index)
        rng = np.random.default_rng(seed)
        return cls(labels, rng.multinomial(k, np.full(k, 1 / k), size=resamples))

    @property
    def k(self) -> int:
        return int(self.counts.shape[1])


def auroc(
    scores: Sequence[float], labels: Sequence[bool], draws: ClusterDraws, confidence: float = 0.95
) -> Estimate:
    """Probability that a True item scores above a False one, ties counting half (Mann-Whitney).

    Raises ValueError unless both kinds are there.
    """
    import numpy as np

    values, kinds = np.asarray(scores, dtype=float), np.asarray(labels, dtype=bool)
    if kinds.all() or not kinds.any():
        raise ValueError("AUROC needs items of both kinds")
    above = values[kinds][:, None] > values[~kinds][None, :]
    equal = values[kinds][:, None] == values[~kinds][None, :]
    wins = above + 0.5 * equal
    made = []
    for start in range(0, len(draws.counts), _BLOCK):
        weights = draws.counts[start : start + _BLOCK][:, draws.labels].astype(float)
        yes, no = weights[:, kinds], weights[:, ~kinds]
        totals = yes.sum(1) * no.sum(1)
        sums = ((yes @ wins) * no).sum(1)
        made.append(sums[totals > 0] / totals[totals > 0])
    return _estimate(float(wins.mean()), np.concatenate(made), draws, len(values), confidence)


def balanced_accuracy(
    scores: Sequence[float],
    labels: Sequence[bool],
    draws: ClusterDraws,
    confidence: float = 0.95,
    threshold: float | None = None,
) -> Estimate:
    """Mean of the two kinds' hit rates when a score >= threshold is called True.

    Without a threshold clusters are dealt into folds and each fold is judged by the threshold that
    is best on the others: fitting and judging on the same items would flatter.
    """
    import numpy as np

    values, kinds = np.asarray(scores, dtype=float), np.asarray(labels, dtype=bool)
    if kinds.all() or not kinds.any():
        raise ValueError("balanced accuracy needs items of both kinds")
    if threshold is not None:
        called = values >= threshold
    else:
        # Clusters are numbered by first appearance; dealing them out in turn mixes the kinds.
        folds = draws.labels % min(FOLDS, draws.k)
        called = np.zeros(len(values), dtype=bool)
        for fold in range(int(folds.max()) + 1):
            rest = folds != fold
            called[~rest] = values[~rest] >= best_threshold(values[rest], kinds[rest])
    right = called == kinds
    weights = draws.counts[:, draws.labels].astype(float)
    shares = []
    keep = np.ones(len(weights), dtype=bool)
    for kind in (kinds, ~kinds):
        totals = weights[:, kind].sum(1)
        keep &= totals > 0
        shares.append((weights[:, kind] * right[kind]).sum(1) / np.maximum(totals, 1))
    drawn = ((shares[0] + shares[1]) / 2)[keep]
    value = float((right[kinds].mean() + right[~kinds].mean()) / 2)
    return _estimate(value, drawn, draws, len(values), confidence)


def best_threshold(values: Any, kinds: Any) -> float:
    """The score from which calling an item True balances best (Youden); midway between scores."""
    import numpy as np

    if kinds.all() or not kinds.any():
        return float("-inf") if kinds.all() else float("inf")
    levels = np.unique(values)
    finite = levels[np.isfinite(levels)]
    middle = (finite[1:] + finite[:-1]) / 2
    candidates = np.concatenate([[-np.inf], finite[:1], middle, [np.inf]])
    called = values[None, :] >= candidates[:, None]
    quality = called[:, kinds].mean(1) + (~called[:, ~kinds]).mean(1)
    return float(candidates[int(np.argmax(quality))])


def _estimate(value: float, drawn: Any, draws: ClusterDraws, n: int, confidence: float) -> Estimate:
    import numpy as np

    if draws.k < 2 or len(drawn) * 2 < len(draws.counts):
        return Estimate(value, 0.0, 1.0, confidence, n, draws.k)
    # k resampled clusters understate their own spread, as in `stats.paired_bootstrap`.
    stretched = value + (drawn - value) * (draws.k / (draws.k - 1)) ** 0.5
    edges = [(1 - confidence) / 2, (1 + confidence) / 2]
    low, high = (float(q) for q in np.quantile(stretched, edges))
    return Estimate(value, max(0.0, low), min(1.0, high), confidence, n, draws.k)
