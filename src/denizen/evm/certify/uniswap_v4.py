"""Certify the v4 engine against the PoolManager's bytecode: random pools, hooks and accounting.

Contract: `run(cases, seed, on_case)` plays random transactions on both sides (`v4_twin`) until so
many steps were compared; a mismatch ends its round and the next one starts afresh.  Rounds differ
in fee, spacing, price, currencies, hook and protocol fees; the same seed plays the same steps.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from denizen.evm.certify.outcome import Contract, OnCase, Outcome, Tally
from denizen.evm.packages import PACKAGES
from denizen.evm.worlds import v4_hooks
from denizen.evm.worlds.uniswap_v4 import ACCOUNTS, TOKENS, creation
from denizen.evm.worlds.v4_steps import Steps
from denizen.evm.worlds.v4_twin import Diverged, Step, Twin, Watched
from denizen.protocols.tick_math import MAX_SQRT_PRICE, MAX_TICK, MIN_TICK, sqrt_price_at_tick
from denizen.protocols.uniswap_v4 import (
    DYNAMIC_FEE_FLAG,
    MAX_LP_FEE,
    MAX_TICK_SPACING,
    NATIVE,
    PoolKey,
)
from denizen.protocols.uniswap_v4_hooks import Hook
from denizen.protocols.uniswap_v4_manager import PoolManager

TRANSACTIONS_PER_ROUND = 40
_FEES = (0, 0, 1, 100, 500, 3000, 3000, 10_000, MAX_LP_FEE - 1, MAX_LP_FEE)
_SPACINGS = (1, 10, 60, 200, MAX_TICK_SPACING)


def run(
    cases: int,
    seed: int,
    on_case: OnCase = lambda _: None,
    engine: type[PoolManager] = PoolManager,
) -> Outcome:
    """Compare at least `cases` steps; `engine` is another one for a test of this runner."""
    contract = Contract.of("PoolManager", PACKAGES["v4-core"], creation("PoolManager"))
    tally = Tally("uniswap_v4", seed, (contract,), on_case)
    rng = Random(seed)
    while tally.cases < cases:
        a_round = Random(rng.getrandbits(64))
        try:
            _Round(tally, a_round, engine).play(cases)
        except Diverged:
            if tally.mismatches >= 20:
                break
    return tally.outcome()


class _Round:
    """One world with two pools over the same currencies, one of them often hooked."""

    def __init__(self, tally: Tally, rng: Random, engine: type[PoolManager]) -> None:
        self.rng, self.tally = rng, tally
        self.twin = Twin(tally, engine)
        self.pair = rng.choice(((NATIVE, TOKENS[0]), TOKENS))
        self.hook: Hook | None = None
        self.centre: dict[PoolKey, int] = {}
        keys = [self._key(self._hooks()), self._key(NATIVE)]
        self.steps = Steps(self.twin, rng, keys)
        if self.hook:
            self.twin.holders = (*ACCOUNTS, self.hook.address)
            self._configure()
        for key in keys:
            self.centre[key] = rng.choice(
                (0, rng.randint(-1000, 1000), rng.randint(MIN_TICK, MAX_TICK - 1))
            )
            ticks = self._ticks(key)
            ranges = [sorted(rng.sample(ticks, 2)) for _ in range(6)]
            ranges.append([ticks[0], ticks[-1]])
            positions = [
                (rng.choice(ACCOUNTS), lower, upper, rng.choice((0, rng.getrandbits(256))))
                for lower, upper in ranges
            ]
            self.twin.watched[key] = Watched.of(key, ticks, positions)

    def play(self, cases: int) -> None:
        """Transactions until the round is over or enough was compared."""
        steps, rng = self.steps, self.rng
        for key in self.twin.watched:
            self._transact(self._creation(key), steps.first_liquidity(key))
        for _ in range(TRANSACTIONS_PER_ROUND):
            if self.tally.cases >= cases:
                return
            if self.hook and rng.random() < 0.3:
                self._configure()
            # Drawn one by one while the engine plays them, each from the state before it.
            before = (steps.outside_step() for _ in range(rng.choice((0, 0, 0, 1, 2))))
            self._transact(before, (steps.any_step() for _ in range(rng.randint(1, 8))))

    def _transact(self, before: Iterable[Step], inside: Iterable[Step]) -> None:
        account = self.rng.choice(ACCOUNTS)
        honest = self.rng.random() < 0.95
        self.twin.transact(
            account, before, inside, lambda: self.steps.settlement() if honest else []
        )

    def _creation(self, key: PoolKey) -> list[Step]:
        rng, steps = self.rng, self.steps
        price = sqrt_price_at_tick(self.centre[key]) + rng.choice((0, 0, 1, rng.getrandbits(40)))
        price = min(price, MAX_SQRT_PRICE - 1)
        odd = [self._odd(key) for _ in range(3)]
        made = [
            steps.initialize(rng.choice(odd), price),
            steps.initialize(key, rng.choice((0, 1, MAX_SQRT_PRICE, (1 << 160) - 1))),
            *(steps.initialize(other, price) for other in odd),
            # Only the second account may create the pools that it hooks itself.
            steps.initialize(key, price, ACCOUNTS[1]),
            steps.initialize(key, price),
        ]
        return [*made, *(steps.protocol_fee(key, ACCOUNTS[0]) for _ in range(rng.randint(0, 2)))]

    def _key(self, hooks: str) -> PoolKey:
        rng = self.rng
        fee = rng.choice((*_FEES, rng.randint(0, MAX_LP_FEE), rng.randint(0, 20_000)))
        if hooks != NATIVE and not (isinstance(self.hook, v4_hooks.TakesFee) or rng.random() < 0.2):
            fee = DYNAMIC_FEE_FLAG
        if isinstance(self.hook, v4_hooks.UpdatesFee) and hooks != NATIVE:
            fee = DYNAMIC_FEE_FLAG
        spacing = rng.choice((*_SPACINGS, 1 + (rng.getrandbits(15) >> rng.randint(0, 14))))
        return PoolKey(*self.pair, fee, min(spacing, MAX_TICK_SPACING), hooks)

    def _odd(self, key: PoolKey) -> PoolKey:
        """A key that is invalid in one respect, or another valid one."""
        rng = self.rng
        return rng.choice(
            (
                key._replace(currency0=key.currency1, currency1=key.currency0),
                key._replace(currency1=key.currency0),
                key._replace(tick_spacing=rng.choice((0, -1, 32768, -(1 << 23)))),
                key._replace(fee=rng.choice((1_000_001, 0x800001, 0xFFFFFF, DYNAMIC_FEE_FLAG))),
                key._replace(hooks=f"0x{rng.getrandbits(14) | rng.getrandbits(1) << 100:040x}"),
                key._replace(hooks=f"0x{1 << 100:040x}", fee=DYNAMIC_FEE_FLAG),
            )
        )

    def _hooks(self) -> str:
        """A hook address for this round's first pool."""
        rng, names = self.rng, list(v4_hooks.HOOKS)
        name = rng.choice(("", "", "", "self", *names))
        if name in ("", "self"):
            return ACCOUNTS[1] if name else NATIVE
        self.hook = v4_hooks.place(self.twin.world, self.twin.engine, name)
        return self.hook.address

    def _configure(self) -> None:
        rng = self.rng
        assert self.hook
        if isinstance(self.hook, v4_hooks.ReturnsDeltas):
            values = [rng.choice((0, 0, self.steps.amount(), -self.steps.amount())) for _ in "123"]
            values = [max(min(value, (1 << 127) - 1), -(1 << 127) + 1) for value in values]
        else:
            fee = rng.choice((*_FEES, rng.randint(0, 20_000), 1_000_001, rng.getrandbits(24)))
            values = [fee, 0, 0]
        v4_hooks.configure(self.twin.world, self.hook, (values[0], values[1], values[2]))

    def _ticks(self, key: PoolKey) -> list[int]:
        """Ticks of all distances from where the price starts, and both ends."""
        rng, spacing = self.rng, key.tick_spacing
        top, centre = MAX_TICK // spacing, self.centre[key] // spacing
        found = {-top, top}
        while len(found) < min(9, 2 * top + 1):
            reach = max(2, 10 ** rng.randint(1, 6) // spacing)
            found.add(max(-top, min(top, centre + rng.randint(-reach, reach))))
        return sorted(multiple * spacing for multiple in found)
