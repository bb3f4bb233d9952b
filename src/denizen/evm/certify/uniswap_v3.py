"""Certify the v3 engine against UniswapV3Pool's bytecode, move by move, word by word.

Contract: every case makes one random move on both sides and compares what it returned (or that both
refused) and the storage words it can have changed; each world ends with a comparison of every tick,
position, bitmap word and observation.  A world is replayed from the seed and its number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from denizen.evm.abi import decode
from denizen.evm.actor import payment
from denizen.evm.certify.outcome import Contract, OnCase, Outcome, Tally, attempt, differing
from denizen.evm.certify.v3_draws import Draw, fee_and_spacing, initial_prices
from denizen.evm.packages import PACKAGES
from denizen.evm.worlds.uniswap_v3 import (
    OWNERS,
    RANGE,
    V3World,
    engine_side_words,
    engine_words,
    factory_code,
)
from denizen.protocols.fixed_point import MAX_UINT128
from denizen.protocols.uniswap_v3 import Pool

_WORLD_MOVES = 150
_MOVES = {
    "mint": 20,
    "swap": 50,
    "burn": 16,
    "collect": 7,
    "flash": 4,
    "observe": 8,
    "snapshot": 4,
    "grow": 3,
    "set_fee_protocol": 3,
    "collect_protocol": 3,
}


def run(cases: int, seed: int, on_case: OnCase = lambda _: None) -> Outcome:
    """Compare at least `cases` moves."""
    contract = Contract.of("UniswapV3Factory", PACKAGES["v3-core"], factory_code())
    tally = Tally("uniswap-v3", seed, (contract,), on_case)
    number = 0
    while tally.cases < cases:
        _World(tally, number).play(cases)
        number += 1
    return tally.outcome()


class _World:
    """One pool on both sides, from its initialisation to the final sweep."""

    def __init__(self, tally: Tally, number: int) -> None:
        self.tally, self.number, self.move = tally, number, 0
        self.rng = Random(f"{tally.seed}/{number}")
        self.fee, self.spacing = fee_and_spacing(self.rng)
        # Times just before 2^32 wrap while the world runs.
        self.time = self.rng.choice([1_700_000_000, (1 << 32) - self.rng.randrange(1, 10**6)])
        self.theirs = V3World(self.fee, self.spacing, self.time)

    def play(self, cases: int) -> None:
        """Moves until the world or the run has had enough, or the first mismatch."""
        for price in initial_prices(self.rng):
            if not self._initialize(price):
                return
            if self.ours:
                break
        for _ in range(_WORLD_MOVES):
            if self.tally.cases >= cases:
                break
            if self.rng.random() < 0.4:
                self.time += self.rng.choice([1, 12, self.rng.randrange(100_000), 1 << 24])
                self.ours.time = self.time
                self.theirs.machine.warp(self.time)
            self.move += 1
            kind = self.rng.choices([*_MOVES], [*_MOVES.values()])[0]
            if not getattr(self, f"_{kind}")():
                return
        self._sweep()

    def _initialize(self, price: int) -> bool:
        def contract() -> list[int]:
            self.theirs.call(None, "initialize(uint160)", price)
            return self.theirs.words()

        self.ours = attempt(lambda: Pool(price, self.fee, self.spacing, time=self.time))
        theirs = attempt(contract)
        if self.ours:
            self.draw = Draw(self.rng, self.ours)
        ours = engine_words(self.ours) if self.ours else None
        return self.tally.compare("initialize", ours, theirs, self._replay(price))

    # Moves: each draws its arguments and makes the same move on both sides.

    def _mint(self) -> bool:
        owner, lower, upper = key = self.draw.range(fresh=0.6)
        liquidity = self.draw.liquidity_to_add(lower, upper)
        return self._both(
            "mint",
            lambda: self.ours.mint(owner, lower, upper, liquidity),
            (owner, "mint(address,int24,int24,uint128,bytes)", *key, liquidity, b""),
            ("uint256", "uint256"),
            key,
        )

    def _burn(self) -> bool:
        owner, lower, upper = key = self.draw.held()
        liquidity = self.draw.liquidity_to_burn(key)
        return self._both(
            "burn" if liquidity else "burn of 0",
            lambda: self.ours.burn(owner, lower, upper, liquidity),
            (owner, "burn(int24,int24,uint128)", lower, upper, liquidity),
            ("uint256", "uint256"),
            key,
        )

    def _collect(self) -> bool:
        owner, *ends = key = self.draw.held()
        some = self.draw.number(128)
        wanted = self.rng.choice([(MAX_UINT128, MAX_UINT128), (some, MAX_UINT128), (1, some)])
        return self._both(
            "collect",
            lambda: self.ours.collect(*key, *wanted),
            (owner, "collect(address,int24,int24,uint128,uint128)", owner, *ends, *wanted),
            ("uint128", "uint128"),
            key,
        )

    def _swap(self) -> bool:
        owner, zero = self.rng.choice(OWNERS), self.rng.random() < 0.5
        amount, limit = self.draw.swap_amount(), self.draw.limit(zero)
        return self._both(
            "swap exact input" if amount > 0 else "swap exact output",
            lambda: self.ours.swap(zero, amount, limit)[:2],
            (owner, "swap(address,bool,int256,uint160,bytes)", owner, zero, amount, limit, b""),
            ("int256", "int256"),
        )

    def _flash(self) -> bool:
        owner, rng = self.rng.choice(OWNERS), self.rng
        # No more than the pool holds: past that the token refuses, not the pool.
        most = self.theirs.balances()
        loans = [rng.choice([0, min(1, held), rng.randint(0, held)]) for held in most]
        dues = [-(-loan * self.fee // 1_000_000) for loan in loans]
        paid = [max(0, due + rng.choice([-1, 0, 0, 1, self.draw.number(200)])) for due in dues]
        back = payment(loans[0] + paid[0], loans[1] + paid[1])

        def engine() -> tuple[()]:
            self.ours.flash(*loans, *paid)
            return ()

        call = (owner, "flash(address,uint256,uint256,bytes)", owner, *loans, back)
        return self._both("flash", engine, call, ())

    def _observe(self) -> bool:
        agos = self.draw.seconds_agos()
        return self._both(
            "observe",
            lambda: tuple(zip(*self.ours.observe(agos), strict=True)),
            (None, "observe(uint32[])", agos),
            ("int56[]", "uint160[]"),
        )

    def _snapshot(self) -> bool:
        _, *ends = self.draw.range(fresh=0.1)
        return self._both(
            "snapshotCumulativesInside",
            lambda: self.ours.snapshot_cumulatives_inside(*ends),
            (None, "snapshotCumulativesInside(int24,int24)", *ends),
            ("int56", "uint160", "uint32"),
        )

    def _grow(self) -> bool:
        size = self.rng.randrange(12)

        def engine() -> tuple[()]:
            self.ours.increase_observation_cardinality_next(size)
            return ()

        call = (None, "increaseObservationCardinalityNext(uint16)", size)
        return self._both("increaseObservationCardinalityNext", engine, call, ())

    def _set_fee_protocol(self) -> bool:
        part0, part1 = self.rng.choices([0, 4, 5, 7, 10, 3, 11], [6, 4, 4, 4, 4, 1, 1], k=2)

        def engine() -> tuple[()]:
            self.ours.set_fee_protocol(part0, part1)
            return ()

        call = (None, "setFeeProtocol(uint8,uint8)", part0, part1)
        return self._both("setFeeProtocol", engine, call, ())

    def _collect_protocol(self) -> bool:
        most = self.rng.choice([MAX_UINT128, self.draw.number(128), 1])
        wanted = self.rng.choice([(most, most), (self.ours.protocol_fees0, most)])
        return self._both(
            "collectProtocol",
            lambda: self.ours.collect_protocol(*wanted),
            (None, "collectProtocol(address,uint128,uint128)", OWNERS[0], *wanted),
            ("uint128", "uint128"),
        )

    # Comparing.

    def _both(
        self,
        kind: str,
        engine: Callable[[], Any],
        call: tuple[Any, ...],
        types: Sequence[str],
        key: RANGE | None = None,
    ) -> bool:
        tick = self.ours.tick
        ours = attempt(engine)
        theirs = attempt(lambda: decode(types, self.theirs.call(*call)))
        ticks, ranges = self._touched(key, *sorted((tick, self.ours.tick)))
        after = engine_words(self.ours, ticks, ranges)
        ours_differs, theirs_differs = differing(after, self.theirs.words(ticks, ranges))
        replay = self._replay(call)
        if ours is None and theirs is None and not ours_differs:
            return self.tally.compare(kind, None, None, replay)
        return self.tally.compare(kind, (ours, ours_differs), (theirs, theirs_differs), replay)

    def _touched(self, key: RANGE | None, low: int, high: int) -> tuple[list[int], list[RANGE]]:
        """Ticks and positions a move can have changed."""
        if key is None:
            return [tick for tick in self.ours.ticks if low <= tick <= high + 1], []
        return [key[1], key[2]], [key]

    def _sweep(self) -> None:
        ranges = [*self.draw.ranges]
        ticks = sorted({tick for _, *ends in ranges for tick in ends})
        bitmap = sorted({*self.ours.tick_bitmap, *(t // self.spacing >> 8 for t in ticks)})
        sizes = bitmap, self.ours.oracle.cardinality_next
        ours = engine_words(self.ours, ticks, ranges) + engine_side_words(self.ours, *sizes)
        theirs = self.theirs.words(ticks, ranges) + self.theirs.side_words(*sizes)
        self.tally.compare("whole state", *differing(ours, theirs), self._replay("sweep"))

    def _replay(self, what: object) -> str:
        return (
            f"world {self.number}, fee {self.fee}, spacing {self.spacing}, move {self.move}: {what}"
        )
