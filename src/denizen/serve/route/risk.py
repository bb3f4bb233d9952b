"""Learn then Test: a threshold that keeps P(wrong | answered locally) <= risk, with proof.

Contract: outcomes of questions that the confidence was not fitted on, thresholds in an order that
was fixed without them; p-values are exact binomial tails and the first threshold that fails ends
the sequence, so the chance that any accepted one breaks the promise is at most delta
(Angelopoulos, Bates, Candes, Jordan, Lei 2021, "Learn then Test", fixed-sequence testing).
The promise is about questions like these; drift is what audit.py watches.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# Coverages (shares answered locally) at which thresholds are tried.
_STEPS = 40
_DIGITS = 6  # confidences have as many
# An expected p-value this many times below delta leaves room for chance: on synthetic pools it
# proved more often than starting at the smallest one.
_SPARE = 25
# Above every confidence that stands for a failed check, below every other one.
FLOOR = 1e-6


class Tested(NamedTuple):
    """What the sequence ended on.

    `threshold` None: not even the first was accepted. `n` items were there, of which `answered`
    lie at or above the threshold and `errors` of those are wrong; `p` is its p-value, `tested` how
    many thresholds were tried.
    """

    threshold: float | None
    n: int
    answered: int
    errors: int
    p: float
    tested: int


def binomial_p(errors: int, n: int, risk: float) -> float:
    """P(Binomial(n, risk) <= errors), exactly: the p-value of "the risk is above `risk`".

    Without items nothing is proven: 1.
    """
    from scipy.special import bdtr

    if not 0 <= errors <= n or not 0 < risk < 1:
        raise ValueError(f"need 0 <= errors <= n and 0 < risk < 1, got {errors}, {n}, {risk}")
    return float(bdtr(errors, n, risk)) if n else 1.0


def binomial_ps(errors: Sequence[int], n: Sequence[int], risk: float) -> Floats:
    """`binomial_p` of many counts at once."""
    import numpy as np
    from scipy.special import bdtr

    counts = np.asarray(n)
    found = bdtr(np.asarray(errors, dtype=float), counts, risk)
    return np.where(counts > 0, found, 1.0)


def upper_bound(errors: int, n: int, delta: float) -> float:
    """One-sided Clopper-Pearson bound: a rate above it gives so few errors with chance < delta."""
    from scipy.special import betaincinv

    if errors >= n:
        return 1.0
    return float(betaincinv(errors + 1, n - errors, 1 - delta))


def lower_bound(errors: int, n: int, delta: float) -> float:
    """The same from below."""
    from scipy.special import betaincinv

    return float(betaincinv(errors, n - errors + 1, delta)) if errors else 0.0


def percent(share: float, digits: int = 0) -> str:
    """A promised share in per cent, with more digits where rounding would make it another one."""
    short = f"{share:.{digits}%}"
    return short if abs(float(short[:-1]) - 100 * share) < 1e-9 else f"{100 * share:.6g}%"


def needed(risk: float, delta: float) -> int:
    """How many answers without an error prove a risk: the least n with (1 - risk)^n <= delta."""
    return math.ceil(math.log(delta) / math.log1p(-risk) - 1e-9)


def fixed_sequence(p_values: Sequence[float], delta: float) -> int:
    """How many hypotheses are rejected, from the first on: all before the first p > delta."""
    rejected = 0
    for p in p_values:
        if not p <= delta:
            break
        rejected += 1
    return rejected


def sequence(
    confidences: Sequence[float], right: Sequence[bool], risk: float, delta: float, n: int
) -> tuple[float, ...]:
    """Thresholds in the order they will be tested on `n` other items, falling.

    Chosen on the half that fitted the confidence: the first is the strictest that this half
    expects to pass with room to spare, or else the one it expects the smallest p-value of (the
    strictest of all would leave too few answers to prove anything); then ever more answers, to all.
    """
    import numpy as np
    from scipy.special import betainc

    stated = np.asarray(confidences, dtype=float)
    if not len(stated) or n < 1:
        return ()
    shares = np.arange(1, _STEPS + 1) / _STEPS
    levels = np.maximum(np.quantile(stated, 1 - shares), FLOOR)
    levels[-1] = FLOOR
    levels = np.unique(np.round(levels, _DIGITS))[::-1]
    answered, errors = counts_at(stated, right, levels)
    # The binomial tail in its continuous form, for counts scaled to the other half's size.
    scaled, wrong = answered * n / len(stated), errors * n / len(stated)
    tail = betainc(np.maximum(scaled - wrong, 1e-9), wrong + 1, 1 - risk)
    tail = np.where(answered > 0, tail, 2.0)
    spare = np.flatnonzero(tail <= delta / _SPARE)
    start = int(spare[0]) if len(spare) else int(np.argmin(tail))
    return tuple(float(level) for level in levels[start:])


def counts_at(
    confidences: Sequence[float] | Floats, right: Sequence[bool], levels: Sequence[float] | Floats
) -> tuple[Floats, Floats]:
    """(answered, errors) at each threshold: items at or above it, and the wrong ones of those."""
    import numpy as np

    stated, ok = np.asarray(confidences, dtype=float), np.asarray(right, dtype=bool)
    order = np.argsort(stated, kind="stable")
    below = np.searchsorted(stated[order], np.asarray(levels, dtype=float), side="left")
    wrong = np.concatenate([[0.0], np.cumsum(~ok[order])])
    return len(stated) - below.astype(float), wrong[-1] - wrong[below]


def learn_then_test(
    confidences: Sequence[float],
    right: Sequence[bool],
    thresholds: Sequence[float],
    risk: float,
    delta: float,
) -> Tested:
    """The last threshold of a fixed sequence that the items accept; see the module."""
    if len(confidences) != len(right):
        raise ValueError(f"need paired items, got {len(confidences)} and {len(right)}")
    n = len(confidences)
    if not n or not thresholds:
        return Tested(None, n, 0, 0, 1.0, 0)
    answered, errors = counts_at(confidences, right, thresholds)
    p_values = binomial_ps([int(e) for e in errors], [int(a) for a in answered], risk)
    accepted = fixed_sequence(p_values.tolist(), delta)
    place = max(accepted - 1, 0)
    return Tested(
        float(thresholds[place]) if accepted else None,
        n,
        int(answered[place]),
        int(errors[place]),
        float(p_values[place]),
        min(accepted + 1, len(p_values)),
    )


def ample(risk: float, delta: float) -> int:
    """How many answers prove a risk although half of it is there: the least n with
    P(Binomial(n, risk) <= n risk / 2) <= delta."""
    n = needed(risk, delta)
    while binomial_p(int(n * risk / 2), n, risk) > delta:
        n += 1
    return n


def stands_alone(sizes: dict[str, int], risk: float, delta: float) -> tuple[str, ...]:
    """The groups with enough items for a threshold of their own, the most of them.

    Each of k groups and the rest gets delta / (k + 1) (delta / k without a rest), so more groups
    ask for more items each.  Half of a group's items must be ample: a smaller group would lose more
    by its part of delta than it gains by a threshold of its own.  Sizes decide, never outcomes.
    """
    ordered = sorted(sizes, key=lambda name: (-sizes[name], name))
    for k in range(len(ordered), 0, -1):
        parts = k + (k < len(ordered))
        if sizes[ordered[k - 1]] >= 2 * ample(risk, delta / parts):
            return tuple(sorted(ordered[:k]))
    return ()
