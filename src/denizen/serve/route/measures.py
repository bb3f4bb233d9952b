"""How good a router is, by RouteLLM's definitions: quality against the share that escalates.

Contract: paired sequences over the same questions (confidence of the local answer; whether local
and frontier are right), shares and qualities as fractions; the least sure escalate first, equal
confidences share their gains evenly, and between two counts of questions quality is linear (the
marginal question escalates at random).  PGR, APGR and CPT as in Ong et al. 2024; figures that
need the frontier to be better are None where it is not surely so.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from denizen.evaluate.suites.ranking import ClusterDraws

    Floats = NDArray[np.float64]

RESAMPLES, SEED = 1000, 20_261_122
_SURE = 0.975


class Curve(NamedTuple):
    """Quality at each share escalated: breakpoints of a piecewise linear function on [0, 1]."""

    shares: Floats
    quality: Floats

    def at(self, share: float) -> float:
        """Quality when exactly this share escalates."""
        import numpy as np

        return float(np.interp(share, self.shares, self.quality))


class Span(NamedTuple):
    """A figure with its 95% interval (percentiles over resampled clusters)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Measures:
    """Everything about one router and one frontier on `n` questions.

    `quality` is at exactly `share` escalated, `oracle` what a router that knew all outcomes would
    reach with at most that share, `regret` the difference; `random` what chance would.  Intervals
    are made as a Span's.
    """

    n: int
    clusters: int
    local: float
    frontier: float
    share: float
    quality: Span
    random: float
    oracle: float
    regret: float
    apgr: Span | None
    cpt50: float | None
    cpt80: float | None
    regret_interval: tuple[float, float]
    cpt50_interval: tuple[float, float] | None
    cpt80_interval: tuple[float, float] | None


def curve(
    confidences: Sequence[float] | Floats,
    local: Sequence[bool] | Floats,
    frontier: Sequence[bool] | Floats,
    weights: Floats | None = None,
) -> Curve:
    """The router's curve; `weights` are how often each question counts."""
    import numpy as np

    stated = np.asarray(confidences, dtype=float)
    ours, theirs = np.asarray(local, dtype=float), np.asarray(frontier, dtype=float)
    if not len(stated) == len(ours) == len(theirs) or not len(stated):
        raise ValueError(f"need paired items, got {len(stated)}, {len(ours)}, {len(theirs)}")
    w = np.ones(len(stated)) if weights is None else np.asarray(weights, dtype=float)
    # One breakpoint a distinct confidence: within ties quality runs straight.
    _, place = np.unique(stated, return_inverse=True)
    size = np.bincount(place, weights=w)
    gain = np.bincount(place, weights=w * (theirs - ours))
    total = w.sum()
    shares = np.concatenate([[0.0], np.cumsum(size) / total])
    quality = float((w * ours).sum() / total) + np.concatenate([[0.0], np.cumsum(gain) / total])
    shares[-1] = 1.0
    return Curve(shares, quality)


def oracle(local: Sequence[bool] | Floats, frontier: Sequence[bool] | Floats) -> Curve:
    """The best any router can do with at most each share: gains first, nothing that would lose."""
    import numpy as np

    ours, theirs = np.asarray(local, dtype=float), np.asarray(frontier, dtype=float)
    gains = np.maximum(np.sort(theirs - ours)[::-1], 0.0)
    n = len(ours)
    return Curve(
        np.arange(n + 1) / n, float(ours.mean()) + np.concatenate([[0.0], np.cumsum(gains) / n])
    )


def apgr(found: Curve) -> float | None:
    """Average performance gap recovered: the area under (quality - local) / (frontier - local).

    The exact area, which RouteLLM approximates by ten steps; a random router has 1/2.
    """
    import numpy as np

    gap = float(found.quality[-1] - found.quality[0])
    if gap <= 0:
        return None
    return float(np.trapezoid((found.quality - found.quality[0]) / gap, found.shares))


def cpt(found: Curve, recovered: float) -> float | None:
    """Call-performance threshold: the least share that recovers so much of the gap."""
    gains = (found.quality - found.quality[0])[None]
    return float(_calls(found.shares[None], gains, recovered)[0]) if gains[0, -1] > 0 else None


def _calls(shares: Floats, gains: Floats, recovered: float) -> Floats:
    """The same of many curves, a row each, all of which gain something in the end."""
    import numpy as np

    wanted, rows = recovered * gains[:, -1], np.arange(len(gains))
    k = np.argmax(gains[:, 1:] >= wanted[:, None] - 1e-12, axis=1) + 1
    before, after = gains[rows, k - 1], gains[rows, k]
    left, right = shares[rows, k - 1], shares[rows, k]
    step = np.where(after > before, after - before, 1.0)
    part = np.where(after > before, (wanted - before) / step, 0.0)
    return np.asarray(left + np.clip(part, 0.0, 1.0) * (right - left))


def measure(
    confidences: Sequence[float],
    local: Sequence[bool],
    frontier: Sequence[bool],
    clusters: Sequence[Hashable],
    share: float,
    *,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Measures:
    """All figures, with intervals over resampled clusters of questions."""
    from denizen.evaluate.suites.ranking import ClusterDraws

    found, best = curve(confidences, local, frontier), oracle(local, frontier)
    draws = ClusterDraws.of(clusters, resamples, seed)
    drawn = _resampled(confidences, local, frontier, draws, share)
    average = apgr(found)
    quality = found.at(share)
    start, end = float(found.quality[0]), float(found.quality[-1])
    # A gap that may be none makes any share of it: below this nothing is said about recovering it.
    surely = average is not None and len(drawn.areas) >= _SURE * resamples
    return Measures(
        len(local),
        draws.k,
        start,
        end,
        share,
        Span(quality, *_percentiles(drawn.qualities)),
        start + share * (end - start),
        best.at(share),
        best.at(share) - quality,
        Span(average, *_percentiles(drawn.areas)) if surely and average is not None else None,
        cpt(found, 0.5) if surely else None,
        cpt(found, 0.8) if surely else None,
        _percentiles(drawn.regrets),
        _percentiles(drawn.fifties) if surely else None,
        _percentiles(drawn.eighties) if surely else None,
    )


class _Drawn(NamedTuple):
    """Figures of every draw; areas and calls of those alone in which the frontier is better."""

    qualities: Floats
    regrets: Floats
    areas: Floats
    fifties: Floats
    eighties: Floats


def _resampled(
    confidences: Sequence[float],
    local: Sequence[bool],
    frontier: Sequence[bool],
    draws: ClusterDraws,
    share: float,
) -> _Drawn:
    """As `curve`, `oracle`, `apgr` and `cpt` with the draws' weights, for all draws at once."""
    import numpy as np

    ours, theirs = np.asarray(local, dtype=float), np.asarray(frontier, dtype=float)
    levels, place = np.unique(np.asarray(confidences, dtype=float), return_inverse=True)
    weights = draws.counts[:, draws.labels].astype(float)
    weights /= weights.sum(1, keepdims=True)
    member = np.zeros((len(place), len(levels)))
    member[np.arange(len(place)), place] = 1.0
    start = np.zeros((len(weights), 1))
    shares = np.hstack([start, np.cumsum(weights @ member, 1)])
    gains = np.hstack([start, np.cumsum((weights * (theirs - ours)) @ member, 1)])
    first = weights @ ours
    at = [np.interp(share, s, g) for s, g in zip(shares, gains, strict=True)]
    gap = gains[:, -1]
    # A resample in which the frontier is no better says nothing about the gap's recovery.
    better = gap > 1e-12
    area = np.trapezoid(gains[better], shares[better], axis=1) / gap[better]
    best = np.minimum(share, weights @ np.maximum(theirs - ours, 0.0))
    calls = (_calls(shares[better], gains[better], part) for part in (0.5, 0.8))
    return _Drawn(first + np.asarray(at), best - np.asarray(at), np.asarray(area), *calls)


def _percentiles(values: Floats) -> tuple[float, float]:
    import numpy as np

    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


@dataclass(frozen=True)
class Money:
    """Dollars for 1,000 questions at a share escalated and `audited` (a share of all questions);
    `saving` against asking only the frontier, None if that costs nothing."""

    share: float
    audited: float
    routed: Decimal
    frontier: Decimal
    local: Decimal
    saving: float | None


def money(share: float, local_price: float, upstream_price: float, audit: float = 0.0) -> Money:
    """Every question is answered locally first (its signals decide), and a share is paid twice;
    so is what is audited: the share `audit` of the local answers."""
    local, upstream = Decimal(str(local_price)), Decimal(str(upstream_price))
    audited = audit * (1 - share)
    asked = Decimal(str(round(share + audited, 6)))
    routed = (local + asked * upstream).quantize(Decimal("0.0001"))
    saving = float(1 - routed / upstream) if upstream else None
    return Money(share, audited, routed, upstream, local, saving)
