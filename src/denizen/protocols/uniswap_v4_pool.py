"""A Uniswap v4 pool: the concentrated pool with v4's signs, fees, casts and donations.

Contract: amounts are raw units from the caller's side (negative is owed to the pool); fees are in
pips.  A move raises MathError and changes nothing, or commits wholly, and `undo` gives back the
state before the last one.  Source: v4 white paper; MIT libraries SwapMath, ProtocolFeeLibrary,
LPFeeLibrary, SafeCast; compared with PoolManager's bytecode in `evm.certify.uniswap_v4`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

from .concentrated import ConcentratedPool, Modified, Position, Tick, Trace
from .fixed_point import MAX_UINT128, MAX_UINT256, MathError
from .swap_math import PIPS, step_v4
from .tick_math import MAX_SQRT_PRICE, MAX_TICK, MIN_SQRT_PRICE, MIN_TICK
from .uniswap_v4 import (
    BalanceDelta,
    lp_fee_for_swap,
    protocol_fee_of,
    swap_fee,
    to_int128,
    uint_to_int128,
)

_SCALARS = ("sqrt_price", "tick", "liquidity", "fee_growth_global0", "fee_growth_global1")


class Swapped(NamedTuple):
    """A swap's delta, the protocol's part of its fee (input token), and the total fee in pips."""

    delta: BalanceDelta
    to_protocol: int
    fee: int


class Pool(ConcentratedPool[Tick, Position]):
    """One pool's state; `protocol_fee` packs both directions, positions are keyed by the manager.

    Use it through `PoolManager`, which adds the accounting, or alone for its arithmetic."""

    tick_type = Tick
    position_type = Position
    step = staticmethod(step_v4)

    def __init__(self, sqrt_price: int, lp_fee: int, tick_spacing: int) -> None:
        if not MIN_SQRT_PRICE <= sqrt_price < MAX_SQRT_PRICE:
            raise MathError(f"InvalidSqrtPrice: {sqrt_price}")
        super().__init__(sqrt_price, tick_spacing)
        self.lp_fee = lp_fee
        self.protocol_fee = 0
        # v4 counts the partial lowest tick that the bitmap's rounding down makes; v3 does not.
        usable = MAX_TICK // tick_spacing - MIN_TICK // tick_spacing + 1
        self.max_liquidity_per_tick = MAX_UINT128 // usable
        self.undo: Callable[[], None] = lambda: None

    def swap(
        self,
        zero_for_one: bool,
        amount_specified: int,
        sqrt_price_limit: int | None = None,
        fee_override: int = 0,
    ) -> Swapped:
        """Swap across ticks; negative is an exact input.  Stops at the price limit."""
        protocol = protocol_fee_of(self.protocol_fee, zero_for_one)
        fee = swap_fee(lp_fee_for_swap(self.lp_fee, fee_override), protocol)
        if fee == PIPS and amount_specified > 0:
            raise MathError("InvalidFeeForExactOut: no output is possible at a fee of 100%")
        if amount_specified == 0:  # a hook took the whole amount
            self._keep()
            return Swapped(BalanceDelta(0, 0), 0, fee)
        limit = self._limit(zero_for_one, sqrt_price_limit)
        exact_in = amount_specified < 0
        # The step takes the protocol's part out of the fee, and needs both rates to do so.
        rates = fee << 12 | protocol if protocol else 0
        trace = self._trace(zero_for_one, exact_in, abs(amount_specified), limit, fee, rates)
        specified = abs(amount_specified) - trace.remaining
        if exact_in:
            specified, other = -specified, trace.calculated
        else:
            other = -trace.calculated
        specified, other = to_int128(specified), to_int128(other)
        self._commit(zero_for_one, trace)
        pair = (specified, other) if zero_for_one == exact_in else (other, specified)
        return Swapped(BalanceDelta(*pair), trace.protocol_part, fee)

    def modify_liquidity(
        self, key: Hashable, lower: int, upper: int, liquidity_delta: int
    ) -> tuple[BalanceDelta, BalanceDelta]:
        """(principal, fees accrued) of a change by `liquidity_delta`; 0 only collects fees."""
        words = {tick // self.tick_spacing >> 8 for tick in (lower, upper)}
        self._keep(
            (self.positions, key),
            (self.ticks, lower),
            (self.ticks, upper),
            *((self.tick_bitmap, word) for word in words),
        )
        changed = self._modify(key, lower, upper, to_int128(liquidity_delta))
        principal = BalanceDelta(-changed.amount0, -changed.amount1)
        return principal, BalanceDelta(changed.fees0, changed.fees1)

    def donate(self, amount0: int, amount1: int) -> BalanceDelta:
        """Give both amounts to the liquidity in range, as fees."""
        if self.liquidity == 0:
            raise MathError("NoLiquidityToReceiveFees: nothing in range")
        delta = BalanceDelta(-uint_to_int128(amount0), -uint_to_int128(amount1))
        growth0 = self.fee_growth_global0 + (amount0 << 128) // self.liquidity
        growth1 = self.fee_growth_global1 + (amount1 << 128) // self.liquidity
        self._keep()
        self.fee_growth_global0 = growth0 & MAX_UINT256
        self.fee_growth_global1 = growth1 & MAX_UINT256
        return delta

    def _protocol_part(self, fee_amount: int, amount_in: int, protocol: int) -> int:
        fee, own = protocol >> 12, protocol & 0xFFF
        # With no LP fee all of it is the protocol's, rounding included.
        return fee_amount if fee == own else (amount_in + fee_amount) * own // PIPS

    def _limit(self, zero_for_one: bool, limit: int | None) -> int:
        if limit is None:
            limit = MIN_SQRT_PRICE + 1 if zero_for_one else MAX_SQRT_PRICE - 1
        if limit >= self.sqrt_price if zero_for_one else limit <= self.sqrt_price:
            raise MathError("PriceLimitAlreadyExceeded: the price is already past the limit")
        if not MIN_SQRT_PRICE < limit < MAX_SQRT_PRICE:
            raise MathError("PriceLimitOutOfBounds: no pool reaches this price")
        return limit

    def _before_modify(self, modified: Modified) -> None:
        for amount in modified:
            to_int128(amount)

    def _commit(self, zero: bool, trace: Trace) -> None:
        self._keep(*((self.ticks, tick) for tick, _ in trace.crossed))
        super()._commit(zero, trace)

    def _keep(self, *entries: tuple[dict[Any, Any], Hashable]) -> None:
        """Remember the scalars and these table entries; `undo` puts them back."""
        scalars = [(name, getattr(self, name)) for name in _SCALARS]
        kept = [(table, key, _copied(table.get(key))) for table, key in entries]

        def undo() -> None:
            for name, value in scalars:
                setattr(self, name, value)
            for table, key, value in kept:
                if value is None:
                    table.pop(key, None)
                else:
                    table[key] = value

        self.undo = undo


def _copied(value: Any) -> Any:
    """A table's entry as it is now (`copy.copy` is several times slower on slots)."""
    if value is None or isinstance(value, int):
        return value
    return type(value)(*(getattr(value, name) for name in value.__slots__))
