"""What every privacy audit shares: its result's frame, its intervals, and how a limit is judged.

Contract: an `AuditResult` has a status, one sentence and the n that would settle it; `to_dict` is
JSON (NamedTuples become objects, values that are not numbers become null).  A risk passes when its
interval's high end is within the limit, fails when its low end is beyond it, and is INCONCLUSIVE
otherwise.  Nothing here knows about models.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from typing import Any, NamedTuple

from denizen.evaluate.gate import Status
from denizen.evaluate.margin import score_bounds
from denizen.evaluate.stats import discordant, wilson


class Interval(NamedTuple):
    """A figure with its two-sided interval; `n` is what it was taken over."""

    value: float
    low: float
    high: float
    confidence: float
    n: int
    method: str


@dataclass(frozen=True, slots=True)
class AuditResult:
    """One audit's outcome; the figures behind it are fields of the subclass."""

    status: Status
    sentence: str
    n_needed: int | None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        found: dict[str, Any] = plain(self)
        return found


def plain(value: Any) -> Any:
    """JSON values of nested dataclasses, NamedTuples and enums; nan and infinities become None."""
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {key: plain(inner) for key, inner in value._asdict().items()}
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def decide(low: float, high: float, limit: float) -> Status:
    """Is a risk shown to be within its limit, shown to be beyond it, or neither?"""
    if high <= limit:
        return Status.PASS
    return Status.FAIL if low > limit else Status.INCONCLUSIVE


def worst(statuses: Sequence[Status]) -> Status:
    """FAIL beats INCONCLUSIVE beats PASS; nothing at all is INCONCLUSIVE."""
    if Status.FAIL in statuses:
        return Status.FAIL
    return Status.PASS if statuses and set(statuses) == {Status.PASS} else Status.INCONCLUSIVE


def n_to_settle(figure: Interval, limit: float) -> int | None:
    """The n at which this figure's interval would no longer hold the limit, widths ~ 1/sqrt(n).

    None when the figure lies on the limit (no n settles that) or is settled already.
    """
    if decide(figure.low, figure.high, limit) is not Status.INCONCLUSIVE or figure.value == limit:
        return None
    reach = figure.high - figure.value if figure.value < limit else figure.value - figure.low
    scale = reach / abs(limit - figure.value)
    # A figure that all but touches the limit asks for more than anyone can gather.
    return max(figure.n + 1, math.ceil(figure.n * scale * scale)) if scale < 1e3 else None


def rate(successes: int, n: int, confidence: float = 0.95) -> Interval:
    """A share of successes with its Wilson interval."""
    found = wilson(successes, n, confidence)
    return Interval(found.value, found.low, found.high, confidence, n, "Wilson")


def paired_gap(
    first: Sequence[float], second: Sequence[float], confidence: float = 0.95
) -> Interval:
    """Mean of (second - first) over paired binary outcomes, with Tango's score interval."""
    wins, losses = discordant(first, second)
    n = len(first)
    low, high = score_bounds(wins, losses, n, 0.5 + confidence / 2)
    return Interval((wins - losses) / n, low, high, confidence, n, "score interval (Tango)")


def unpaired_gap(first: tuple[int, int], second: tuple[int, int], confidence: float) -> Interval:
    """Share of `second` minus share of `first`, each (successes, n) of different items.

    Newcombe's hybrid of the two Wilson intervals (Newcombe 1998, method 10).
    """
    a, b = wilson(*first, confidence), wilson(*second, confidence)
    value = b.value - a.value
    low = value - math.hypot(b.value - b.low, a.high - a.value)
    high = value + math.hypot(b.high - b.value, a.value - a.low)
    return Interval(value, low, high, confidence, b.n, "Newcombe")


def mean_interval(
    values: Sequence[float], confidence: float = 0.95, errors: Sequence[float] = ()
) -> Interval:
    """Student's interval of a mean; `errors` are standard errors of the single values, if any.

    One value has no spread to judge by: its interval is infinite.
    """
    from scipy.stats import t

    n = len(values)
    if not n:
        raise ValueError("need at least one value")
    mean = math.fsum(values) / n
    if n == 1:
        return Interval(mean, -math.inf, math.inf, confidence, 1, "Student")
    variance = math.fsum((v - mean) ** 2 for v in values) / (n - 1)
    # The spread between values holds their own errors already; where it does not, they are added.
    variance = max(variance, math.fsum(e * e for e in errors) / n)
    half = float(t.ppf(0.5 + confidence / 2, n - 1)) * math.sqrt(variance / n)
    return Interval(mean, mean - half, mean + half, confidence, n, "Student")
