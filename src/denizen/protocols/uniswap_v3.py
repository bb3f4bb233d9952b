"""Uniswap v3 pool: liquidity over ticks, multi-tick swaps, fee growth, positions.

Contract: integer-exact against the specification; a swap's signs follow v3 (positive amounts are
paid into the pool, and a positive `amount_specified` is an exact input).  Source: Uniswap v3
white paper; steps and rounding from the MIT libraries of v4-core, which v3 shares.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from dataclasses import dataclass, field
from typing import NamedTuple

from . import position as pos
from .fixed_point import MAX_UINT256, Q128, MathError, mul_div
from .swap_math import compute_swap_step
from .tick_math import (
    MAX_SQRT_PRICE,
    MAX_TICK,
    MIN_SQRT_PRICE,
    MIN_TICK,
    sqrt_price_at_tick,
    tick_at_sqrt_price,
)

FEE_TICK_SPACING = {100: 1, 500: 10, 3000: 60, 10_000: 200}


@dataclass
class Tick:
    """An initialised tick."""

    liquidity_gross: int = 0
    liquidity_net: int = 0
    fee_growth_outside0: int = 0
    fee_growth_outside1: int = 0


@dataclass
class Position:
    """One owner's liquidity in one range, with its fee snapshots and fees owed."""

    liquidity: int = 0
    growth_inside0: int = 0
    growth_inside1: int = 0
    owed0: int = 0
    owed1: int = 0


class SwapResult(NamedTuple):
    """Signed amounts (v3: positive is paid in) and the state after the swap."""

    amount0: int
    amount1: int
    sqrt_price: int
    tick: int
    liquidity: int
    ticks_crossed: int


@dataclass
class Pool:
    """A v3 pool.  `fee` in pips; `protocol_fee` 0 or 4..10 takes 1/n of each fee."""

    sqrt_price: int
    fee: int = 3000
    tick_spacing: int = 60
    protocol_fee: int = 0
    tick: int = field(init=False)
    liquidity: int = 0
    growth0: int = 0
    growth1: int = 0
    protocol0: int = 0
    protocol1: int = 0
    ticks: dict[int, Tick] = field(default_factory=dict)
    positions: dict[tuple[str, int, int], Position] = field(default_factory=dict)
    _order: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tick = tick_at_sqrt_price(self.sqrt_price)
        if self.protocol_fee and not 4 <= self.protocol_fee <= 10:
            raise MathError("v3's protocol fee is 0 or 1/4 to 1/10 of the swap fee")

    def mint(self, owner: str, lower: int, upper: int, liquidity: int) -> tuple[int, int]:
        """Add liquidity; returns the amounts paid in (rounded up)."""
        if liquidity <= 0:
            raise MathError("liquidity must be positive")
        return self._modify(owner, lower, upper, liquidity)

    def burn(self, owner: str, lower: int, upper: int, liquidity: int) -> tuple[int, int]:
        """Remove liquidity (0 only updates fees); returns the amounts freed (rounded down)."""
        amount0, amount1 = self._modify(owner, lower, upper, -liquidity)
        return -amount0, -amount1

    def swap(
        self, zero_for_one: bool, amount_specified: int, sqrt_price_limit: int | None = None
    ) -> SwapResult:
        """Swap across as many ticks as needed; stops at the price limit if one is given."""
        limit = sqrt_price_limit or (MIN_SQRT_PRICE + 1 if zero_for_one else MAX_SQRT_PRICE - 1)
        self._check_limit(zero_for_one, amount_specified, limit)
        exact_in = amount_specified > 0
        remaining, calculated, crossed = amount_specified, 0, 0
        while remaining != 0 and self.sqrt_price != limit:
            next_tick, initialised = self._next_tick(zero_for_one)
            next_price = sqrt_price_at_tick(next_tick)
            target = max(next_price, limit) if zero_for_one else min(next_price, limit)
            start = self.sqrt_price
            step = compute_swap_step(start, target, self.liquidity, -remaining, self.fee)
            if exact_in:
                remaining -= step.amount_in + step.fee_amount
                calculated -= step.amount_out
            else:
                remaining += step.amount_out
                calculated += step.amount_in + step.fee_amount
            self.sqrt_price = step.sqrt_price_next
            self._accrue(zero_for_one, step.fee_amount)
            if self.sqrt_price == next_price:
                if initialised:
                    self._cross(next_tick, zero_for_one)
                    crossed += 1
                self.tick = next_tick - 1 if zero_for_one else next_tick
            elif self.sqrt_price != start:
                self.tick = tick_at_sqrt_price(self.sqrt_price)
        specified = amount_specified - remaining
        amounts = (specified, calculated) if zero_for_one == exact_in else (calculated, specified)
        return SwapResult(*amounts, self.sqrt_price, self.tick, self.liquidity, crossed)

    def fees_owed(self, owner: str, lower: int, upper: int) -> tuple[int, int]:
        """What `collect` would pay after an update."""
        p = self.positions[owner, lower, upper]
        now0, now1 = self._growth_inside(lower, upper)
        return (
            p.owed0 + pos.fees_owed(p.liquidity, now0, p.growth_inside0),
            p.owed1 + pos.fees_owed(p.liquidity, now1, p.growth_inside1),
        )

    def _check_limit(self, zero: bool, amount: int, limit: int) -> None:
        if amount == 0:
            raise MathError("a swap of nothing")
        inside = (
            MIN_SQRT_PRICE < limit < self.sqrt_price
            if zero
            else self.sqrt_price < limit < MAX_SQRT_PRICE
        )
        if not inside:
            raise MathError("the price limit is on the wrong side of the price")

    def _next_tick(self, zero: bool) -> tuple[int, bool]:
        index = bisect_right(self._order, self.tick)
        if zero:
            return (self._order[index - 1], True) if index else (MIN_TICK, False)
        return (self._order[index], True) if index < len(self._order) else (MAX_TICK, False)

    def _accrue(self, zero: bool, fee: int) -> None:
        cut = fee // self.protocol_fee if self.protocol_fee else 0
        growth = mul_div(fee - cut, Q128, self.liquidity) if self.liquidity else 0
        if zero:
            self.protocol0 += cut
            self.growth0 = (self.growth0 + growth) & MAX_UINT256
        else:
            self.protocol1 += cut
            self.growth1 = (self.growth1 + growth) & MAX_UINT256

    def _cross(self, tick: int, zero: bool) -> None:
        state = self.ticks[tick]
        state.fee_growth_outside0 = (self.growth0 - state.fee_growth_outside0) & MAX_UINT256
        state.fee_growth_outside1 = (self.growth1 - state.fee_growth_outside1) & MAX_UINT256
        self.liquidity += -state.liquidity_net if zero else state.liquidity_net

    def _growth_inside(self, lower: int, upper: int) -> tuple[int, int]:
        a, b = self.ticks.get(lower, Tick()), self.ticks.get(upper, Tick())
        where = (self.tick, lower, upper)
        return (
            pos.fee_growth_inside(
                *where, self.growth0, a.fee_growth_outside0, b.fee_growth_outside0
            ),
            pos.fee_growth_inside(
                *where, self.growth1, a.fee_growth_outside1, b.fee_growth_outside1
            ),
        )

    def _modify(self, owner: str, lower: int, upper: int, delta: int) -> tuple[int, int]:
        if not MIN_TICK <= lower < upper <= MAX_TICK:
            raise MathError(f"range {lower}..{upper} is empty or out of bounds")
        if lower % self.tick_spacing or upper % self.tick_spacing:
            raise MathError(f"ticks must be multiples of {self.tick_spacing}")
        held = self.positions.setdefault((owner, lower, upper), Position())
        if held.liquidity + delta < 0:
            raise MathError("the position holds less liquidity than that")
        for tick, sign in ((lower, 1), (upper, -1)):
            self._update_tick(tick, delta, sign)
        now0, now1 = self._growth_inside(lower, upper)
        held.owed0 += pos.fees_owed(held.liquidity, now0, held.growth_inside0)
        held.owed1 += pos.fees_owed(held.liquidity, now1, held.growth_inside1)
        held.growth_inside0, held.growth_inside1 = now0, now1
        held.liquidity += delta
        for tick in (lower, upper):
            if tick in self.ticks and self.ticks[tick].liquidity_gross == 0:
                del self.ticks[tick]
                self._order.remove(tick)
        if lower <= self.tick < upper:
            self.liquidity += delta
        amount0, amount1 = pos.amounts_for_liquidity(
            self.sqrt_price,
            sqrt_price_at_tick(lower),
            sqrt_price_at_tick(upper),
            abs(delta),
            round_up=delta > 0,
        )
        return (amount0, amount1) if delta > 0 else (-amount0, -amount1)

    def _update_tick(self, tick: int, delta: int, sign: int) -> None:
        if delta == 0:
            return
        state = self.ticks.get(tick)
        if state is None:
            state = self.ticks[tick] = Tick()
            insort(self._order, tick)
            if tick <= self.tick:  # by convention all growth so far happened below the tick
                state.fee_growth_outside0, state.fee_growth_outside1 = self.growth0, self.growth1
        state.liquidity_gross += delta
        state.liquidity_net += sign * delta
