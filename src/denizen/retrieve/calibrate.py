"""Fits the answerability of answerable.py: a logistic regression on questions with known answers.

Contract: `fit` takes features and labels of calibration questions and gives an Answerability whose
confidence is the probability under equal odds; the strength of the penalty is chosen by
cross-validation over clusters, the threshold as the one that balances both kinds of error best on
cross-fitted confidences. scipy only; the same rows give the same model.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from denizen.project.errors import DataError
from denizen.retrieve.answerable import FEATURES, Answerability

_PENALTIES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
_FOLDS = 5
_FEWEST = 20  # questions of each kind


def fit(
    rows: Sequence[Mapping[str, float]],
    labels: Sequence[bool],
    clusters: Sequence[Hashable],
    *,
    embedder: str,
    rerank: bool,
    made: Mapping[str, Any] | None = None,
) -> Answerability:
    """Fit on calibration questions; raises DataError when there are too few of a kind."""
    import numpy as np

    y = np.asarray(labels, dtype=float)
    if min(y.sum(), len(y) - y.sum()) < _FEWEST:
        raise DataError(
            f"{int(y.sum())} answerable and {int(len(y) - y.sum())} unanswerable questions",
            where="answerability",
            fix=f"give at least {_FEWEST} of each kind",
        )
    names = [name for name in FEATURES if rerank or not name.startswith("max_sim")]
    raw = np.array([[row[name] for name in names] for row in rows])
    means, scales = raw.mean(0), raw.std(0)
    scales[scales < 1e-9] = 1.0
    x = (raw - means) / scales
    folds = _folds(clusters)
    losses = {penalty: _crossed(x, y, folds, penalty) for penalty in _PENALTIES}
    penalty = min(_PENALTIES, key=lambda p: (losses[p][0], -p))
    weights = _solve(x, y, penalty)
    threshold = _balanced_threshold(losses[penalty][1], y > 0.5)
    return Answerability(
        embedder=embedder,
        rerank=rerank,
        weights=dict(zip(names, map(_rounded, weights[1:]), strict=True)),
        means=dict(zip(names, map(_rounded, means), strict=True)),
        scales=dict(zip(names, map(_rounded, scales), strict=True)),
        bias=_rounded(weights[0]),
        threshold=round(threshold, 4),
        made={"questions": len(y), "answerable": int(y.sum()), "penalty": penalty, **(made or {})},
    )


def calibration_error(
    confidences: Sequence[float], labels: Sequence[bool], bins: int = 10
) -> float:
    """Expected calibration error over bins of equal width, with both kinds weighted alike."""
    import numpy as np

    p, y = np.asarray(confidences), np.asarray(labels, dtype=float)
    w = _balance(y)
    places = np.minimum((p * bins).astype(int), bins - 1)
    gaps = [
        abs(float((w * (p - y))[places == b].sum())) for b in range(bins) if (places == b).any()
    ]
    return float(sum(gaps) / w.sum())


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")


def _folds(clusters: Sequence[Hashable]) -> Any:
    import numpy as np

    index: dict[Hashable, int] = {}
    return np.array([index.setdefault(label, len(index)) for label in clusters]) % _FOLDS


def _balance(y: Any) -> Any:
    """Weights that make both kinds count the same."""
    import numpy as np

    share = y.mean()
    return np.where(y > 0.5, 0.5 / share, 0.5 / (1 - share))


def _solve(x: Any, y: Any, penalty: float) -> Any:
    """[bias, weights...] of the balanced, L2-penalised logistic regression."""
    import numpy as np
    from scipy.optimize import minimize

    design, w = np.column_stack([np.ones(len(x)), x]), _balance(y)

    def loss(beta: Any) -> tuple[float, Any]:
        z = design @ beta
        p = 1 / (1 + np.exp(-np.clip(z, -40, 40)))
        value = (w * (np.logaddexp(0, z) - y * z)).sum() + penalty / 2 * (beta[1:] ** 2).sum()
        slope = design.T @ (w * (p - y))
        slope[1:] += penalty * beta[1:]
        return float(value), slope

    return minimize(loss, np.zeros(design.shape[1]), jac=True, method="L-BFGS-B").x


def _crossed(x: Any, y: Any, folds: Any, penalty: float) -> tuple[float, Any]:
    """(log loss, confidences) where every cluster is judged by a model that has not seen it."""
    import numpy as np

    p = np.full(len(y), 0.5)
    for fold in range(_FOLDS):
        rest, own = folds != fold, folds == fold
        if own.any() and 0 < y[rest].sum() < rest.sum():
            beta = _solve(x[rest], y[rest], penalty)
            p[own] = 1 / (1 + np.exp(-np.clip(beta[0] + x[own] @ beta[1:], -40, 40)))
    p = np.clip(p, 1e-9, 1 - 1e-9)
    losses = -(y * np.log(p) + (1 - y) * np.log(1 - p))
    return float((_balance(y) * losses).mean()), p


def _balanced_threshold(p: Any, y: Any) -> float:
    """The confidence from which calling a question answerable balances best (Youden)."""
    import numpy as np

    levels = np.unique(p)
    candidates = np.concatenate([[0.0], (levels[1:] + levels[:-1]) / 2, [1.0]])
    called = p[None, :] >= candidates[:, None]
    return float(candidates[int(np.argmax(called[:, y].mean(1) + (~called[:, ~y]).mean(1)))])
