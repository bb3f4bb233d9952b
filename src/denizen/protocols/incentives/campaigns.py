"""Time-weighted campaigns, as Merkl runs them: scores in balance-seconds, rewards by score.

Contract: a window's budget is split by score to the unit, and what nobody earned is handed back,
so rewards and unspent sum to the budget.  Source: Merkl documentation (time-weighted balances,
"dutch auction" and capped-rate campaigns).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ..fixed_point import MathError

SECONDS_PER_YEAR = 31_536_000
_BPS = 10_000


class Payout(NamedTuple):
    """Rewards by user, and the part of the budget that was not earned."""

    rewards: dict[str, int]
    unspent: int


def share_exactly(amount: int, weights: Sequence[int]) -> list[int]:
    """Split an amount by weight so that the parts sum to it, each within a unit of its share.

    The running sum is rounded down, so nothing is lost; MathError if no weight is positive.
    """
    total = sum(weights)
    if amount < 0 or min([0, *weights]) < 0 or not total:
        raise MathError("an amount is not negative and some weight must be positive")
    parts, before, seen = [], 0, 0
    for weight in weights:
        seen += weight
        parts.append(amount * seen // total - before)
        before += parts[-1]
    return parts


def time_weighted_balance(history: Sequence[tuple[int, int]], start: int, end: int) -> int:
    """Balance-seconds between two times; `history` is (time, balance from then on), in order."""
    if start > end or any(balance < 0 for _, balance in history):
        raise MathError("a window runs forward and balances are not negative")
    times = [time for time, _ in history]
    if times != sorted(times):
        raise MathError("a balance history is in order of time")
    stops = [*times[1:], max(end, times[-1])] if times else []
    return sum(
        balance * max(min(stop, end) - max(time, start), 0)
        for (time, balance), stop in zip(history, stops, strict=True)
    )


def window_rewards(budget: int, scores: Mapping[str, int]) -> Payout:
    """The whole budget by score; without any score nothing is spent."""
    if budget < 0:
        raise MathError("a budget is not negative")
    if not sum(scores.values()):
        return Payout(dict.fromkeys(scores, 0), budget)
    parts = share_exactly(budget, list(scores.values()))
    return Payout(dict(zip(scores, parts, strict=True)), 0)


def capped_rewards(budget: int, scores: Mapping[str, int], max_apr_bps: int) -> Payout:
    """As `window_rewards`, paying no more than a yearly rate on the balance-seconds scored.

    Reward and balance are in the same unit of value; the spending limit is rounded down.
    """
    if max_apr_bps < 0:
        raise MathError("a rate cap is not negative")
    limit = sum(scores.values()) * max_apr_bps // (_BPS * SECONDS_PER_YEAR)
    spent = window_rewards(min(budget, limit), scores)
    return Payout(spent.rewards, budget - sum(spent.rewards.values()))


@dataclass(frozen=True)
class Campaign:
    """A budget streamed evenly from `start` to `end` and paid by windows."""

    budget: int
    start: int
    end: int
    max_apr_bps: int | None = None

    def __post_init__(self) -> None:
        if self.budget <= 0 or self.start >= self.end:
            raise MathError("a campaign needs a budget and runs forward in time")

    def streamed(self, now: int) -> int:
        """Budget due by a time, rounded down."""
        elapsed = min(max(now, self.start), self.end) - self.start
        return self.budget * elapsed // (self.end - self.start)

    def window(
        self, histories: Mapping[str, Sequence[tuple[int, int]]], start: int, end: int
    ) -> Payout:
        """Rewards of one window; windows that tile the campaign spend its budget to the unit."""
        start, end = max(start, self.start), min(end, self.end)
        if start > end:
            raise MathError("the window lies outside the campaign")
        budget = self.streamed(end) - self.streamed(start)
        scores = {u: time_weighted_balance(h, start, end) for u, h in histories.items()}
        if self.max_apr_bps is None:
            return window_rewards(budget, scores)
        return capped_rewards(budget, scores, self.max_apr_bps)
