"""Interval and test for every figure Denizen reports; nothing here knows about models.

Contract: inputs are counts or equally long sequences of outcomes (bool or float in [0, 1]),
paired by position; outputs are NamedTuples that carry their interval and sample size. Random
methods take a seed and are reproducible. Rates and differences are fractions, not percent.
Bad arguments raise ValueError. See `margin.py` and `power.py` for the rest.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple

Alternative = Literal["two-sided", "greater", "less"]

RESAMPLES = 10_000
SEED = 20_261_121


class Proportion(NamedTuple):
    """A share of successes with its interval, all in [0, 1]."""

    value: float
    low: float
    high: float
    successes: int
    n: int
    confidence: float


class McNemar(NamedTuple):
    """Exact paired test. wins: only the second system is right; losses: only the first.

    `win_share` is wins / (wins + losses) with its Clopper-Pearson interval; 0.5 means no
    difference. It is nan when no pair is discordant.
    """

    wins: int
    losses: int
    p: float
    alternative: Alternative
    win_share: float
    low: float
    high: float
    confidence: float


class Difference(NamedTuple):
    """Mean of (second - first) over pairs, in [-1, 1], with its interval.

    `clusters` is the number of independent groups resampled (n for the plain method).
    """

    value: float
    low: float
    high: float
    confidence: float
    method: str
    n: int
    clusters: int


class Adjusted(NamedTuple):
    """One hypothesis after Holm: its p-value, the adjusted one, and the decision at alpha."""

    p: float
    adjusted: float
    rejected: bool


def z_value(probability: float) -> float:
    """Standard normal quantile."""
    from scipy.special import ndtri

    return float(ndtri(probability))


def wilson(successes: int, n: int, confidence: float = 0.95) -> Proportion:
    """Wilson score interval of a proportion (Wilson 1927), without continuity correction."""
    if n <= 0 or not 0 <= successes <= n:
        raise ValueError(f"need 0 <= successes <= n and n > 0, got {successes} of {n}")
    z = z_value(0.5 + confidence / 2)
    share = successes / n
    denominator = 1 + z * z / n
    centre = (share + z * z / (2 * n)) / denominator
    half = z / denominator * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # At 0 and n the closed form reaches the edge exactly; rounding must not step over it.
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return Proportion(share, low, high, successes, n, confidence)


def zero_failure_bound(n: int, confidence: float = 0.95) -> Proportion:
    """Upper bound of a failure rate after n trials without one: 1 - (1 - confidence)^(1/n)."""
    if n <= 0:
        raise ValueError(f"need n > 0, got {n}")
    return Proportion(0.0, 0.0, -math.expm1(math.log1p(-confidence) / n), 0, n, confidence)


def discordant(first: Sequence[float], second: Sequence[float]) -> tuple[int, int]:
    """(wins, losses) of the second system over paired binary outcomes."""
    _check_paired(first, second)
    wins = sum(bool(b) and not a for a, b in zip(first, second, strict=True))
    losses = sum(bool(a) and not b for a, b in zip(first, second, strict=True))
    return wins, losses


def mcnemar(
    wins: int,
    losses: int,
    alternative: Alternative = "two-sided",
    confidence: float = 0.95,
) -> McNemar:
    """Exact McNemar test: wins ~ Binomial(wins + losses, 1/2) when the systems are equal.

    'greater' asks whether the second system is better. p = 1 without discordant pairs.
    """
    # The special functions behind scipy.stats, which takes ten times as long to check arguments.
    from scipy.special import bdtr, bdtrc, betaincinv

    if wins < 0 or losses < 0:
        raise ValueError(f"need counts >= 0, got {wins} and {losses}")
    n = wins + losses
    if n == 0:
        nan = math.nan
        return McNemar(0, 0, 1.0, alternative, nan, nan, nan, confidence)
    if alternative == "greater":
        p = float(bdtrc(wins - 1, n, 0.5)) if wins else 1.0
    elif alternative == "less":
        p = float(bdtr(wins, n, 0.5))
    else:
        p = min(1.0, 2 * float(bdtr(min(wins, losses), n, 0.5)))
    tail = (1 - confidence) / 2
    low = float(betaincinv(wins, losses + 1, tail)) if wins else 0.0
    high = float(betaincinv(wins + 1, losses, 1 - tail)) if losses else 1.0
    return McNemar(wins, losses, p, alternative, wins / n, low, high, confidence)


def paired_bootstrap(
    first: Sequence[float],
    second: Sequence[float],
    *,
    clusters: Sequence[Hashable] | None = None,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Difference:
    """Percentile bootstrap interval of mean(second - first).

    Resamples pairs, or whole clusters of pairs when `clusters` (one label a pair) is given; the
    cluster interval is stretched by sqrt(k / (k - 1)) because k resampled clusters understate
    their own spread. One cluster cannot tell: its interval is [-1, 1].
    """
    import numpy as np

    _check_paired(first, second)
    delta = np.asarray(second, dtype=float) - np.asarray(first, dtype=float)
    n = len(delta)
    value = float(delta.mean())
    edges = [(1 - confidence) / 2, (1 + confidence) / 2]
    if clusters is None:
        # Resampling n pairs is one multinomial draw over the distinct differences.
        distinct, counts = np.unique(delta, return_counts=True)
        rng = np.random.default_rng(seed)
        means = rng.multinomial(n, counts / n, size=resamples) @ distinct / n
        low, high = (float(q) for q in np.quantile(means, edges))
        return Difference(value, low, high, confidence, "paired bootstrap", n, n)
    if len(clusters) != n:
        raise ValueError(f"need one cluster a pair, got {len(clusters)} for {n}")
    index: dict[Hashable, int] = {}
    labels = np.array([index.setdefault(label, len(index)) for label in clusters])
    k = len(index)
    if k == 1:
        return Difference(value, -1.0, 1.0, confidence, "cluster bootstrap", n, 1)
    sums = np.bincount(labels, weights=delta, minlength=k)
    sizes = np.bincount(labels, minlength=k).astype(float)
    units = np.column_stack([sums, sizes])
    if k * resamples <= _KEEP:
        totals = _draws(k, resamples, seed) @ units
    else:
        # Clusters that look alike are drawn as one kind: few kinds, and the same distribution.
        kinds, counts = np.unique(units, axis=0, return_counts=True)
        totals = np.random.default_rng(seed).multinomial(k, counts / k, size=resamples) @ kinds
    means = totals[:, 0] / totals[:, 1]
    stretched = value + (means - value) * math.sqrt(k / (k - 1))
    low, high = (float(q) for q in np.quantile(stretched, edges))
    return Difference(value, max(-1.0, low), min(1.0, high), confidence, "cluster bootstrap", n, k)


# A table of draws depends on three numbers only, so a gate makes it once for all its checks. Above
# this many counts (16 MB) it is not kept, and not made.
_KEEP = 2_000_000


@lru_cache(maxsize=8)
def _draws(k: int, resamples: int, seed: int) -> Any:
    """How often each of k clusters is drawn, [resamples, k] as float64, read-only."""
    import numpy as np

    drawn = np.random.default_rng(seed).multinomial(k, np.full(k, 1 / k), size=resamples)
    table = drawn.astype(float)
    table.flags.writeable = False
    return table


def holm(p_values: Mapping[str, float], alpha: float = 0.05) -> dict[str, Adjusted]:
    """Holm's step-down correction (Holm 1979): familywise error <= alpha, any dependence.

    Keys name the hypotheses; the result keeps their order.
    """
    ranked = sorted(p_values.items(), key=lambda pair: pair[1])
    m, running, adjusted = len(ranked), 0.0, {}
    for rank, (key, p) in enumerate(ranked):
        running = max(running, min(1.0, (m - rank) * p))
        adjusted[key] = Adjusted(p, running, running <= alpha)
    return {key: adjusted[key] for key in p_values}


def _check_paired(first: Sequence[float], second: Sequence[float]) -> None:
    if len(first) != len(second) or not len(first):
        raise ValueError(f"need paired, non-empty outcomes, got {len(first)} and {len(second)}")
