"""Emission schedules: integer amounts an epoch, and totals in closed form, equal to the unit.

Contract: `sum(schedule.amount(i) for i in range(schedule.epochs)) == schedule.total()` always.
Units are the caller's; an epoch outside the schedule emits nothing.  Sources: Curve DAO token
documentation (a yearly division by 2^(1/4)) and Bitcoin's halving rule.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from ..fixed_point import MathError

_YEAR = 86_400 * 365


class Schedule(Protocol):
    """What a distributor needs to know of a schedule."""

    @property
    def epochs(self) -> int:
        """Number of epochs that may emit."""

    def amount(self, epoch: int) -> int:
        """Raw units emitted in an epoch, counted from 0."""

    def total(self) -> int:
        """Sum over all epochs."""


@dataclass(frozen=True)
class Constant:
    """The same amount every epoch."""

    first: int
    epochs: int

    def __post_init__(self) -> None:
        _check(self.first, self.epochs)

    def amount(self, epoch: int) -> int:
        """first."""
        return self.first if 0 <= epoch < self.epochs else 0

    def total(self) -> int:
        """n x first."""
        return self.epochs * self.first


@dataclass(frozen=True)
class LinearDecay:
    """`step` less every epoch; MathError if the last epoch would be negative."""

    first: int
    step: int
    epochs: int

    def __post_init__(self) -> None:
        _check(self.first, self.epochs)
        if self.step < 0 or self.first < self.step * (self.epochs - 1):
            raise MathError("a linear decay may not rise or fall below zero")

    def amount(self, epoch: int) -> int:
        """first - epoch x step."""
        return self.first - epoch * self.step if 0 <= epoch < self.epochs else 0

    def total(self) -> int:
        """n x first - step x n (n - 1) / 2."""
        return self.epochs * self.first - self.step * (self.epochs * (self.epochs - 1) // 2)


@dataclass(frozen=True)
class GeometricDecay:
    """Each epoch q = numerator / denominator of the last; the running sum is what is rounded down.

    So the total is floor(first (1 - q^n) / (1 - q)), with no dust lost between epochs.
    """

    first: int
    numerator: int
    denominator: int
    epochs: int

    def __post_init__(self) -> None:
        _check(self.first, self.epochs)
        if not 0 < self.numerator < self.denominator:
            raise MathError("the decay factor must lie between 0 and 1")

    def emitted(self, epochs: int) -> int:
        """Sum over the first `epochs` epochs."""
        n = min(max(epochs, 0), self.epochs)
        whole: int = self.denominator**n
        decayed: int = self.numerator**n
        bottom = whole * (self.denominator - self.numerator)
        return self.first * self.denominator * (whole - decayed) // bottom

    def amount(self, epoch: int) -> int:
        """Difference of two running sums."""
        return self.emitted(epoch + 1) - self.emitted(epoch)

    def total(self) -> int:
        """floor(first (1 - q^n) / (1 - q))."""
        return self.emitted(self.epochs)


@dataclass(frozen=True)
class Halving:
    """The amount is halved, rounded down, after every `interval` epochs."""

    first: int
    interval: int
    epochs: int

    def __post_init__(self) -> None:
        _check(self.first, self.epochs)
        if self.interval <= 0:
            raise MathError("the halving interval must be positive")

    def amount(self, epoch: int) -> int:
        """first >> (epoch // interval)."""
        return self.first >> (epoch // self.interval) if 0 <= epoch < self.epochs else 0

    def total(self) -> int:
        """interval x sum of first >> k, by Legendre's 2 f - popcount(f), plus the last part."""
        full, part = divmod(self.epochs, self.interval)
        rest = self.first >> full
        halves = 2 * (self.first - rest) - self.first.bit_count() + rest.bit_count()
        return self.interval * halves + part * rest


@dataclass(frozen=True)
class CrvEmission:
    """CRV's mining supply: a rate a second, divided by 2^(1/4) each year with contract rounding."""

    initial_rate: int = 274_815_283 * 10**18 // _YEAR
    reduction: int = 1_189_207_115_002_721_024  # 2^(1/4) at 1e18, as documented
    initial_supply: int = 1_303_030_303 * 10**18

    def rate(self, year: int) -> int:
        """Raw units a second in a mining year, counted from 0."""
        if year < 0:
            raise MathError("mining starts in year 0")
        rate = self.initial_rate
        for _ in range(year):
            rate = rate * 10**18 // self.reduction
        return rate

    def mintable(self, start: int, end: int) -> int:
        """Raw units mintable between two times, in seconds since mining started."""
        if not 0 <= start <= end:
            raise MathError("a timeframe runs forward from the start of mining")
        return sum(
            (min(end, stop) - max(start, begin)) * rate
            for begin, stop, rate in self._years(end)
            if stop > start
        )

    def available_supply(self, at: int) -> int:
        """Initial supply and everything mintable so far."""
        return self.initial_supply + self.mintable(0, at)

    def _years(self, end: int) -> Iterator[tuple[int, int, int]]:
        begin, rate = 0, self.initial_rate
        while begin < end and rate:
            yield begin, begin + _YEAR, rate
            begin, rate = begin + _YEAR, rate * 10**18 // self.reduction


def _check(first: int, epochs: int) -> None:
    if first < 0:
        raise MathError("an emission is not negative")
    if epochs <= 0:
        raise MathError("an empty schedule emits nothing")
