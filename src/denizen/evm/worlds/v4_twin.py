"""The engine and the bytecode side by side: the same calls to both, and everything compared.

Contract: `transact` runs one transaction (steps before the lock, steps inside it, settlement) on
both sides and counts a case per step: what it returned or that both refused -- for the same reason
where the engine names one -- then the pool's stored state and all open deltas right after it, and
at the end whether the lock closed and all balances, claims and protocol fees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple

from denizen.evm.certify.outcome import Tally
from denizen.evm.machine import SENDER
from denizen.evm.script import Call, Done, results, script
from denizen.evm.worlds import uniswap_v4 as abi
from denizen.evm.worlds.uniswap_v4 import ACCOUNTS, TOKENS, WEALTH, StateReader, World
from denizen.protocols.concentrated import Position, Tick
from denizen.protocols.fixed_point import MathError
from denizen.protocols.uniswap_v4 import NATIVE, PoolKey
from denizen.protocols.uniswap_v4_manager import PoolManager

CURRENCIES = (NATIVE, *TOKENS)


class Diverged(Exception):
    """The two sides differ: nothing after it would mean anything."""


class Step(NamedTuple):
    """One call: who makes it, its calldata, the same in the engine, and how to read its return."""

    kind: str
    account: str
    call: Call
    ours: Callable[[], Any]
    read: Callable[[bytes], Any] = lambda _: ()
    pool: PoolKey | None = None
    note: str = ""


# A step, its result in the engine (or Refused), and (pool state, open deltas) right after it.
Played = tuple[Step, Any, tuple[Any, ...]]


class Watched(NamedTuple):
    """What is compared of one pool: ticks, positions, the bitmap words of the ticks."""

    ticks: tuple[int, ...]
    positions: tuple[tuple[str, int, int, int], ...]
    words: tuple[int, ...]
    reader: StateReader

    @staticmethod
    def of(
        key: PoolKey, ticks: Sequence[int], positions: Sequence[tuple[str, int, int, int]]
    ) -> Watched:
        """From the ticks and positions that steps may touch."""
        words = tuple(sorted({tick // key.tick_spacing >> 8 for tick in ticks}))
        return Watched(
            tuple(ticks), tuple(positions), words, StateReader(key, ticks, positions, words)
        )


class Refused(NamedTuple):
    """The engine's reason: the contract's error if the message starts with one."""

    error: str
    message: str


class Twin:
    """A world and its engine, with the pools to watch."""

    def __init__(self, tally: Tally, engine: type[PoolManager] = PoolManager) -> None:
        self.tally = tally
        self.world = World()
        self.manager = self.world.manager
        self.engine = engine(self.manager, SENDER)
        self.engine.set_protocol_fee_controller(SENDER, ACCOUNTS[0])
        for account in ACCOUNTS:
            for currency in CURRENCIES:
                self.engine.balances[account, currency] = WEALTH
        self.watched: dict[PoolKey, Watched] = {}
        self.holders = ACCOUNTS
        self.history: list[str] = []

    def transact(
        self,
        account: str,
        before: Iterable[Step],
        inside: Iterable[Step],
        settlement: Callable[[], Iterable[Step]],
    ) -> bool:
        """One transaction; returns whether its lock closed.  Raises Diverged on a mismatch.

        The engine goes first, step by step, so that a step may be drawn from its state."""
        self.engine.end_transaction()
        outer = [(step, *self._ours(step)) for step in before]
        inner: list[Played] = []
        reason = ""
        try:
            with self.engine.unlock():
                inner += [(step, *self._ours(step)) for step in inside]
                inner += [(step, *self._ours(step)) for step in settlement()]
        except MathError as error:
            reason = _reason(error).error
        steps = [step for step, _, _ in (*outer, *inner)]
        self.history = [f"{step.kind} {step.account[-4:]} {step.note}" for step in steps]

        locked = self.world.unlocking(self._calls(account, inner))
        done = self.world.run(account, [*self._calls(account, outer), locked, *self._end()])
        done = self._compare(account, outer, done)
        unlocked, done = done[0], done[1:]
        if unlocked.ok and not reason:
            self._compare(account, inner, self.world.unlocked(unlocked))
        theirs = "" if unlocked.ok else _error(unlocked.data)
        self._case("unlock", (reason, self._ours_end()), (theirs, self._theirs_end(done)))
        return not reason

    # The engine's side

    def _ours(self, step: Step) -> tuple[Any, tuple[Any, ...]]:
        """(result or Refused, state after)."""
        try:
            found: Any = step.ours()
        except MathError as error:
            found = _reason(error)
        state = self._pool_state(step.pool) if step.pool in self.watched else None
        return found, (state, self._deltas())

    def _pool_state(self, key: PoolKey) -> abi.PoolState:
        watched = self.watched[key]
        pool = self.engine.pools.get(key)
        ticks = tuple(_tick(pool.ticks.get(t) if pool else None) for t in watched.ticks)
        held = tuple(_held(pool.positions.get(p) if pool else None) for p in watched.positions)
        if pool is None:
            return abi.PoolState(0, 0, 0, 0, 0, 0, 0, ticks, held, (0,) * len(watched.words))
        return abi.PoolState(
            pool.sqrt_price,
            pool.tick,
            pool.protocol_fee,
            pool.lp_fee,
            pool.fee_growth_global0,
            pool.fee_growth_global1,
            pool.liquidity,
            ticks,
            held,
            tuple(pool.tick_bitmap.get(word, 0) for word in watched.words),
        )

    def _deltas(self) -> tuple[int, ...]:
        return tuple(self.engine.delta(*pair) for pair in self._pairs())

    def _pairs(self) -> list[tuple[str, str]]:
        return [(holder, currency) for holder in self.holders for currency in CURRENCIES]

    def _ours_end(self) -> tuple[Any, ...]:
        engine = self.engine
        holders = (*self.holders, self.manager)
        return (
            tuple(self._pool_state(key) for key in self.watched),
            tuple(engine.protocol_fees_accrued.get(currency, 0) for currency in CURRENCIES),
            tuple(engine.claims.get(pair, 0) for pair in self._pairs()),
            tuple(engine.balances.get((h, c), 0) for h in holders for c in CURRENCIES),
        )

    # The world's side

    def _calls(self, account: str, played: Sequence[Played]) -> list[Call]:
        calls = []
        for step, _, _ in played:
            call = step.call._replace(tolerant=True)
            if step.account != account:
                call = Call(step.account, script([call]), 0, True)
            calls.append(call)
            if step.pool in self.watched:
                calls.append(Call(self.manager, self.watched[step.pool].reader.calldata))
            calls.append(Call(self.manager, _delta_reader(tuple(self._pairs()))))
        return calls

    def _compare(self, account: str, played: Sequence[Played], done: list[Done]) -> list[Done]:
        """Compare the steps with what the script did; returns what is left of it."""
        for step, found, state in played:
            first, done = done[0], done[1:]
            if step.account != account:
                first = results(first.data)[0]
            pool = None
            if step.pool in self.watched:
                pool, done = self.watched[step.pool].reader.decode(done[0].data), done[1:]
            deltas = tuple(abi.signed(value, 256) for value in abi.words(done[0].data))
            done = done[1:]
            theirs: Any = step.read(first.data) if first.ok else None
            if isinstance(found, Refused) and not first.ok:
                if found.error and _error(first.data) not in (found.error, "WrappedError"):
                    self._case(step.kind, found, Refused(_error(first.data), ""))
                if state != (pool, deltas):
                    self._case(step.kind, state, (pool, deltas))
                self._case(step.kind, None, None)
            elif isinstance(found, Refused):
                self._case(step.kind, None, (theirs, found.message))
            elif not first.ok:
                self._case(step.kind, (found, _error(first.data)), None)
            else:
                self._case(step.kind, (found, *state), (theirs, pool, deltas))
        return done

    def _end(self) -> list[Call]:
        readers = [Call(self.manager, one.reader.calldata) for one in self.watched.values()]
        return [*readers, *_end_calls(self.manager, self.holders)]

    def _theirs_end(self, done: list[Done]) -> tuple[Any, ...]:
        pools = tuple(
            watched.reader.decode(one.data)
            for watched, one in zip(self.watched.values(), done, strict=False)
        )
        numbers = [int.from_bytes(one.data, "big") for one in done[len(pools) :]]
        claims = len(CURRENCIES) * (1 + len(self.holders))
        tokens = iter(numbers[claims:])
        balances = tuple(
            self.world.machine.balance(holder) if currency == NATIVE else next(tokens)
            for holder in (*self.holders, self.manager)
            for currency in CURRENCIES
        )
        fees, held = numbers[: len(CURRENCIES)], numbers[len(CURRENCIES) : claims]
        return (pools, tuple(fees), tuple(held), balances)

    def _case(self, kind: str, ours: Any, theirs: Any) -> None:
        replay = ""
        if ours != theirs:
            keys = " ".join(str(tuple(key)) for key in self.watched)
            replay = f"seed {self.tally.seed}, pools {keys}, {'; '.join(self.history)}"
            ours, theirs = _difference(ours, theirs)
        if not self.tally.compare(kind, ours, theirs, replay):
            raise Diverged(kind)


def _tick(state: Tick | None) -> abi.TickInfo:
    if state is None:
        return abi.TickInfo(0, 0, 0, 0)
    growths = (state.fee_growth_outside0, state.fee_growth_outside1)
    return abi.TickInfo(state.liquidity_gross, state.liquidity_net, *growths)


def _held(state: Position | None) -> abi.PositionInfo:
    if state is None:
        return abi.PositionInfo(0, 0, 0)
    return abi.PositionInfo(
        state.liquidity, state.fee_growth_inside0_last, state.fee_growth_inside1_last
    )


def _difference(ours: Any, theirs: Any) -> tuple[Any, Any]:
    """The first parts that differ, with the field's name where it has one."""
    if isinstance(ours, tuple) and isinstance(theirs, tuple) and len(ours) == len(theirs):
        names = getattr(ours, "_fields", range(len(ours)))
        for name, a, b in zip(names, ours, theirs, strict=True):
            if a != b:
                inner = _difference(a, b)
                return (name, inner[0]), (name, inner[1])
    return ours, theirs


@cache
def _names() -> dict[bytes, str]:
    return abi.error_names(
        ("PoolManager", "Pool", "Hooks", "LPFeeLibrary", "SafeCast", "TickMath", "CustomRevert")
    )


def _error(data: bytes) -> str:
    """The contract's error by name, or its selector."""
    return _names().get(data[:4], "0x" + data[:4].hex())


def _reason(error: MathError) -> Refused:
    name, found, _ = str(error).partition(": ")
    return Refused(name if found and name.isidentifier() else "", str(error))


@cache
def _delta_reader(pairs: tuple[tuple[str, str], ...]) -> bytes:
    return abi.delta_reader(pairs)


@cache
def _end_calls(manager: str, holders: tuple[str, ...]) -> list[Call]:
    """Reads of protocol fees, claims and token balances."""
    fees, claims = "protocolFeesAccrued(address)", "balanceOf(address,uint256)"
    return [
        *(Call(manager, abi.pack(fees, c)) for c in CURRENCIES),
        *(Call(manager, abi.pack(claims, h, c)) for h in holders for c in CURRENCIES),
        *(Call(c, abi.pack("balanceOf(address)", h)) for h in (*holders, manager) for c in TOKENS),
    ]
