"""The gate's sentences: what was found, with its interval, in words that claim no more.

Contract: pure functions of figures; every sentence is one line of plain text.
"""

from __future__ import annotations

import math

from denizen.evaluate.gate.verdict import Status
from denizen.evaluate.stats import Difference, McNemar, Proportion


def points(value: float) -> str:
    """A difference of rates in percentage points, signed: 0.123 -> '+12.3'."""
    return f"{100 * value:+.1f}"


def p_text(p: float) -> str:
    return "p < 0.0001" if p < 1e-4 else f"p = {p:.4f}"


def names(found: list[str]) -> str:
    """'a', 'a and b', 'a, b and c'."""
    return found[0] if len(found) == 1 else ", ".join(found[:-1]) + " and " + found[-1]


def superior_sentence(
    status: Status, test: McNemar, interval: Difference, p: float, needed: int | None
) -> str:
    figures = _difference(test, interval, p)
    if status is Status.PASS:
        return f"Significantly better: {figures}."
    if status is Status.FAIL:
        return f"Significantly worse: {figures}."
    if needed is None:
        return f"Undecided: {figures}; no number of items would help without a better candidate."
    return f"Undecided: {figures}; about {needed:,} paired items would settle it."


def slice_sentence(
    status: Status, test: McNemar, interval: Difference, p: float, n: int, least: float
) -> str:
    """`least` is the smallest loss this slice could have shown (inf: none)."""
    figures = _difference(test, interval, p)
    if status is Status.FAIL:
        return f"Significantly worse: {figures}."
    if math.isfinite(least):
        power = f"a loss of {100 * least:.1f} points would have shown at n = {n}"
    else:
        power = f"n = {n} is too few to show any loss"
    return f"Not shown to be worse: {figures}; {power}."


def noninferior_sentence(
    status: Status, value: float, low: float, margin: float, needed: int | None
) -> str:
    figures = f"{points(value)} points, lower bound {points(low)}, margin {points(-margin)}"
    if status is Status.PASS:
        return f"Not worse beyond the margin: {figures}."
    if status is Status.FAIL:
        return f"Worse by more than the margin: {figures}."
    if needed is None:
        return f"Undecided: {figures}; the loss observed already reaches the margin."
    return f"Undecided: {figures}; about {needed:,} paired items would settle it."


def floor_sentence(status: Status, found: Proportion, floor: float, needed: int | None) -> str:
    figures = (
        f"{100 * found.value:.1f}% of {found.n} [{100 * found.low:.1f}, {100 * found.high:.1f}], "
        f"floor {100 * floor:.1f}%"
    )
    if status is Status.PASS:
        return f"Above the floor: {figures}."
    if status is Status.FAIL:
        return f"Below the floor: {figures}."
    if needed is None:
        return f"Undecided: {figures}; the rate observed does not reach the floor."
    return f"Undecided: {figures}; about {needed:,} items would settle it."


def zero_sentence(
    status: Status, failures: int, n: int, bound: float, limit: float, needed: int | None
) -> str:
    if status is Status.FAIL:
        return f"{failures} of {n} failed where none may."
    figures = f"no failure in {n}, so the rate is below {100 * bound:.2f}%"
    if status is Status.PASS:
        return f"No failure: {figures}, limit {100 * limit:.2f}%."
    return f"Undecided: {figures}, limit {100 * limit:.2f}%; {needed:,} cases would settle it."


def look_sentence(number: int, alpha: float, total: float, left: float) -> str:
    return (
        f"Look {number} at this holdout, tested at alpha = {alpha:.2g}; "
        f"{left:.2g} of {total:.2g} is left."
    )


def _difference(test: McNemar, interval: Difference, p: float) -> str:
    return (
        f"{points(interval.value)} points [{points(interval.low)}, {points(interval.high)}], "
        f"{test.wins} won, {test.losses} lost, {p_text(p)}"
    )
