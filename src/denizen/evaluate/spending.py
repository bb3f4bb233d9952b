"""How much of alpha each look at one holdout may use, so that all looks together use alpha.

Contract: looks are counted from 1; level(1) + level(2) + ... <= total, so by the union bound the
chance of any false PASS over all looks is at most `total`, however the looks depend on each
other. Two schedules: without a plan, total / (k (k + 1)), which sums to exactly total and leaves
total / (k + 1) after k looks (alpha-spending with a fixed sequence, as in D. Foster and R. Stine,
2008, and J. Tian and A. Ramdas, 2021); with a planned number of looks, the increments of the
O'Brien-Fleming-type function 2 - 2 Phi(z / sqrt(t)) at t = k / planned (K. Lan and D. DeMets,
1983), which saves nearly all of alpha for the last look. Bad arguments raise ValueError.

What no schedule covers: a candidate trained or chosen on the holdout's single items. The verdict
is the only thing that may flow back; when little alpha is left, freeze a new holdout.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Schedule:
    """`total` alpha over every look; `planned` looks, or None for no limit."""

    total: float = 0.05
    planned: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.total < 0.5:
            raise ValueError(f"need 0 < alpha < 0.5, got {self.total}")
        if self.planned is not None and self.planned < 1:
            raise ValueError(f"need at least 1 planned look, got {self.planned}")

    def level(self, look: int) -> float:
        """Alpha of the look with this number; 0 past a plan."""
        _at_least(look, 1)
        if self.planned is None:
            return self.total / (look * (look + 1))
        return max(0.0, self.spent(look) - self.spent(look - 1))

    def spent(self, looks: int) -> float:
        """Alpha used by the first `looks` looks together."""
        _at_least(looks, 0)
        if looks == 0:
            return 0.0
        if self.planned is None:
            return self.total * looks / (looks + 1)
        return obrien_fleming(min(1.0, looks / self.planned), self.total)

    def left(self, looks: int) -> float:
        """Alpha that is left after `looks` looks."""
        return self.total - self.spent(looks)


def obrien_fleming(fraction: float, total: float = 0.05) -> float:
    """Alpha spent at an information fraction in (0, 1]; two-sided, exactly `total` at 1."""
    if not 0 < fraction <= 1:
        raise ValueError(f"need 0 < fraction <= 1, got {fraction}")
    from scipy.special import ndtr, ndtri

    if fraction == 1:
        return total
    return 2 * float(ndtr(float(ndtri(total / 2)) / math.sqrt(fraction)))


def _at_least(value: int, least: int) -> int:
    if value < least:
        raise ValueError(f"looks are counted from {least}, got {value}")
    return value
