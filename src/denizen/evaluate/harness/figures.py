"""What a foreign harness's run becomes: figures with intervals, and scores where it kept samples.

Contract: a `Figure` has its interval or does not exist. The interval comes from the samples when
their mean is the reported value (Wilson for independent yes/no outcomes or where all agree, else a
bootstrap over clusters), from the harness's own standard error otherwise; `method` says which. A
figure of a run that was limited to part of its task says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from denizen.evaluate.records import SuiteResult
from denizen.evaluate.stats import paired_bootstrap, wilson, z_value
from denizen.project.errors import DenizenError


class HarnessError(DenizenError):
    """A foreign harness that cannot be run, or a log of one that cannot be trusted."""


class Figure(NamedTuple):
    """One metric of one task with its interval; `n` counts samples, 0 if the log does not say."""

    task: str
    metric: str
    value: float
    low: float
    high: float
    n: int
    confidence: float
    method: str
    limited: bool = False


@dataclass(frozen=True, slots=True)
class Imported:
    """A finished run of lm-eval or Inspect.

    `suites` maps a task to its scores (only tasks whose samples were kept and lie in [0, 1]);
    `without_interval` names reported metrics that came with neither samples nor standard error.
    """

    harness: str
    version: str
    model: str
    figures: tuple[Figure, ...]
    suites: dict[str, SuiteResult]
    without_interval: tuple[str, ...] = ()


def from_samples(
    task: str,
    metric: str,
    values: Sequence[float],
    clusters: Sequence[str],
    *,
    limited: bool = False,
    confidence: float = 0.95,
) -> Figure:
    """Mean of per-sample values with its interval; `clusters` has one label a sample."""
    n = len(values)
    inside = all(0.0 <= value <= 1.0 for value in values)
    if all(value in (0.0, 1.0) for value in values) and len(set(clusters)) == n:
        share = wilson(int(sum(values)), n, confidence)
        return Figure(
            task, metric, share.value, share.low, share.high, n, confidence, "Wilson", limited
        )
    if set(values) in ({0.0}, {1.0}):
        # A bootstrap of equal values has no width; the clusters are what is independent.
        groups = len(set(clusters))
        share = wilson(groups * int(values[0]), groups, confidence)
        method = "Wilson over clusters"
        return Figure(
            task, metric, share.value, share.low, share.high, n, confidence, method, limited
        )
    found = paired_bootstrap(
        [0.0] * n, values, clusters=clusters if inside else None, confidence=confidence
    )
    low = max(0.0, found.low) if inside else found.low
    method = found.method if inside else "bootstrap"
    return Figure(task, metric, found.value, low, found.high, n, confidence, method, limited)


def from_stderr(
    task: str,
    metric: str,
    value: float,
    stderr: float,
    n: int,
    *,
    limited: bool = False,
    confidence: float = 0.95,
) -> Figure:
    """Value +- z x the harness's standard error (normal approximation)."""
    half = z_value(0.5 + confidence / 2) * stderr
    method = "their standard error"
    return Figure(task, metric, value, value - half, value + half, n, confidence, method, limited)


def same_value(reported: float, values: Sequence[float]) -> bool:
    """Whether the reported value is the plain mean of the samples (to rounding)."""
    mean = math.fsum(values) / len(values)
    return math.isclose(reported, mean, rel_tol=1e-6, abs_tol=1e-9)


def refuse(what: str, where: object, fix: str) -> HarnessError:
    """The one line a refused log becomes."""
    return HarnessError(what, where=str(where), fix=fix)


def real(value: object) -> float | None:
    """A finite number, or None (bools and strings are not numbers here)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None
