"""Certify the v2 engine against UniswapV2Pair's bytecode, move by move, word by word.

Contract: every case makes one random move on both sides and compares what it returned (or that both
refused) and the pair's whole storage: supply, LP balances, reserves, cumulative prices, kLast, and
its two token balances.  A world is replayed from the seed and its number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from random import Random
from typing import Any

from denizen.evm.abi import calldata, decode, keccak
from denizen.evm.actor import actor_code, forward, payment
from denizen.evm.certify.outcome import Contract, OnCase, Outcome, Tally, attempt, differing
from denizen.evm.machine import SENDER, Machine
from denizen.evm.packages import PACKAGES, artefact, creation_code
from denizen.protocols.fixed_point import MathError
from denizen.protocols.uniswap_v2 import (
    LOCKED,
    MAX_UINT112,
    PAIR,
    Pair,
    get_amount_in,
    get_amount_out,
)

_WORLD_MOVES = 150
_OWNERS = tuple("0x" + f"{number:02x}" * 20 for number in (0xA1, 0xA2))
_FEE_TO, _NOBODY = "0x" + "fe" * 20, "0x" + "00" * 20
_MOVES = {"mint": 18, "burn": 14, "swap": 34, "exact_swap": 22, "skim": 4, "sync": 4, "fee": 4}


@cache
def _code(contract: str) -> bytes:
    return creation_code(artefact(PACKAGES["v2-core"], f"build/{contract}.json"))


def run(cases: int, seed: int, on_case: OnCase = lambda _: None) -> Outcome:
    """Compare at least `cases` moves."""
    contract = Contract.of("UniswapV2Factory", PACKAGES["v2-core"], _code("UniswapV2Factory"))
    tally = Tally("uniswap-v2", seed, (contract,), on_case)
    number = 0
    while tally.cases < cases:
        _World(tally, number).play(cases)
        number += 1
    return tally.outcome()


class _World:
    """One pair on both sides."""

    def __init__(self, tally: Tally, number: int) -> None:
        self.tally, self.number, self.move = tally, number, 0
        self.rng = rng = Random(f"{tally.seed}/{number}")
        self.bits = rng.choice([16, 24, 60, 90, 108])  # of a usual amount
        self.time = rng.choice([1_700_000_000, (1 << 32) - rng.randrange(1, 10**6)])
        self.machine = machine = Machine(timestamp=self.time)
        self.factory = machine.deploy(_code("UniswapV2Factory"), ["address"], [SENDER])
        supply = 1 << 255
        made = [machine.deploy(_code("ERC20"), ["uint256"], [supply]) for _ in range(2)]
        self.tokens = sorted(made, key=str.lower)
        create = calldata("createPair(address,address)", *self.tokens)
        self.address: str = decode(["address"], machine.call(self.factory, create))[0]
        for owner in _OWNERS:
            machine.place(owner, actor_code(*self.tokens))
            for token in self.tokens:
                machine.call(token, calldata("transfer(address,uint256)", owner, supply // 2))
        self.pair = Pair(self.time)

    def play(self, cases: int) -> None:
        """Moves until the world or the run has had enough, or the first mismatch."""
        for _ in range(_WORLD_MOVES):
            if self.tally.cases >= cases:
                break
            if self.rng.random() < 0.5:
                self.time += self.rng.choice([1, 12, self.rng.randrange(10**6), 1 << 31])
                self.pair.time = self.time
                self.machine.warp(self.time)
            self.move += 1
            kinds = _MOVES if self.pair.total_supply else {"mint": 1, "sync": 0.1, "swap": 0.1}
            kind = self.rng.choices([*kinds], [*kinds.values()])[0]
            if max(self.pair.balance0, self.pair.balance1) > MAX_UINT112 and self.move % 3 == 0:
                kind = "skim"  # else the pair would refuse whatever comes
            if not getattr(self, f"_{kind}")():
                break

    # Moves: each draws its arguments and makes the same move on both sides.

    def _mint(self) -> bool:
        owner, rng, pair = self.rng.choice(_OWNERS), self.rng, self.pair
        amount0, amount1 = self._amount(), self._amount()
        if pair.reserve0 and rng.random() < 0.6:  # in the reserves' proportion
            amount0 = rng.randint(1, rng.choice([pair.reserve0, 1 + pair.reserve0 // 1000]))
            amount1 = amount0 * pair.reserve1 // pair.reserve0 + rng.choice([0, 1, 1, -1])
        self._send(owner, amount0, max(0, amount1))
        return self._both(
            "mint",
            lambda: (pair.mint(owner),),
            (owner, "mint(address)", owner),
            ["uint256"],
        )

    def _burn(self) -> bool:
        owner, rng = self.rng.choice(_OWNERS), self.rng
        held = self.pair.shares.get(owner, 0)
        shares = rng.choice([held, *(rng.randint(0, held) for _ in range(6)), min(held, 1), 0])
        if rng.random() < 0.1:
            self._send(owner, self._amount(), 0)
        self.pair.send_shares(owner, shares)
        self._act(owner, self.address, "transfer(address,uint256)", self.address, shares)
        call = (owner, "burn(address)", owner)
        return self._both("burn", self.pair.burn, call, ["uint256", "uint256"])

    def _swap(self) -> bool:
        """Any outputs for about what they cost, paid before, in a flash swap, or both."""
        owner, rng, pair = self.rng.choice(_OWNERS), self.rng, self.pair
        reserves = pair.reserve0, pair.reserve1
        outs = [rng.choice([0, rng.randint(0, held // 2)]) for held in reserves]
        if not any(outs) or rng.random() < 0.1:
            some = [self._amount(), *reserves, *(rng.randint(0, held // 2) for held in reserves)]
            outs[rng.randrange(2)] = rng.choice(some)
        sent, paid = [0, 0], [0, 0]
        flash = rng.random() < 0.5
        for side in (0, 1):
            # What the other output costs, and this one's return with the fee, give or take a unit.
            try:
                cost = get_amount_in(outs[1 - side], reserves[side], reserves[1 - side])
            except MathError:
                cost = 0
            due = (
                cost
                + -(-outs[side] * 1000 // 997)
                + rng.choice([0, 0, 0, 1, -1, -2, self._amount()])
            )
            part = rng.choice([0, due, rng.randint(0, max(0, due))]) if flash else due
            sent[side], paid[side] = max(0, part), max(0, due - part)
        self._send(owner, *sent)
        return self._swap_both("flash swap" if flash else "swap", owner, outs, paid, flash)

    def _exact_swap(self) -> bool:
        """The library's quote, which the pair pays, and one unit more, which it refuses."""
        owner, rng, pair = self.rng.choice(_OWNERS), self.rng, self.pair
        zero, more = rng.random() < 0.5, rng.choice([0, 0, 0, 1])
        pair.skim()
        self._act(owner, self.address, "skim(address)", owner)
        reserves = (pair.reserve0, pair.reserve1) if zero else (pair.reserve1, pair.reserve0)
        try:
            if rng.random() < 0.5:
                paid = max(1, self._amount())
                out = get_amount_out(paid, *reserves) + more
            else:
                out = rng.randint(1, max(1, reserves[1]))
                paid = get_amount_in(out, *reserves)
        except MathError:
            return True
        self._send(owner, *((paid, 0) if zero else (0, paid)))
        outs = [0, out] if zero else [out, 0]
        return self._swap_both("swap at the library's quote", owner, outs, [0, 0], False)

    def _swap_both(
        self, kind: str, owner: str, outs: list[int], paid: list[int], flash: bool
    ) -> bool:
        def engine() -> tuple[()]:
            self.pair.swap(*outs, *paid)
            return ()

        data = payment(*paid) if flash else b""
        call = (owner, "swap(uint256,uint256,address,bytes)", *outs, owner, data)
        return self._both(kind, engine, call, [])

    def _skim(self) -> bool:
        owner = self.rng.choice(_OWNERS)
        self._send(owner, self._amount(), self._amount())

        def engine() -> tuple[()]:
            self.pair.skim()
            return ()

        return self._both("skim", engine, (owner, "skim(address)", owner), [])

    def _sync(self) -> bool:
        owner = self.rng.choice(_OWNERS)
        kind = self.rng.random()
        if kind < 0.4:
            self._send(owner, self._amount(), self._amount())
        elif kind < 0.5:  # to the brim of uint112, or one over
            room = MAX_UINT112 - self.pair.balance0 + self.rng.choice([0, 1])
            self._send(owner, max(0, room), 0)

        def engine() -> tuple[()]:
            self.pair.sync()
            return ()

        return self._both("sync", engine, (owner, "sync()"), [])

    def _fee(self) -> bool:
        """The protocol's fee is switched; its effect shows in the moves that follow."""
        self.pair.fee_to = None if self.pair.fee_to else _FEE_TO
        self.machine.call(self.factory, calldata("setFeeTo(address)", self.pair.fee_to or _NOBODY))
        return True

    def _amount(self) -> int:
        rng = self.rng
        if rng.random() < 0.03:
            return rng.choice([0, 1, 1000, 1001, (1 << 112) - 1, 1 << 112])
        return rng.getrandbits(rng.randint(0, self.bits))

    def _send(self, owner: str, amount0: int, amount1: int) -> None:
        self.pair.send(amount0, amount1)
        for token, amount in zip(self.tokens, (amount0, amount1), strict=True):
            if amount:
                self._act(owner, token, "transfer(address,uint256)", self.address, amount)

    def _act(self, owner: str, target: str, signature: str, *values: Any) -> bytes:
        return self.machine.call(owner, forward(target, calldata(signature, *values)))

    # Comparing.

    def _both(
        self, kind: str, engine: Callable[[], Any], call: tuple[Any, ...], types: Sequence[str]
    ) -> bool:
        ours = attempt(engine)
        theirs = attempt(lambda: decode(types, self._act(call[0], self.address, *call[1:])))
        ours_differs, theirs_differs = differing(self._ours(), self._theirs())
        replay = f"world {self.number}, move {self.move}: {call}"
        if ours is None and theirs is None and not ours_differs:
            return self.tally.compare(kind, None, None, replay)
        return self.tally.compare(kind, (ours, ours_differs), (theirs, theirs_differs), replay)

    def _ours(self) -> list[int]:
        pair = self.pair
        reserves = pair.reserve0 | pair.reserve1 << 112 | pair.block_timestamp_last << 224
        cumulatives = pair.price0_cumulative_last, pair.price1_cumulative_last
        shares = [pair.shares.get(name, 0) for name in (*_OWNERS, _FEE_TO, LOCKED, PAIR)]
        words = [pair.total_supply, reserves, *cumulatives, pair.k_last, *shares]
        return [*words, pair.balance0, pair.balance1]

    def _theirs(self) -> list[int]:
        # Slots 0 totalSupply and 1 balanceOf of the ERC-20 (the pair's and the tokens'), 8 the
        # packed reserves, 9 and 10 the cumulatives, 11 kLast.
        words = [self.machine.storage(self.address, slot) for slot in (0, 8, 9, 10, 11)]
        holders = (*_OWNERS, _FEE_TO, _NOBODY, self.address)
        shares = [self.machine.storage(self.address, _balance(holder)) for holder in holders]
        held = [self.machine.storage(token, _balance(self.address)) for token in self.tokens]
        return [*words, *shares, *held]


def _balance(holder: str) -> int:
    packed = bytes.fromhex(holder[2:]).rjust(32, b"\0") + (1).to_bytes(32, "big")
    return int.from_bytes(keccak(packed), "big")
