"""Uniswap v3's price oracle: a ring of observations, read at any moment it still covers.

Contract: times are uint32 seconds and cumulatives wrap as int56 and uint160 do; a read between two
observations interpolates and a read after the last one extrapolates, with the contract's rounding.
Source: Uniswap v3 white paper section 5; compared with bytecode in `evm.certify.uniswap_v3`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from .concentrated import Tick
from .fixed_point import MathError

UINT32 = (1 << 32) - 1
UINT160 = (1 << 160) - 1
MAX_CARDINALITY = (1 << 16) - 1


class Cumulatives(NamedTuple):
    """Tick x seconds (int56), and seconds over liquidity (Q128, uint160), since initialisation."""

    tick_cumulative: int
    seconds_per_liquidity: int


class CumulativesInside(NamedTuple):
    """Cumulatives over the time spent on one side of a tick, or inside a range.

    They start at no particular value: only differences between two snapshots mean something.
    """

    tick_cumulative: int
    seconds_per_liquidity: int
    seconds: int

    def minus(self, other: CumulativesInside) -> CumulativesInside:
        """The difference, wrapped as int56, uint160 and uint32."""
        return CumulativesInside(
            int56(self.tick_cumulative - other.tick_cumulative),
            (self.seconds_per_liquidity - other.seconds_per_liquidity) & UINT160,
            (self.seconds - other.seconds) & UINT32,
        )


_NOTHING = CumulativesInside(0, 0, 0)


@dataclass(slots=True)
class OracleTick(Tick):
    """A v3 tick: also what the oracle accumulated on its other side."""

    outside: CumulativesInside = _NOTHING


class Observation(NamedTuple):
    """The cumulatives at one moment."""

    time: int
    tick_cumulative: int
    seconds_per_liquidity: int


def int56(value: int) -> int:
    """`value` wrapped as a signed 56-bit number."""
    return (value + (1 << 55)) % (1 << 56) - (1 << 55)


class Oracle:
    """The ring.  Slots past `cardinality` are bought (`cardinality_next`) but not yet in use."""

    def __init__(self, time: int) -> None:
        self.index = 0
        self.cardinality = 1
        self.cardinality_next = 1
        self.observations = [Observation(time & UINT32, 0, 0)]

    def grow(self, cardinality_next: int) -> None:
        """increaseObservationCardinalityNext; a smaller number changes nothing."""
        if not 0 <= cardinality_next <= MAX_CARDINALITY:
            raise MathError(f"a cardinality is 0..{MAX_CARDINALITY}, not {cardinality_next}")
        self.cardinality_next = max(self.cardinality_next, cardinality_next)

    def write(self, time: int, tick: int, liquidity: int) -> None:
        """Record the moment before a change; at most one observation a second is kept."""
        if self.observations[self.index].time == time:
            return
        new = self._extrapolated(time, tick, liquidity)
        if self.index == self.cardinality - 1:
            self.cardinality = self.cardinality_next
        self.index = (self.index + 1) % self.cardinality
        if self.index == len(self.observations):
            self.observations.append(new)
        else:
            self.observations[self.index] = new

    def now(self, time: int, tick: int, liquidity: int) -> Cumulatives:
        """The cumulatives at this moment."""
        return Cumulatives(*self._extrapolated(time, tick, liquidity)[1:])

    def at(self, time: int, seconds_ago: int, tick: int, liquidity: int) -> Cumulatives:
        """The cumulatives `seconds_ago`; MathError where the ring no longer reaches back so far."""
        if not 0 <= seconds_ago <= UINT32:
            raise MathError(f"seconds ago are 0..{UINT32}, not {seconds_ago}")
        if seconds_ago == 0:
            return self.now(time, tick, liquidity)
        target = (time - seconds_ago) & UINT32
        # Ages order times as the contract does, across the wrap of uint32.
        age = (time - target) & UINT32
        last = self.observations[self.index]
        if (time - last.time) & UINT32 >= age:
            return Cumulatives(*self._extrapolated(target, tick, liquidity)[1:])
        before, after = self._around(time, age)
        if before.time == target:
            return Cumulatives(*before[1:])
        if after.time == target:
            return Cumulatives(*after[1:])
        return _interpolated(before, after, target)

    def _extrapolated(self, time: int, tick: int, liquidity: int) -> Observation:
        last = self.observations[self.index]
        if last.time == time:
            return last
        seconds = (time - last.time) & UINT32
        return Observation(
            time,
            int56(last.tick_cumulative + tick * seconds),
            (last.seconds_per_liquidity + (seconds << 128) // max(liquidity, 1)) & UINT160,
        )

    def _around(self, time: int, age: int) -> tuple[Observation, Observation]:
        """The neighbours of a moment older than the last observation."""
        size = len(self.observations)
        oldest = (self.index + 1) % size  # once the ring is full; before that it is slot 0

        def read(number: int) -> Observation:
            return self.observations[(oldest + number) % size]

        def reaches(number: int) -> bool:
            return (time - read(number).time) & UINT32 >= age

        if not reaches(0):
            raise MathError("OLD: the oracle does not reach back so far")
        low, high = 0, size - 1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if reaches(middle) else (low, middle)
        return read(low), read(high)


def _interpolated(before: Observation, after: Observation, target: int) -> Cumulatives:
    span = (after.time - before.time) & UINT32
    part = (target - before.time) & UINT32
    ticks = int56(after.tick_cumulative - before.tick_cumulative)
    # Solidity divides toward zero, and divides before it multiplies.
    per_second = abs(ticks) // span * (1 if ticks >= 0 else -1)
    growth = (after.seconds_per_liquidity - before.seconds_per_liquidity) & UINT160
    return Cumulatives(
        int56(before.tick_cumulative + per_second * part),
        (before.seconds_per_liquidity + growth * part // span) & UINT160,
    )


def arithmetic_mean_tick(tick_cumulative_then: int, tick_cumulative_now: int, seconds: int) -> int:
    """Time-weighted mean tick over `seconds`, rounded toward minus infinity (OracleLibrary)."""
    if seconds <= 0:
        raise MathError("a time-weighted mean needs a window of at least one second")
    return int56(tick_cumulative_now - tick_cumulative_then) // seconds
