"""Pools that follow their own events: v2, v3 and v4 on the exact engine.

Contract: `replay` gives a pool whose `swap` says how the engine reproduces a Swap event, to the
last unit, and whose `other` follows every other event; both raise Differs with the reason.  An
event does not say what was asked for, so exact input is tried, then exact output, then a stop at
the price limit (which takes the price from the event, and so proves less).  After a swap that
differs, the pool goes on from the event's own state.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

from denizen.evm.chain.events import Event
from denizen.protocols import uniswap_v2 as v2
from denizen.protocols import uniswap_v3 as v3
from denizen.protocols import uniswap_v4 as v4
from denizen.protocols import uniswap_v4_pool
from denizen.protocols.fixed_point import MathError
from denizen.protocols.swap_math import PIPS
from denizen.protocols.tick_math import tick_at_sqrt_price

EXACT_INPUT, EXACT_OUTPUT, PRICE_LIMIT = "exact input", "exact output", "price limit"
NO_AMOUNT = "no amount"
NO_START = "the events do not start at Initialize"
_HUGE = 1 << 126  # more than any pool holds, and inside int128


class Differs(Exception):
    """An event that the engine does not reproduce: in what."""


class Replay(Protocol):
    """A pool that follows events."""

    def swap(self, event: Event) -> str:
        """How the swap was reproduced; raises Differs."""

    def other(self, event: Event) -> None:
        """Follow any other event; raises Differs if its amounts are not the engine's."""


def replay(version: str, facts: Mapping[str, int]) -> Replay | None:
    """A pool before its first event; None where there is nothing to recompute (Aave)."""
    if version == "v2":
        return _V2()
    if version == "v3":
        return _V3(facts["fee"], facts["tickSpacing"])
    return _V4() if version == "v4" else None


class _V2:
    """A pair: every move announces the new reserves in a Sync just before its own event."""

    def __init__(self) -> None:
        self._before: tuple[int, int] | None = None
        self._now: tuple[int, int] | None = None

    def other(self, event: Event) -> None:
        args: dict[str, Any] = event.args
        if event.name == "Sync":
            self._before, self._now = self._now, (args["reserve0"], args["reserve1"])
            return
        sign = 1 if event.name == "Mint" else -1
        self._moved(sign * args["amount0"], sign * args["amount1"])

    def swap(self, event: Event) -> str:
        args: dict[str, Any] = event.args
        paid = args["amount0In"], args["amount1In"]
        got = args["amount0Out"], args["amount1Out"]
        before = self._moved(paid[0] - got[0], paid[1] - got[1])
        if all(paid):
            raise Differs("both tokens paid in")
        side = 0 if paid[0] else 1
        if got[side] or not got[1 - side]:
            raise Differs("the same token in and out")
        amounts = paid[side], got[1 - side]
        try:
            out = v2.get_amount_out(amounts[0], before[side], before[1 - side])
            if out == amounts[1]:
                return EXACT_INPUT
            if v2.get_amount_in(amounts[1], before[side], before[1 - side]) == amounts[0]:
                return EXACT_OUTPUT
        except MathError as error:
            raise Differs(f"the engine refuses: {error}") from None
        raise Differs(
            "less taken out than the input buys"
            if amounts[1] < out
            else "more taken out than a 0.30% fee allows"
        )

    def _moved(self, change0: int, change1: int) -> tuple[int, int]:
        """Reserves before the move, held against those before its Sync where they are known."""
        if self._now is None:
            raise Differs("no Sync before it")
        before = self._now[0] - change0, self._now[1] - change1
        if self._before not in (None, before):
            raise Differs("the reserves do not follow from the last ones")
        return before


class _Attempt(NamedTuple):
    """One reading of a swap event; a positive amount is an exact input, as on v3."""

    kind: str
    zero_for_one: bool
    amount: int
    limit: int | None = None


def _attempts(version: str, price: int, args: Mapping[str, Any]) -> Iterator[_Attempt]:
    amount0, amount1 = args["amount0"], args["amount1"]
    try:
        zero, paid, got = v4.classify_swap_event(version, amount0, amount1)
    except MathError:
        pass
    else:
        if paid:
            yield _Attempt(EXACT_INPUT, zero, paid)
        if got:
            yield _Attempt(EXACT_OUTPUT, zero, -got)
    reached = args["sqrtPriceX96"]
    if reached != price:
        yield _Attempt(PRICE_LIMIT, reached < price, _HUGE, reached)
    elif version == "v4" and amount0 == amount1 == 0:
        yield _Attempt(NO_AMOUNT, True, 0)


def _compared(args: Mapping[str, Any], found: Mapping[str, int]) -> None:
    wrong = [name for name, value in found.items() if args[name] != value]
    if wrong:
        raise Differs(f"another {', '.join(wrong)}")


def _first(failures: list[str]) -> Differs:
    return Differs(failures[0] if failures else "amounts of the same sign")


class _V3:
    """A v3 pool; Collect is held against what the position is owed, fees included."""

    def __init__(self, fee: int, tick_spacing: int) -> None:
        self._fee, self._spacing = fee, tick_spacing
        self._pool: v3.Pool | None = None

    def swap(self, event: Event) -> str:
        pool = self._started(event)
        args: dict[str, Any] = event.args
        failures = []
        for kind, zero, amount, limit in _attempts("v3", pool.sqrt_price, args):
            try:
                result = pool.quote(zero, amount, limit)
                found = (*result[:2], result.sqrt_price, result.liquidity, result.tick)
                names = ("amount0", "amount1", "sqrtPriceX96", "liquidity", "tick")
                _compared(args, dict(zip(names, found, strict=True)))
                pool.swap(zero, amount, limit)
                return kind
            except Differs as difference:
                failures.append(str(difference))
            except MathError as error:
                failures.append(f"the engine refuses: {error}")
        _adopt(pool, args)
        raise _first(failures)

    def other(self, event: Event) -> None:
        args: dict[str, Any] = event.args
        if event.name == "Initialize":
            try:
                self._pool = v3.Pool(
                    args["sqrtPriceX96"], self._fee, self._spacing, time=event.timestamp or 0
                )
            except MathError as error:
                raise Differs(f"the engine refuses: {error}") from None
            return _compared(args, {"tick": self._pool.tick})
        pool = self._started(event)
        where: tuple[Any, Any, Any] = (
            args.get("owner"),
            args.get("tickLower"),
            args.get("tickUpper"),
        )
        found: tuple[int, int] | None = None
        try:
            match event.name:
                case "Mint":
                    found = pool.mint(*where, args["amount"])
                case "Burn":
                    found = pool.burn(*where, args["amount"])
                case "Collect":
                    found = pool.collect(*where, args["amount0"], args["amount1"])
                case "Flash":
                    pool.flash(*(args[n] for n in ("amount0", "amount1", "paid0", "paid1")))
                case "SetFeeProtocol":
                    pool.set_fee_protocol(args["feeProtocol0New"], args["feeProtocol1New"])
                case "CollectProtocol":
                    found = pool.collect_protocol(args["amount0"], args["amount1"])
        except MathError as error:
            raise Differs(f"the engine refuses: {error}") from None
        if found:
            _compared(args, {"amount0": found[0], "amount1": found[1]})

    def _started(self, event: Event) -> v3.Pool:
        if self._pool is None:
            raise Differs(NO_START)
        # Some nodes send no time; without it only the oracle is wrong, and no event shows it.
        self._pool.time = event.timestamp or self._pool.time
        return self._pool


class _V4:
    """A v4 pool; the total fee comes with every swap, for a hook may set it anew each time."""

    def __init__(self) -> None:
        self._pool: uniswap_v4_pool.Pool | None = None
        self._dynamic = False

    def swap(self, event: Event) -> str:
        pool = self._started()
        args: dict[str, Any] = event.args
        failures = []
        for kind, zero, amount, limit in _attempts("v4", pool.sqrt_price, args):
            try:
                override = self._override(args["fee"], zero)
                delta, _, total = pool.swap(zero, -amount, limit, override)
            except MathError as error:
                failures.append(f"the engine refuses: {error}")
                continue
            state = (pool.sqrt_price, pool.liquidity, pool.tick, total)
            names = ("amount0", "amount1", "sqrtPriceX96", "liquidity", "tick", "fee")
            try:
                _compared(args, dict(zip(names, (*delta, *state), strict=True)))
                return kind
            except Differs as difference:
                failures.append(str(difference))
                if amount:
                    pool.undo()
        _adopt(pool, args)
        raise _first(failures)

    def other(self, event: Event) -> None:
        args: dict[str, Any] = event.args
        if event.name == "Initialize":
            self._dynamic = args["fee"] == v4.DYNAMIC_FEE_FLAG
            fee = 0 if self._dynamic else args["fee"]
            if fee > v4.MAX_LP_FEE or not 1 <= args["tickSpacing"] <= v4.MAX_TICK_SPACING:
                raise Differs("a fee or tick spacing that the PoolManager refuses")
            try:
                self._pool = uniswap_v4_pool.Pool(args["sqrtPriceX96"], fee, args["tickSpacing"])
            except MathError as error:
                raise Differs(f"the engine refuses: {error}") from None
            return _compared(args, {"tick": self._pool.tick})
        pool = self._started()
        try:
            match event.name:
                case "ModifyLiquidity":
                    lower, upper = args["tickLower"], args["tickUpper"]
                    key = (args["sender"], lower, upper, args["salt"])
                    pool.modify_liquidity(key, lower, upper, args["liquidityDelta"])
                case "Donate":
                    pool.donate(args["amount0"], args["amount1"])
                case "ProtocolFeeUpdated":
                    pool.protocol_fee = args["protocolFee"]
        except MathError as error:
            raise Differs(f"the engine refuses: {error}") from None

    def _started(self) -> uniswap_v4_pool.Pool:
        if self._pool is None:
            raise Differs(NO_START)
        return self._pool

    def _override(self, total: int, zero_for_one: bool) -> int:
        """The fee a dynamic pool must have had; a static one's is known, and compared."""
        protocol = v4.protocol_fee_of(self._started().protocol_fee, zero_for_one)
        return _lp_fee(total, protocol) | v4.OVERRIDE_FEE_FLAG if self._dynamic else 0


def _lp_fee(total: int, protocol: int) -> int:
    """The LP fee that makes this total with the protocol's part (v4.swap_fee, inverted)."""
    near = (total - protocol) * PIPS // (PIPS - protocol)
    for fee in (near, near + 1, near - 1):
        if 0 <= fee <= PIPS and v4.swap_fee(fee, protocol) == total:
            return fee
    raise MathError(f"no LP fee makes {total} pips with a protocol fee of {protocol}")


def _adopt(pool: v3.Pool | uniswap_v4_pool.Pool, args: Mapping[str, Any]) -> None:
    """Go on from the event's state, unless no pool can be in it: then from the engine's."""
    price, tick = args["sqrtPriceX96"], args["tick"]
    with suppress(MathError):
        # On a tick's very price a swap downwards leaves the tick below it.
        if tick_at_sqrt_price(price) - tick in (0, 1):
            pool.sqrt_price, pool.tick, pool.liquidity = price, tick, args["liquidity"]
