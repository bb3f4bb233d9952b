"""The reliability diagram's figures: stated confidence against outcomes, with the error of both.

Contract: plain paired sequences in, a `Reliability` out; reproducible by seed; ValueError on input
that cannot be read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from denizen.evaluate.report.evidence import Rate, Reliability, ReliabilityBin
from denizen.evaluate.stats import RESAMPLES, SEED, wilson

if TYPE_CHECKING:
    import numpy as np

BINS = 10


def reliability(
    confidences: Sequence[float],
    outcomes: Sequence[bool],
    *,
    system: str,
    measure: str = "token margin",
    bins: int = BINS,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Reliability:
    """Reliability diagram over bins of equal count (Nguyen and O'Connor 2015).

    confidences  in [0, 1], one an answer, e.g. the mean margin between the two likeliest tokens
    outcomes     whether that answer was right

    The interval of the ECE resamples answers within these bins, corrected for the bias that an
    absolute value brings (BC, Efron 1987); `chance` draws the outcomes from the stated confidences
    (Broecker and Smith 2007). Raises ValueError on unpaired or empty input
    and on a confidence outside [0, 1].
    """
    import numpy as np

    if len(confidences) != len(outcomes) or not len(confidences):
        raise ValueError(f"need one outcome a confidence, got {len(outcomes)}, {len(confidences)}")
    stated = np.asarray(confidences, dtype=float)
    if not ((stated >= 0) & (stated <= 1)).all():
        raise ValueError("a confidence lies outside [0, 1]")
    right, n = np.asarray(outcomes, dtype=float), len(stated)
    # Under ten answers a bin says nothing; equal confidences stay in one bin.
    parts = np.linspace(0, 1, min(bins, max(1, n // 10)) + 1)[1:-1]
    edges = np.unique(np.quantile(stated, parts))
    index = np.searchsorted(edges, stated, side="left")
    groups = [index == group for group in np.unique(index)]
    members = np.column_stack(groups).astype(float)  # (n, bins)

    def ece(gaps: np.ndarray) -> np.ndarray:
        """(resamples, n) of confidence minus outcome, weighted: one error a resample."""
        return np.asarray(np.abs(gaps @ members).sum(axis=-1) / n)

    rng = np.random.default_rng(seed)
    drawn, null = [], []
    for _ in range(-(-resamples // 500)):
        weights = rng.multinomial(n, np.full(n, 1 / n), size=500)
        drawn.append(ece(weights * (stated - right)))
        null.append(ece(stated - (rng.random((500, n)) < stated)))
    found, value = np.concatenate(drawn)[:resamples], float(ece(stated - right))
    low, high = _bias_corrected(found, value)
    chance = float(np.quantile(np.concatenate(null)[:resamples], 0.95))
    return Reliability(
        system,
        measure,
        tuple(
            ReliabilityBin(
                float(stated[group].min()),
                float(stated[group].max()),
                float(stated[group].mean()),
                Rate.of(wilson(int(right[group].sum()), int(group.sum()))),
            )
            for group in groups
        ),
        value,
        low,
        high,
        n,
        chance,
    )


def _bias_corrected(resampled: np.ndarray, value: float) -> tuple[float, float]:
    """95% interval whose quantiles are shifted by how far the resamples sit off the estimate."""
    import numpy as np
    from scipy.special import ndtr, ndtri

    share = float(np.clip((resampled < value).mean(), 1 / len(resampled), 1 - 1 / len(resampled)))
    z = ndtri(share)
    edges = ndtr([2 * z + ndtri(0.025), 2 * z + ndtri(0.975)])
    low, high = (float(q) for q in np.quantile(resampled, edges))
    return min(low, value), max(high, value)
