"""Vesting with a cliff, and what leaving early costs.

Contract: vested amounts are rounded down and penalties up, so that the holder never gets more
than is due.  Source: OpenZeppelin VestingWallet and VestingWalletCliff (MIT), linear schedule.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..fixed_point import MathError, div_rounding_up

_BPS = 10_000


@dataclass(frozen=True)
class Vesting:
    """`total` vests evenly over `duration` seconds from `start`; nothing before the cliff ends."""

    total: int
    start: int
    duration: int
    cliff: int = 0

    def __post_init__(self) -> None:
        if min(self.total, self.start, self.duration) < 0 or not 0 <= self.cliff <= self.duration:
            raise MathError("amounts and times are not negative; the cliff is within the duration")

    def vested(self, now: int) -> int:
        """Amount vested by a time, whether released or not."""
        if now < self.start + self.cliff:
            return 0
        if now >= self.start + self.duration:
            return self.total
        return self.total * (now - self.start) // self.duration

    def releasable(self, now: int, released: int) -> int:
        """Vested and not yet released."""
        if not 0 <= released <= self.vested(now):
            raise MathError("more was released than had vested")
        return self.vested(now) - released


def early_exit_penalty(amount: int, start: int, end: int, now: int, max_penalty_bps: int) -> int:
    """Penalty, rounded up, that falls evenly from its maximum at `start` to nothing at `end`."""
    if amount < 0 or not 0 <= max_penalty_bps <= _BPS:
        raise MathError("an amount is not negative, a penalty at most 10,000 basis points")
    if not start < end or now < start:
        raise MathError("a lock runs forward and cannot be left before it starts")
    return div_rounding_up(amount * max_penalty_bps * max(end - now, 0), _BPS * (end - start))
