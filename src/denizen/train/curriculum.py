"""Which questions a step draws: easier ones first, and those whose answers differ in reward.

Contract: a group whose answers all earn the same teaches nothing, so a question is drawn in
proportion to the measured chance that its group does differ (pooled over its stratum, the family,
kind and difficulty, while it is rarely seen itself), and never less than FLOOR.  Difficulty opens
over the first half of the run.  Draws are a pure function of (seed, step, what was observed).
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

# The least a question is drawn in proportion to: its answers change as the policy does.
FLOOR = 0.1
# How many observations of its own weigh as much as a question's stratum.
PRIOR = 2.0
STRATUM = ("family", "kind", "difficulty")


class Curriculum:
    """Draws items by number; `observe` what came of them."""

    def __init__(self, items: Sequence[Any], seed: int = 0) -> None:
        self._seed = seed
        self._difficulties = [getattr(item, "difficulty", 1) for item in items]
        self._strata = [tuple(getattr(item, name, "") for name in STRATUM) for item in items]
        self._own: dict[int, list[int]] = defaultdict(lambda: [0, 0])
        self._pooled: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0, 0])

    def observe(self, question: int, differed: bool) -> None:
        """Whether the answers of the question's group differed in reward."""
        for record in (self._own[question], self._pooled[self._strata[question]]):
            record[0] += differed
            record[1] += 1

    def chance(self, question: int) -> float:
        """The estimated chance that the question's next group differs (one half if unknown)."""
        differed, seen = self._pooled[self._strata[question]]
        pooled = (differed + 1) / (seen + 2)
        differed, seen = self._own[question]
        return (differed + PRIOR * pooled) / (seen + PRIOR)

    def draw(self, step: int, progress: float, count: int) -> list[int]:
        """`count` different questions (or all); `progress` is the share of the run behind."""
        # Weighted sampling without replacement: the largest u^(1/w) (Efraimidis, Spirakis 2006).
        rng = random.Random(f"{self._seed}|{step}")
        keys = [
            math.log(1.0 - rng.random()) / self._weight(number, progress)
            for number in range(len(self._strata))
        ]
        return sorted(range(len(keys)), key=lambda n: -keys[n])[:count]

    def _weight(self, question: int, progress: float) -> float:
        closed = max(0.0, 1.0 - 2.0 * progress)
        easy: float = math.exp2(-closed * (self._difficulties[question] - 1))
        return easy * (FLOOR + (1.0 - FLOOR) * self.chance(question))
