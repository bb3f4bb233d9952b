"""How well two raters agree beyond chance, and whether a judge favours a place.

Contract: `cohen_kappa` (Cohen 1960; weighted 1968) gives kappa with a bootstrap interval over
items; `position_bias` the exact test of a preference for the first place over pairs asked in both
orders.  Every figure is a NamedTuple that carries its interval and n; bad input is a ValueError.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from denizen.evaluate.stats import RESAMPLES, SEED, mcnemar, wilson

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Weights = Literal["none", "linear", "quadratic"]


class Kappa(NamedTuple):
    """Agreement beyond chance: 1 is full, 0 is what chance gives; `agreement` is the raw share."""

    value: float
    low: float
    high: float
    confidence: float
    n: int
    weights: Weights
    agreement: float


class PositionBias(NamedTuple):
    """Of the `flipped` pairs whose verdict followed the place, those that chose the first.

    `share` with its interval is first / flipped (nan without any); `p` is exact and two-sided;
    `inconsistent` is the share of all `n` pairs whose two orders disagreed in any way.
    """

    first: int
    flipped: int
    share: float
    low: float
    high: float
    p: float
    inconsistent: float
    n: int


def cohen_kappa(
    human: Sequence[str],
    judge: Sequence[str],
    categories: Sequence[str],
    *,
    weights: Weights = "none",
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Kappa:
    """Kappa over paired labels; `categories` are in order (it matters to weights alone).

    The interval is the percentile bootstrap over items, and its lower end is never above what
    Wilson's bound of the agreement gives: few items that all agree are no proof.  Raters who used
    one category alone agree by chance, so kappa is then 0.
    """
    import numpy as np

    if len(human) != len(judge) or not len(human):
        raise ValueError(f"need paired, non-empty labels, got {len(human)} and {len(judge)}")
    place = {name: i for i, name in enumerate(categories)}
    unknown = {*human, *judge} - place.keys()
    if unknown:
        raise ValueError(f"labels outside the categories: {sorted(unknown)}")
    k, n = len(categories), len(human)
    counts = np.zeros((k, k))
    for a, b in zip(human, judge, strict=True):
        counts[place[a], place[b]] += 1
    cost = _cost(k, weights)
    value = float(_kappa(counts[None], cost)[0])
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(n, (counts / n).ravel(), size=resamples).reshape(-1, k, k)
    edges = [(1 - confidence) / 2, (1 + confidence) / 2]
    low, high = (float(q) for q in np.quantile(_kappa(drawn.astype(float), cost), edges))
    agreed = int(np.trace(counts))
    chance = float((counts.sum(1) * counts.sum(0)).sum()) / n**2
    if chance < 1:
        low = min(low, (wilson(agreed, n, confidence).low - chance) / (1 - chance))
    return Kappa(value, max(-1.0, low), max(high, value), confidence, n, weights, agreed / n)


def position_bias(picks: Sequence[tuple[str, str]]) -> PositionBias:
    """Bias of (verdict as asked, verdict with the answers exchanged), each of what stood where.

    A fair judge that says "first" then says "second"; one that says "first" twice chose a place.
    """
    n = len(picks)
    if not n:
        raise ValueError("need at least one pair asked in both orders")
    first = sum(a == b == "first" for a, b in picks)
    second = sum(a == b == "second" for a, b in picks)
    mirror = {"first": "second", "second": "first", "tie": "tie"}
    inconsistent = sum(mirror[a] != b for a, b in picks) / n
    test = mcnemar(first, second)
    return PositionBias(
        first,
        first + second,
        test.win_share,
        test.low,
        test.high,
        test.p,
        inconsistent,
        n,
    )


def _cost(k: int, weights: Weights) -> NDArray[np.float64]:
    import numpy as np

    distance = np.abs(np.subtract.outer(np.arange(k), np.arange(k))).astype(float)
    if weights == "none":
        return (distance > 0).astype(float)
    return distance if weights == "linear" else distance**2


def _kappa(counts: NDArray[np.float64], cost: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 - observed cost / cost expected by chance, of tables [resamples, k, k]; 0 for 0 / 0."""
    import numpy as np

    n = counts.sum((1, 2))
    observed = (counts * cost).sum((1, 2)) / n
    expected = np.einsum("ri,rj,ij->r", counts.sum(2), counts.sum(1), cost) / n**2
    safe = np.where(expected > 0, expected, 1.0)
    kappa: NDArray[np.float64] = np.where(expected > 0, 1 - observed / safe, 0.0)
    return kappa
