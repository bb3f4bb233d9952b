"""Concentrated liquidity as Uniswap v3 and v4 share it: ticks, bitmap, crossing, positions.

Contract: state is raw integers and wraps as uint256 does; a move either raises MathError and
changes nothing, or commits wholly.  A swap takes the contracts' very steps: it stops at each edge
of a 256-tick bitmap word, since every stop rounds.  What differs between the versions (the swap
step, signs, the protocol's part, the oracle) is left to `uniswap_v3` and `uniswap_v4`.
Source: Uniswap v3 white paper section 6, v4-core TickBitmap, LiquidityMath and SwapMath (MIT).
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from . import position as pos
from .fixed_point import MAX_UINT256, Q128, MathError, mul_div
from .sqrt_price_math import amount0_delta, amount1_delta
from .tick_bitmap import (
    check_ticks,
    max_liquidity_per_tick,
    next_initialized_tick_within_one_word,
)
from .tick_math import (
    MAX_SQRT_PRICE,
    MAX_TICK,
    MIN_SQRT_PRICE,
    MIN_TICK,
    sqrt_price_at_tick,
    tick_at_sqrt_price,
)

MAX_INT128 = (1 << 127) - 1
MAX_INT256 = (1 << 255) - 1


@dataclass(slots=True)
class Tick:
    """An initialised tick: liquidity that starts or ends here, and growth on its other side."""

    liquidity_gross: int = 0
    liquidity_net: int = 0
    fee_growth_outside0: int = 0
    fee_growth_outside1: int = 0


@dataclass(slots=True)
class Position:
    """Liquidity of one key in one range, with its fee growth snapshots."""

    liquidity: int = 0
    fee_growth_inside0_last: int = 0
    fee_growth_inside1_last: int = 0


TickT = TypeVar("TickT", bound=Tick)
PositionT = TypeVar("PositionT", bound=Position)


class Trace(NamedTuple):
    """A swap worked out and not yet committed; `remaining` and `calculated` are unsigned.

    `calculated` is the other side's amount: the output of an exact input, or the input with its
    fee of an exact output.  `fee_growth_global` and `protocol_part` are of the input token.
    """

    sqrt_price: int
    tick: int
    liquidity: int
    remaining: int
    calculated: int
    fee_growth_global: int
    protocol_part: int
    crossed: list[tuple[int, int]]  # (tick, the input token's global growth when it was crossed)


class Modified(NamedTuple):
    """Signed amounts of a liquidity change (positive: into the pool) and the fees it settles."""

    amount0: int
    amount1: int
    fees0: int
    fees1: int


class ConcentratedPool(Generic[TickT, PositionT]):
    """State and moves common to v3 and v4; a subclass sets the two types and the hooks."""

    tick_type: type[TickT]
    position_type: type[PositionT]

    def __init__(self, sqrt_price: int, tick_spacing: int) -> None:
        self.sqrt_price = sqrt_price
        self.tick = tick_at_sqrt_price(sqrt_price)
        self.tick_spacing = tick_spacing
        self.max_liquidity_per_tick = max_liquidity_per_tick(tick_spacing)
        self.liquidity = 0
        self.fee_growth_global0 = 0
        self.fee_growth_global1 = 0
        self.ticks: dict[int, TickT] = {}
        self.tick_bitmap: dict[int, int] = {}
        self.positions: dict[Hashable, PositionT] = {}

    # Hooks: what a version does differently.

    @staticmethod
    def step(
        price: int, target: int, liquidity: int, amount: int, fee: int, exact_in: bool, /
    ) -> tuple[int, int, int, int]:
        """(price reached, amount in, amount out, fee) of one swap step, amounts unsigned."""
        raise NotImplementedError

    def _protocol_part(self, fee_amount: int, amount_in: int, protocol: int) -> int:
        """The protocol's part of a step's fee; called only where `protocol` is not 0."""
        raise NotImplementedError

    def _growth(self, fee_amount: int, liquidity: int) -> int:
        """Growth of a fee of 2^128 or more; v3 reverts on overflow, v4 wraps the product."""
        return mul_div(fee_amount, Q128, liquidity)

    def _before_modify(self, modified: Modified) -> None:
        """Last chance to refuse a liquidity change."""

    def _begin_tick(self, state: TickT, tick: int) -> None:
        """Set the snapshots of a tick that becomes initialised at or below the current one."""
        state.fee_growth_outside0 = self.fee_growth_global0
        state.fee_growth_outside1 = self.fee_growth_global1

    def _cross(self, state: TickT, growth0: int, growth1: int) -> None:
        """Swap the inside and outside of a tick."""
        state.fee_growth_outside0 = (growth0 - state.fee_growth_outside0) & MAX_UINT256
        state.fee_growth_outside1 = (growth1 - state.fee_growth_outside1) & MAX_UINT256

    # Swapping.

    def _limit(self, zero_for_one: bool, limit: int | None) -> int:
        """The price limit, checked; None is the furthest one allowed."""
        if zero_for_one:
            if limit is None:
                limit = MIN_SQRT_PRICE + 1
            inside = MIN_SQRT_PRICE < limit < self.sqrt_price
        else:
            if limit is None:
                limit = MAX_SQRT_PRICE - 1
            inside = self.sqrt_price < limit < MAX_SQRT_PRICE
        if not inside:
            raise MathError("the price limit is on the wrong side of the price")
        return limit

    def _trace(
        self, zero: bool, exact_in: bool, amount: int, limit: int, fee_pips: int, protocol: int = 0
    ) -> Trace:
        """Work a swap out without changing the pool; `amount` is unsigned."""
        price, tick, liquidity = self.sqrt_price, self.tick, self.liquidity
        growth = self.fee_growth_global0 if zero else self.fee_growth_global1
        bitmap, spacing, step = self.tick_bitmap, self.tick_spacing, self.step
        remaining, calculated, protocol_part = amount, 0, 0
        crossed: list[tuple[int, int]] = []
        while remaining and price != limit:
            next_tick, initialized = next_initialized_tick_within_one_word(
                bitmap, tick, spacing, zero
            )
            if zero:
                next_tick = max(next_tick, MIN_TICK)
                next_price = sqrt_price_at_tick(next_tick)
                target = max(next_price, limit)
            else:
                next_tick = min(next_tick, MAX_TICK)
                next_price = sqrt_price_at_tick(next_tick)
                target = min(next_price, limit)
            start = price
            price, amount_in, amount_out, fee = step(
                start, target, liquidity, remaining, fee_pips, exact_in
            )
            if exact_in:
                remaining -= amount_in + fee
                calculated += amount_out
            else:
                remaining -= amount_out
                calculated += amount_in + fee
            if protocol:
                part = self._protocol_part(fee, amount_in, protocol)
                protocol_part += part
                fee -= part
            if fee and liquidity:
                grown = (fee << 128) // liquidity if fee < Q128 else self._growth(fee, liquidity)
                growth = (growth + grown) & MAX_UINT256
            if price == next_price:
                if initialized:
                    crossed.append((next_tick, growth))
                    net = self.ticks[next_tick].liquidity_net
                    liquidity += -net if zero else net
                tick = next_tick - 1 if zero else next_tick
            elif price != start:
                tick = tick_at_sqrt_price(price)
        return Trace(price, tick, liquidity, remaining, calculated, growth, protocol_part, crossed)

    def _commit(self, zero: bool, trace: Trace) -> None:
        """Make a trace the pool's state (the protocol's part is the subclass's to book)."""
        growth0, growth1 = self.fee_growth_global0, self.fee_growth_global1
        for tick, growth in trace.crossed:
            if zero:
                self._cross(self.ticks[tick], growth, growth1)
            else:
                self._cross(self.ticks[tick], growth0, growth)
        self.sqrt_price, self.tick, self.liquidity = trace[:3]
        if zero:
            self.fee_growth_global0 = trace.fee_growth_global
        else:
            self.fee_growth_global1 = trace.fee_growth_global

    # Liquidity.

    def fee_growth_inside(self, lower: int, upper: int) -> tuple[int, int]:
        """feeGrowthInside0/1X128 of a range, as a liquidity change there would see it."""
        below0, below1 = self._outside(lower)
        above0, above1 = self._outside(upper)
        return (
            pos.fee_growth_inside(self.tick, lower, upper, self.fee_growth_global0, below0, above0),
            pos.fee_growth_inside(self.tick, lower, upper, self.fee_growth_global1, below1, above1),
        )

    def _outside(self, tick: int) -> tuple[int, int]:
        state = self.ticks.get(tick)
        if state is not None:
            return state.fee_growth_outside0, state.fee_growth_outside1
        # By convention all growth so far happened below a new tick.
        return (self.fee_growth_global0, self.fee_growth_global1) if tick <= self.tick else (0, 0)

    def amounts_for(self, lower: int, upper: int, delta: int) -> tuple[int, int]:
        """Signed amounts of a liquidity change: owed to the pool rounds up, paid out down."""
        low, high = sqrt_price_at_tick(lower), sqrt_price_at_tick(upper)
        size, up, amount0, amount1 = abs(delta), delta > 0, 0, 0
        if self.tick < lower:
            amount0 = amount0_delta(low, high, size, up)
        elif self.tick < upper:
            amount0 = amount0_delta(self.sqrt_price, high, size, up)
            amount1 = amount1_delta(low, self.sqrt_price, size, up)
        else:
            amount1 = amount1_delta(low, high, size, up)
        return (amount0, amount1) if up else (-amount0, -amount1)

    def _modify(self, key: Hashable, lower: int, upper: int, delta: int) -> Modified:
        """Change a position by `delta` liquidity (0 settles fees only)."""
        check_ticks(lower, upper, self.tick_spacing)
        held = self.positions.get(key)
        liquidity = held.liquidity if held else 0
        if liquidity + delta < 0:
            raise MathError(f"the position holds {liquidity}, less than the {-delta} to remove")
        if delta == 0 and liquidity == 0:
            raise MathError("an empty position has no fees to update")
        if delta > 0:
            self._check_room(lower, upper, delta)
        now0, now1 = self.fee_growth_inside(lower, upper)
        fees0 = fees1 = 0
        if held:
            fees0 = pos.fees_owed(liquidity, now0, held.fee_growth_inside0_last)
            fees1 = pos.fees_owed(liquidity, now1, held.fee_growth_inside1_last)
        modified = Modified(*self.amounts_for(lower, upper, delta), fees0, fees1)
        self._before_modify(modified)
        if held is None:
            held = self.positions[key] = self.position_type()
        held.liquidity += delta
        held.fee_growth_inside0_last, held.fee_growth_inside1_last = now0, now1
        if delta:
            self._update_tick(lower, delta, delta)
            self._update_tick(upper, delta, -delta)
            if lower <= self.tick < upper:
                self.liquidity += delta
        return modified

    def _check_room(self, lower: int, upper: int, delta: int) -> None:
        if delta > MAX_INT128:
            raise MathError("a liquidity change is a 128-bit signed number")
        for tick in (lower, upper):
            gross = self.ticks[tick].liquidity_gross if tick in self.ticks else 0
            if gross + delta > self.max_liquidity_per_tick:
                raise MathError(f"tick {tick} would hold more than {self.max_liquidity_per_tick}")

    def _update_tick(self, tick: int, delta: int, net: int) -> None:
        state = self.ticks.get(tick)
        if state is None:
            state = self.ticks[tick] = self.tick_type()
            self._flip(tick)
            if tick <= self.tick:
                self._begin_tick(state, tick)
        state.liquidity_gross += delta
        state.liquidity_net += net
        if state.liquidity_gross == 0:
            del self.ticks[tick]
            self._flip(tick)

    def _flip(self, tick: int) -> None:
        word, bit = divmod(tick // self.tick_spacing, 256)
        self.tick_bitmap[word] = self.tick_bitmap.get(word, 0) ^ 1 << bit
