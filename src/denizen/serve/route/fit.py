"""Confidence from signals: ridge logistic regression, then Platt scaling or an isotonic curve.

Contract: `fit` takes signals and outcomes of one half of the calibration split; penalty and curve
are chosen by cross-validation over clusters (templates), and the curve is fitted on cross-fitted
scores, so no item judges itself.  A signal that some items lack is filled with its mean and its
absence is a feature of its own; one that all items had is required later (`missing` names it).
Same rows, same model; numpy and scipy only.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from denizen.serve.route.signals import SIGNALS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

Curve = Literal["platt", "isotonic", "constant"]
PENALTIES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
FOLDS = 5
# Fewer answers of one kind (right or wrong) than this teach no weights: the rate alone is stated.
FEWEST = 8
_DIGITS = 6  # of a confidence: a threshold means the same however many are computed together
_STEPS, _TOLERANCE = 50, 1e-9


@dataclass(frozen=True)
class Confidence:
    """A fitted model; `of` gives the probability in [0, 1] that a local answer is right.

    `weights`, `means` and `scales` are by signal, `absent` the weight of a signal's absence.
    `points` are (a, b) of 1 / (1 + exp(-(a z + b))) for platt, knots (z, share) for isotonic,
    and one (0, share) for constant.
    """

    weights: dict[str, float]
    means: dict[str, float]
    scales: dict[str, float]
    absent: dict[str, float]
    bias: float
    curve: Curve
    points: tuple[tuple[float, float], ...]
    made: dict[str, Any]

    def missing(self, signals: Mapping[str, float]) -> tuple[str, ...]:
        """Signals that every calibration answer had and this one lacks."""
        return tuple(n for n in self.weights if n not in signals and n not in self.absent)

    def of(self, rows: Sequence[Mapping[str, float]]) -> Floats:
        """Confidence of each answer, rounded to six digits."""
        return self.of_columns(columns_of(rows), len(rows))

    def of_columns(self, columns: Mapping[str, Floats], n: int) -> Floats:
        """The same from columns by signal, NaN where it is not known."""
        import numpy as np

        z = np.full(n, self.bias)
        for name, weight in self.weights.items():
            raw = columns[name]
            known = ~np.isnan(raw)
            z += np.where(known, weight * (raw - self.means[name]) / self.scales[name], 0.0)
            z += self.absent.get(name, 0.0) * ~known
        curve = _curve_of(self.curve, self.points)
        stated: Floats = np.round(np.clip(curve(z), 0.0, 1.0), _DIGITS)
        return stated


def columns_of(rows: Sequence[Mapping[str, float]]) -> dict[str, Floats]:
    """Signals by name over all rows, NaN where a row lacks one."""
    import numpy as np

    return {name: np.array([row.get(name, np.nan) for row in rows]) for name in SIGNALS}


@dataclass(frozen=True)
class Fitted:
    """The model, and each item's confidence by models that had not seen its cluster."""

    model: Confidence
    crossed: tuple[float, ...]


def fit(
    rows: Sequence[Mapping[str, float]], right: Sequence[bool], clusters: Sequence[Hashable]
) -> Fitted:
    """Fit on paired rows; raises ValueError for none or unpaired ones."""
    import numpy as np

    if not len(rows) or not len(rows) == len(right) == len(clusters):
        raise ValueError(f"need paired rows, got {len(rows)}, {len(right)}, {len(clusters)}")
    y = np.asarray(right, dtype=float)
    wrong, n = int((1 - y).sum()), len(y)
    if min(wrong, n - wrong) < FEWEST:
        # Rule of succession: a run without an error is no certainty.
        share = _rounded((n - wrong + 1) / (n + 2))
        made: dict[str, Any] = {"items": n, "wrong": wrong}
        model = Confidence({}, {}, {}, {}, 0.0, "constant", ((0.0, share),), made)
        return Fitted(model, tuple(model.of(rows).tolist()))
    design = _Design.of(rows)
    folds = _folds(clusters)
    crossed = {p: _crossed_scores(design.x, y, folds, p) for p in PENALTIES}
    losses = {p: _log_loss(_sigmoid(z), y) for p, z in crossed.items()}
    penalty = min(PENALTIES, key=lambda p: (losses[p], -p))
    z = crossed[penalty]
    curves: dict[Curve, Floats] = {kind: _crossed_curve(kind, z, y, folds) for kind in _FITTERS}
    chosen: Curve = min(curves, key=lambda kind: (_log_loss(curves[kind], y), kind == "isotonic"))
    weights = _logistic(design.x, y, penalty)
    k = len(design.names)
    model = Confidence(
        dict(zip(design.names, map(_rounded, weights[1 : k + 1]), strict=True)),
        dict(zip(design.names, map(_rounded, design.means), strict=True)),
        dict(zip(design.names, map(_rounded, design.scales), strict=True)),
        dict(zip(design.lacking, map(_rounded, weights[k + 1 :]), strict=True)),
        _rounded(weights[0]),
        chosen,
        tuple((_rounded(a), _rounded(b)) for a, b in _FITTERS[chosen](z, y)),
        {
            "items": n,
            "wrong": wrong,
            "penalty": penalty,
            "log_loss": {kind: round(_log_loss(p, y), 5) for kind, p in curves.items()},
            "log_loss_of_the_rate": round(_log_loss(np.full(n, y.mean()), y), 5),
        },
    )
    return Fitted(model, tuple(np.round(np.clip(curves[chosen], 0, 1), _DIGITS).tolist()))


@dataclass(frozen=True)
class _Design:
    """Standardised signals [n, k], then one column a signal that some rows lack."""

    names: tuple[str, ...]
    lacking: tuple[str, ...]
    means: Any
    scales: Any
    x: Any

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, float]]) -> _Design:
        import numpy as np

        raw = np.column_stack(list(columns_of(rows).values()))
        known = ~np.isnan(raw)
        # A signal that never varies among the rows (or that none has) teaches nothing.
        varies = np.array(
            [k.any() and np.ptp(v[k]) > _TOLERANCE for v, k in zip(raw.T, known.T, strict=True)]
        )
        raw, known = raw[:, varies], known[:, varies]
        names = tuple(name for name, kept in zip(SIGNALS, varies, strict=True) if kept)
        means, scales = np.nanmean(raw, 0), np.nanstd(raw, 0)
        x = np.where(known, (raw - means) / scales, 0.0)
        partly = np.asarray(~known.all(0))
        lacking = tuple(name for name, some in zip(names, partly.tolist(), strict=True) if some)
        return cls(names, lacking, means, scales, np.column_stack([x, ~known[:, partly]]))


def _rounded(value: float) -> float:
    return float(f"{value:.9g}")


def _folds(clusters: Sequence[Hashable]) -> NDArray[np.int64]:
    import numpy as np

    index: dict[Hashable, int] = {}
    return np.array([index.setdefault(label, len(index)) for label in clusters]) % FOLDS


def _sigmoid(z: Any) -> Floats:
    from scipy.special import expit

    return expit(z)  # type: ignore[no-any-return]


def _log_loss(p: Floats, y: Floats) -> float:
    import numpy as np

    p = np.clip(p, 1e-6, 1 - 1e-6)
    return float(-(y * np.log(p) + (1 - y) * np.log(1 - p)).mean())


def _logistic(x: Floats, y: Floats, penalty: float) -> Floats:
    """[bias, weights...] that minimise log loss + penalty / 2 |weights|^2, by Newton's method."""
    import numpy as np

    design = np.column_stack([np.ones(len(x)), x])
    # A trace of ridge on the bias keeps the system regular when all outcomes are alike.
    ridge = np.full(design.shape[1], penalty)
    ridge[0] = 1e-6
    beta = np.zeros(design.shape[1])

    def loss(b: Floats) -> float:
        z = design @ b
        return float((np.logaddexp(0, z) - y * z).sum() + (ridge * b * b).sum() / 2)

    value = loss(beta)
    for _ in range(_STEPS):
        p = _sigmoid(design @ beta)
        slope = design.T @ (p - y) + ridge * beta
        curvature = (design.T * (p * (1 - p))) @ design + np.diag(ridge)
        step = np.linalg.solve(curvature, slope)
        size = 1.0
        while (new := loss(beta - size * step)) > value and size > 1e-6:
            size /= 2
        beta, gain, value = beta - size * step, value - new, min(new, value)
        if gain < _TOLERANCE:
            break
    return beta


def _crossed_scores(x: Floats, y: Floats, folds: Any, penalty: float) -> Floats:
    """Log odds of every row by a regression that has not seen its fold."""
    import numpy as np

    z = np.zeros(len(y))
    for fold in np.unique(folds):
        own = folds == fold
        beta = _logistic(x[~own], y[~own], penalty) if (~own).any() else np.zeros(x.shape[1] + 1)
        z[own] = beta[0] + x[own] @ beta[1:]
    return z


def _crossed_curve(kind: Curve, z: Floats, y: Floats, folds: Any) -> Floats:
    """Each row's confidence by a curve fitted on the other folds."""
    import numpy as np

    p = np.full(len(y), float(y.mean()))
    for fold in np.unique(folds):
        own = folds == fold
        if (~own).sum() >= 2:
            p[own] = _curve_of(kind, _FITTERS[kind](z[~own], y[~own]))(z[own])
    return p


def platt(z: Floats, y: Floats) -> tuple[tuple[float, float], ...]:
    """(a, b) of 1 / (1 + exp(-(a z + b))) with Platt's smoothed targets (Platt 1999)."""
    import numpy as np

    ones = float(y.sum())
    high, low = (ones + 1) / (ones + 2), 1 / (len(y) - ones + 2)
    beta = _logistic(np.asarray(z)[:, None], np.where(y > 0.5, high, low), 1e-6)
    return ((float(beta[1]), float(beta[0])),)


def isotonic(z: Floats, y: Floats) -> tuple[tuple[float, float], ...]:
    """Knots of the rising curve nearest to the outcomes (pool adjacent violators, scipy's).

    A block is one knot at its mean score; what stands at its ends is kept half an item from 0
    and 1, for no finite sample shows certainty.
    """
    import numpy as np
    from scipy.optimize import isotonic_regression

    levels, place = np.unique(z, return_inverse=True)
    sizes = np.bincount(place).astype(float)
    shares = np.bincount(place, weights=y) / sizes
    found = isotonic_regression(shares, weights=sizes)
    blocks = np.repeat(np.arange(len(found.blocks) - 1), np.diff(found.blocks))
    weight = np.bincount(blocks, weights=sizes)
    centres = np.bincount(blocks, weights=levels * sizes) / weight
    edge = 0.5 / len(y)
    heights = np.clip(found.x[found.blocks[:-1]], edge, 1 - edge)
    return tuple(zip(centres.tolist(), heights.tolist(), strict=True))


_FITTERS: dict[Curve, Callable[[Any, Any], tuple[tuple[float, float], ...]]] = {
    "platt": platt,
    "isotonic": isotonic,
}


def _curve_of(kind: Curve, points: Sequence[tuple[float, float]]) -> Callable[[Any], Any]:
    import numpy as np

    if kind == "platt":
        a, b = points[0]
        # Against the order of the scores there is no calibration, only noise.
        return lambda z: _sigmoid(max(a, 0.0) * z + b)
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return lambda z: np.interp(z, xs, ys)
