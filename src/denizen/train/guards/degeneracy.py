"""The degeneracy meter of GRPO, RLOO and PPO: it stops a run that can no longer learn, with advice.

Contract: it reads the figures of each step (`TrainingPoint.metrics`) and compares the last WINDOW
steps with the first ones, so limits follow from the run itself.  Medians of a window, means of
shares, and HOLD steps in a row that fail keep single bad steps from stopping anything; entropy,
length and KL may move as they like while the reward rises.  Entropy and KL in nats a token.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from statistics import fmean, median, variance
from typing import Any

from denizen.train.checkpoints import TrainingPoint
from denizen.train.guards.base import Quiet

WINDOW = 8
HOLD = 4
WATCHED = ("reward", "reward_answer", "zero_advantage", "entropy", "length", "kl", "gap", "clipped")
# With so many answers exactly right there is little left to learn from the questions.
SOLVED = 0.9
# At a tenth of the first entropy nearly all answers of a group are the same answer.
ENTROPY_LEFT = 0.1
ENTROPY_GROWTH = 1.5
LENGTH_GROWTH, LENGTH_LEFT = 2.0, 0.4
# KL this many times what it was when the reward was best, and worth mentioning at all.
KL_GROWTH, KL_FLOOR = 4.0, 0.05
# A mean gap of 0.25 nats puts importance weights 28% off.
GAP_GROWTH, GAP_FLOOR = 3.0, 0.25
CLIPPED = 0.5


class Curves:
    """The finite values of each watched figure, step by step."""

    def __init__(self) -> None:
        self._values: dict[str, list[float]] = {name: [] for name in WATCHED}
        self._best = (-math.inf, 0)
        self.steps = 0

    def add(self, metrics: Mapping[str, float]) -> None:
        """One step; a figure that is missing or not finite is passed over."""
        self.steps += 1
        for name in WATCHED:
            value = metrics.get(name, math.nan)
            if math.isfinite(value):
                self._values[name].append(value)
        rewards = self._values["reward"]
        if len(rewards) >= WINDOW:
            self._best = max(self._best, (fmean(rewards[-WINDOW:]), len(rewards) - WINDOW))

    def windows(self, name: str) -> tuple[list[float], list[float]] | None:
        """The first and the last WINDOW values; None before they are apart."""
        values = self._values[name]
        if len(values) < 2 * WINDOW:
            return None
        return values[:WINDOW], values[-WINDOW:]

    def last(self, name: str, count: int) -> list[float]:
        """The last `count` values, or none if there are fewer."""
        values = self._values[name]
        return values[-count:] if len(values) >= count else []

    def at_best(self, name: str) -> list[float]:
        """The values of a figure in the window of the highest mean reward."""
        start = self._best[1]
        return self._values[name][start : start + WINDOW]

    def solved(self) -> bool:
        """Whether nearly all answers of the last window are exactly right."""
        right = self.last("reward_answer", WINDOW)
        return bool(right) and fmean(right) >= SOLVED

    def risen(self) -> bool:
        """Whether the reward is above the first window's by more than two standard errors."""
        found = self.windows("reward")
        return found is not None and _rise(*found) > 2

    def fallen(self) -> bool:
        """Whether the reward is below its best window's by more than three standard errors."""
        found = self.windows("reward")
        return found is not None and _rise(self.at_best("reward"), found[1]) < -3


def _rise(first: list[float], last: list[float]) -> float:
    """Difference of means in standard errors (Welch); the error has a floor of 0.001."""
    error = math.sqrt((variance(first) + variance(last)) / len(first))
    return (fmean(last) - fmean(first)) / max(error, 1e-3)


def _equal_groups(curves: Curves, limit: float) -> str | None:
    # A step has few groups: their share takes more steps than a median does.
    equal = curves.last("zero_advantage", 2 * WINDOW)
    if not equal or fmean(equal) < limit:
        return None
    share = f"{fmean(equal):.0%} of the groups had equal rewards over {len(equal)} steps"
    if curves.solved():
        return (
            f"{share}, nearly all of them right: the questions are solved; "
            "end here, or add harder ones (data.families, rl.curriculum: true)"
        )
    return (
        f"{share}, and nothing is learnt from them: raise rl.temperature or rl.group, begin from "
        "a fine-tuned adapter (train.start) or with easier questions (rl.curriculum: true); "
        f"guard.collapse ({limit:g}) is the limit"
    )


def _entropy(curves: Curves, _: float) -> str | None:
    found = curves.windows("entropy")
    if found is None:
        return None
    start, now = median(found[0]), median(found[1])
    moved = f"the entropy went from {start:.3g} to {now:.3g} nats a token"
    if now < ENTROPY_LEFT * start and not curves.risen() and not curves.solved():
        return (
            f"{moved} without a better reward, the policy has collapsed: lower "
            "train.learning_rate, or raise rl.temperature or rl.kl"
        )
    if now > _above(found[0], ENTROPY_GROWTH) and curves.fallen():
        return (
            f"{moved} while the reward fell, the policy dissolves: lower train.learning_rate or "
            "rl.temperature, or raise rl.kl"
        )
    return None


def _length(curves: Curves, _: float) -> str | None:
    found = curves.windows("length")
    if found is None or curves.risen():
        return None
    start, now = median(found[0]), median(found[1])
    moved = f"answers went from {start:.0f} to {now:.0f} tokens without a better reward"
    if now > _above(found[0], LENGTH_GROWTH):
        return f"{moved}: lower rl.max_new_tokens or train.learning_rate, or raise rl.kl"
    if now < LENGTH_LEFT * start:
        return f"{moved}: lower train.learning_rate or raise rl.kl"
    return None


def _distance(curves: Curves, _: float) -> str | None:
    found = curves.windows("kl")
    if found is None or not curves.fallen():
        return None
    then = curves.at_best("kl")
    at_best, now = (median(then) if then else 0.0), median(found[1])
    if now <= max(KL_GROWTH * at_best, KL_FLOOR):
        return None
    return (
        f"the KL to the reference is {now:.3g} nats a token, {at_best:.3g} when the reward was "
        "best, and the reward fell: raise rl.kl or lower train.learning_rate"
    )


def _gap(curves: Curves, _: float) -> str | None:
    found = curves.windows("gap")
    if found is None or median(found[1]) <= max(GAP_GROWTH * median(found[0]), GAP_FLOOR):
        return None
    return (
        f"what samples and what is trained differ by {median(found[1]):.2f} nats a token: "
        "set rl.rollouts to transformers"
    )


def _clipped(curves: Curves, _: float) -> str | None:
    found = curves.windows("clipped")
    if found is None or fmean(found[1]) < CLIPPED:
        return None
    return (
        f"{fmean(found[1]):.0%} of the ratios are clipped: lower train.learning_rate or rl.updates"
    )


def _above(first: list[float], growth: float) -> float:
    """What a figure must pass to count as grown: a factor, and four spreads of its first steps."""
    middle = median(first)
    spread = 1.4826 * median(abs(v - middle) for v in first)
    return max(growth * middle, middle + 4 * spread)


CHECKS: dict[str, Callable[[Curves, float], str | None]] = {
    "equal groups": _equal_groups,
    "entropy": _entropy,
    "length": _length,
    "KL": _distance,
    "sampler": _gap,
    "clipping": _clipped,
}


class DegeneracyMeter(Quiet):
    """Stops at the first check that fails; `collapse` is `guard.collapse`."""

    name = "degeneracy"

    def __init__(self, collapse: float) -> None:
        self._limit, self._curves = collapse, Curves()
        self._failing = dict.fromkeys(CHECKS, 0)
        self._failed: tuple[int, str, str] | None = None

    def after_step(self, point: TrainingPoint) -> str | None:
        """The advice of the first check that has failed for HOLD steps."""
        self._curves.add(point.metrics)
        for name, check in CHECKS.items():
            advice = check(self._curves, self._limit)
            self._failing[name] = self._failing[name] + 1 if advice else 0
            if advice and self._failing[name] >= HOLD:
                self._failed = self._failed or (point.step, name, advice)
                return f"step {point.step}: {advice}"
        return None

    def summary(self) -> dict[str, Any]:
        """First and last windows (medians) and, if one failed, the check."""
        figures = {}
        for name in WATCHED:
            if (found := self._curves.windows(name)) is not None:
                figures[name] = {"first": median(found[0]), "last": median(found[1])}
        step, check, advice = self._failed or (None, None, None)
        return {
            "steps": self._curves.steps,
            "windows": figures,
            "failed": check,
            "failed_at": step,
            "advice": advice,
        }
