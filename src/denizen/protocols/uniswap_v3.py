"""Uniswap v3 pool: multi-tick swaps, positions and their fees, flash loans, protocol fee, oracle.

Contract: integer-exact with the pool's bytecode (`evm.certify.uniswap_v3`); raises MathError where
the pool reverts, and then changes nothing.  Signs are v3's: positive amounts are paid into the
pool, and a positive `amount_specified` is an exact input.  The pool's token balances are the
tokens' business and are not kept; `time` is the block's timestamp, set by the caller.
Source: Uniswap v3 white paper; the MIT libraries of v4-core and v3-sdk, which v3 shares.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from . import position as pos
from .concentrated import MAX_INT128, MAX_INT256, ConcentratedPool, Position, Trace
from .fixed_point import MAX_UINT128, MAX_UINT256, Q128, MathError, mul_div, mul_div_rounding_up
from .swap_math import PIPS, step_v3
from .tick_bitmap import check_ticks
from .uniswap_v3_oracle import (
    UINT32,
    Cumulatives,
    CumulativesInside,
    Oracle,
    OracleTick,
    arithmetic_mean_tick,
)

FEE_TICK_SPACING = {100: 1, 500: 10, 3000: 60, 10_000: 200}
MAX_TICK_SPACING = 16383


@dataclass(slots=True)
class OwedPosition(Position):
    """A v3 position: also the amounts it may collect (uint128, which wrap)."""

    tokens_owed0: int = 0
    tokens_owed1: int = 0


class SwapResult(NamedTuple):
    """Signed amounts (v3: positive is paid in) and the state after the swap."""

    amount0: int
    amount1: int
    sqrt_price: int
    tick: int
    liquidity: int
    ticks_crossed: int


class Pool(ConcentratedPool[OracleTick, OwedPosition]):
    """A v3 pool.  `fee` in pips; `protocol_fee` 0 or 4..10 takes 1/n of each fee of both tokens."""

    tick_type = OracleTick
    position_type = OwedPosition
    step = staticmethod(step_v3)

    def __init__(
        self,
        sqrt_price: int,
        fee: int = 3000,
        tick_spacing: int = 60,
        protocol_fee: int = 0,
        time: int = 0,
    ) -> None:
        if not 0 <= fee < PIPS:
            raise MathError(f"v3 fees are below {PIPS} pips, not {fee}")
        if not 1 <= tick_spacing <= MAX_TICK_SPACING:
            raise MathError(f"v3 tick spacings are 1..{MAX_TICK_SPACING}, not {tick_spacing}")
        super().__init__(sqrt_price, tick_spacing)
        self.fee = fee
        self.time = time
        self.protocol_fees0 = 0
        self.protocol_fees1 = 0
        self.set_fee_protocol(protocol_fee, protocol_fee)
        self.oracle = Oracle(time)

    # Swaps and flash loans.

    def swap(
        self, zero_for_one: bool, amount_specified: int, sqrt_price_limit: int | None = None
    ) -> SwapResult:
        """Swap across as many ticks as needed; stops at the price limit if one is given."""
        trace = self._swap_trace(zero_for_one, amount_specified, sqrt_price_limit)
        result = _result(trace, zero_for_one, amount_specified)
        if trace.tick != self.tick:
            tick, liquidity = self.tick, self.liquidity
            self._commit(zero_for_one, trace)
            self.oracle.write(self.time & UINT32, tick, liquidity)
        else:
            self._commit(zero_for_one, trace)
        if zero_for_one:
            self.protocol_fees0 = (self.protocol_fees0 + trace.protocol_part) & MAX_UINT128
        else:
            self.protocol_fees1 = (self.protocol_fees1 + trace.protocol_part) & MAX_UINT128
        return result

    def quote(
        self, zero_for_one: bool, amount_specified: int, sqrt_price_limit: int | None = None
    ) -> SwapResult:
        """What `swap` would return; changes nothing."""
        trace = self._swap_trace(zero_for_one, amount_specified, sqrt_price_limit)
        return _result(trace, zero_for_one, amount_specified)

    def flash(
        self, amount0: int, amount1: int, paid0: int | None = None, paid1: int | None = None
    ) -> tuple[int, int]:
        """Lend both amounts for one call; returns the fees due, which are paid unless given.

        `paid0` and `paid1` are what comes back over the loan; more than the fee is a donation.
        """
        if self.liquidity == 0:
            raise MathError("a pool without liquidity in range lends nothing")
        due0 = mul_div_rounding_up(amount0, self.fee, PIPS)
        due1 = mul_div_rounding_up(amount1, self.fee, PIPS)
        paid0 = due0 if paid0 is None else paid0
        paid1 = due1 if paid1 is None else paid1
        if min(amount0, amount1) < 0 or paid0 < due0 or paid1 < due1:
            raise MathError(f"a flash loan's fees are {due0} and {due1}, not {paid0} and {paid1}")
        part0 = paid0 // self.fee_protocol0 if self.fee_protocol0 else 0
        part1 = paid1 // self.fee_protocol1 if self.fee_protocol1 else 0
        growth0 = mul_div(paid0 - part0, Q128, self.liquidity)
        growth1 = mul_div(paid1 - part1, Q128, self.liquidity)
        self.protocol_fees0 = (self.protocol_fees0 + part0) & MAX_UINT128
        self.protocol_fees1 = (self.protocol_fees1 + part1) & MAX_UINT128
        self.fee_growth_global0 = (self.fee_growth_global0 + growth0) & MAX_UINT256
        self.fee_growth_global1 = (self.fee_growth_global1 + growth1) & MAX_UINT256
        return due0, due1

    def _swap_trace(self, zero: bool, amount: int, limit: int | None) -> Trace:
        if amount == 0:
            raise MathError("a swap of nothing")
        if not -MAX_INT256 - 1 <= amount <= MAX_INT256:
            raise MathError("a swap's amount is a signed 256-bit number")
        return self._trace(
            zero,
            amount > 0,
            abs(amount),
            self._limit(zero, limit),
            self.fee,
            self.fee_protocol0 if zero else self.fee_protocol1,
        )

    # Positions.

    def mint(self, owner: str, lower: int, upper: int, liquidity: int) -> tuple[int, int]:
        """Add liquidity; returns the amounts paid in (rounded up)."""
        if liquidity <= 0:
            raise MathError("liquidity must be positive")
        return self._change(owner, lower, upper, liquidity)

    def burn(self, owner: str, lower: int, upper: int, liquidity: int) -> tuple[int, int]:
        """Remove liquidity (0 only updates fees); returns the amounts freed (rounded down).

        They are owed to the position until `collect`.
        """
        if not 0 <= liquidity <= MAX_INT128:
            raise MathError("liquidity to burn is a number of 127 bits")
        amount0, amount1 = self._change(owner, lower, upper, -liquidity)
        held = self.positions[owner, lower, upper]
        held.tokens_owed0 = (held.tokens_owed0 - amount0) & MAX_UINT128
        held.tokens_owed1 = (held.tokens_owed1 - amount1) & MAX_UINT128
        return -amount0, -amount1

    def collect(
        self,
        owner: str,
        lower: int,
        upper: int,
        amount0_requested: int = MAX_UINT128,
        amount1_requested: int = MAX_UINT128,
    ) -> tuple[int, int]:
        """Pay out what a position is owed, as of its last update, at most what is requested."""
        _uint128(amount0_requested, amount1_requested)
        held = self.positions.get((owner, lower, upper), OwedPosition())
        amount0 = min(held.tokens_owed0, amount0_requested)
        amount1 = min(held.tokens_owed1, amount1_requested)
        held.tokens_owed0 -= amount0
        held.tokens_owed1 -= amount1
        return amount0, amount1

    def fees_owed(self, owner: str, lower: int, upper: int) -> tuple[int, int]:
        """What `collect` would pay after an update."""
        held = self.positions.get((owner, lower, upper))
        if held is None:
            raise MathError(f"{owner} has no position in {lower}..{upper}")
        now0, now1 = self.fee_growth_inside(lower, upper)
        fees0 = pos.fees_owed(held.liquidity, now0, held.fee_growth_inside0_last)
        fees1 = pos.fees_owed(held.liquidity, now1, held.fee_growth_inside1_last)
        return (held.tokens_owed0 + fees0) & MAX_UINT128, (held.tokens_owed1 + fees1) & MAX_UINT128

    def _change(self, owner: str, lower: int, upper: int, delta: int) -> tuple[int, int]:
        liquidity = self.liquidity
        changed = self._modify((owner, lower, upper), lower, upper, delta)
        held = self.positions[owner, lower, upper]
        held.tokens_owed0 = (held.tokens_owed0 + changed.fees0) & MAX_UINT128
        held.tokens_owed1 = (held.tokens_owed1 + changed.fees1) & MAX_UINT128
        if delta and lower <= self.tick < upper:
            self.oracle.write(self.time & UINT32, self.tick, liquidity)
        return changed.amount0, changed.amount1

    # The protocol's fee.

    def set_fee_protocol(self, fee_protocol0: int, fee_protocol1: int) -> None:
        """The protocol's part of the fees in each token: none (0), or 1/4 to 1/10."""
        if any(part and not 4 <= part <= 10 for part in (fee_protocol0, fee_protocol1)):
            raise MathError("v3's protocol fee is 0 or 1/4 to 1/10 of the swap fee")
        self.fee_protocol0, self.fee_protocol1 = fee_protocol0, fee_protocol1

    def collect_protocol(
        self, amount0_requested: int = MAX_UINT128, amount1_requested: int = MAX_UINT128
    ) -> tuple[int, int]:
        """Pay out the protocol's fees; of a whole balance one unit stays behind."""
        _uint128(amount0_requested, amount1_requested)
        amount0 = min(amount0_requested, max(self.protocol_fees0 - 1, 0))
        amount1 = min(amount1_requested, max(self.protocol_fees1 - 1, 0))
        self.protocol_fees0 -= amount0
        self.protocol_fees1 -= amount1
        return amount0, amount1

    def _protocol_part(self, fee_amount: int, amount_in: int, protocol: int) -> int:
        return fee_amount // protocol

    # The oracle.

    def increase_observation_cardinality_next(self, cardinality_next: int) -> None:
        """Buy room for that many observations."""
        self.oracle.grow(cardinality_next)

    def observe(self, seconds_agos: Sequence[int]) -> tuple[Cumulatives, ...]:
        """The cumulatives at each of these moments; MathError if one is too old."""
        time = self.time & UINT32
        return tuple(self.oracle.at(time, ago, self.tick, self.liquidity) for ago in seconds_agos)

    def mean_tick(self, seconds: int) -> int:
        """Time-weighted mean tick of the last `seconds`, rounded toward minus infinity."""
        then, now = self.observe((seconds, 0))
        return arithmetic_mean_tick(then.tick_cumulative, now.tick_cumulative, seconds)

    def snapshot_cumulatives_inside(self, lower: int, upper: int) -> CumulativesInside:
        """Cumulatives inside a range whose two ticks are initialised."""
        check_ticks(lower, upper)
        if lower not in self.ticks or upper not in self.ticks:
            raise MathError(f"ticks {lower} and {upper} are not both initialised")
        below, above = self.ticks[lower].outside, self.ticks[upper].outside
        if self.tick < lower:
            return below.minus(above)
        if self.tick < upper:
            return self._now().minus(below).minus(above)
        return above.minus(below)

    def _now(self) -> CumulativesInside:
        time = self.time & UINT32
        return CumulativesInside(*self.oracle.now(time, self.tick, self.liquidity), time)

    def _begin_tick(self, state: OracleTick, tick: int) -> None:
        super()._begin_tick(state, tick)
        state.outside = self._now()

    def _cross(self, state: OracleTick, growth0: int, growth1: int) -> None:
        super()._cross(state, growth0, growth1)
        state.outside = self._now().minus(state.outside)


def _result(trace: Trace, zero_for_one: bool, amount_specified: int) -> SwapResult:
    if amount_specified > 0:
        specified, other = amount_specified - trace.remaining, -trace.calculated
    else:
        specified, other = amount_specified + trace.remaining, trace.calculated
    amount0, amount1 = (
        (specified, other) if zero_for_one == (amount_specified > 0) else (other, specified)
    )
    return SwapResult(
        amount0, amount1, trace.sqrt_price, trace.tick, trace.liquidity, len(trace.crossed)
    )


def _uint128(*values: int) -> None:
    if any(not 0 <= value <= MAX_UINT128 for value in values):
        raise MathError("a requested amount is an unsigned 128-bit number")
