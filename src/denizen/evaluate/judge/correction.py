"""From the rate a judge reports to the rate people would: two corrections, each with its interval.

Contract: inputs are counts or 0/1 outcomes; outputs are `Corrected` rates in [0, 1].
`rogan_gladen` undoes a known sensitivity and specificity (it assumes they carry over to the new
items); `prediction_powered` adds the judge's mean error on a labelled sample (it assumes that the
sample was drawn from the same items).  A judge that tells nothing is a ValueError.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from denizen.evaluate.stats import z_value

LEAST_YOUDEN = 0.1  # sensitivity + specificity - 1 under which the correction divides by noise


class Corrected(NamedTuple):
    """The share that people would call right, with its interval; `raw` is the judge's own."""

    value: float
    low: float
    high: float
    raw: float
    confidence: float
    method: str
    n: int
    labelled: int


def rogan_gladen(
    judged_right: int,
    n: int,
    true_right: tuple[int, int],
    true_wrong: tuple[int, int],
    confidence: float = 0.95,
) -> Corrected:
    """(raw + specificity - 1) / (sensitivity + specificity - 1), cut to [0, 1].

    `true_right` is (judged right, labelled right): its share is the sensitivity. `true_wrong` is
    (judged wrong, labelled wrong): the specificity.  Estimate: Rogan and Gladen 1978; interval:
    Lang and Reiczigel 2014 (adjusted Wald with the uncertainty of both shares).
    """
    _check(judged_right, n)
    for count, of in (true_right, true_wrong):
        _check(count, of)
    raw = judged_right / n
    sensitivity, specificity = true_right[0] / true_right[1], true_wrong[0] / true_wrong[1]
    youden = sensitivity + specificity - 1
    if youden < LEAST_YOUDEN:
        raise ValueError(
            f"the judge tells right from wrong no better than chance: sensitivity "
            f"{sensitivity:.2f}, specificity {specificity:.2f}"
        )
    value = (raw + specificity - 1) / youden
    z = z_value(0.5 + confidence / 2)
    n_right, n_wrong = true_right[1] + 2, true_wrong[1] + 2
    se, sp = (true_right[0] + 1) / n_right, (true_wrong[0] + 1) / n_wrong
    apparent = (judged_right + z * z / 2) / (n + z * z)
    scale = max(se + sp - 1, LEAST_YOUDEN)
    centre = (apparent + sp - 1) / scale
    v_se, v_sp = se * (1 - se) / n_right, sp * (1 - sp) / n_wrong
    shift = 2 * z * z * (centre * v_se - (1 - centre) * v_sp)
    variance = apparent * (1 - apparent) / (n + z * z) + centre**2 * v_se + (1 - centre) ** 2 * v_sp
    half = z * math.sqrt(variance) / scale
    point = _cut(value)
    # The interval's centre is shrunken; it always holds the estimate that is shown.
    low, high = min(point, _cut(centre + shift - half)), max(point, _cut(centre + shift + half))
    labelled = true_right[1] + true_wrong[1]
    return Corrected(point, low, high, raw, confidence, "Rogan-Gladen", n, labelled)


def prediction_powered(
    judged: Sequence[float],
    labelled: Sequence[tuple[float, float]],
    confidence: float = 0.95,
) -> Corrected:
    """Mean of the judge's outcomes on `judged` plus its mean error on (human, judge) pairs.

    Prediction-powered inference (Angelopoulos et al. 2023) with the power tuning of PPI++ (2023):
    a useless judge is given no weight and the labels alone remain.  Two pseudo-pairs, one error
    each way, keep the interval honest when a small sample shows no error.
    """
    n, big = len(labelled), len(judged)
    if n < 2 or not big:
        raise ValueError(f"need judged items and at least two labelled, got {big} and {n}")
    human, judge = [h for h, _ in labelled], [j for _, j in labelled]
    everyone = [*judged, *judge]
    spread = _variance(everyone)
    shared = sum(
        (h - _mean(human)) * (j - _mean(judge)) for h, j in zip(human, judge, strict=True)
    ) / (n - 1)
    weight = _cut(shared / ((1 + n / big) * spread)) if spread > 0 else 0.0
    errors = [h - weight * j for h, j in zip(human, judge, strict=True)]
    value = weight * _mean(judged) + _mean(errors)
    centred = [error - _mean(errors) for error in errors]
    error_variance = (sum(e * e for e in centred) + 2) / (n + 2)
    half = z_value(0.5 + confidence / 2) * math.sqrt(
        weight**2 * _variance(judged) / big + error_variance / n
    )
    point = _cut(value)
    low, high = min(point, _cut(value - half)), max(point, _cut(value + half))
    return Corrected(point, low, high, _mean(judged), confidence, "prediction-powered", big, n)


def _check(count: int, of: int) -> None:
    if of <= 0 or not 0 <= count <= of:
        raise ValueError(f"need 0 <= count <= n and n > 0, got {count} of {of}")


def _cut(value: float) -> float:
    return min(1.0, max(0.0, value))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _variance(values: Sequence[float]) -> float:
    middle = _mean(values)
    return sum((v - middle) ** 2 for v in values) / max(1, len(values) - 1)
