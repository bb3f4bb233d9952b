"""The v4 engine beside the PoolManager's bytecode, and that a wrong engine is caught."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from denizen.evm.abi import topic
from denizen.evm.certify import Tally
from denizen.evm.certify.uniswap_v4 import run
from denizen.evm.script import Call
from denizen.evm.worlds import uniswap_v4 as world
from denizen.evm.worlds.uniswap_v4 import ACCOUNTS, TOKENS, World, pack
from denizen.evm.worlds.v4_twin import Diverged, Step, Twin
from denizen.protocols import uniswap_v4, uniswap_v4_pool
from denizen.protocols.uniswap_v4 import NATIVE, PoolKey
from denizen.protocols.uniswap_v4_flash import FlashAccounting
from denizen.protocols.uniswap_v4_hooks import ModifyLiquidityParams, SwapParams, plus
from denizen.protocols.uniswap_v4_manager import PoolManager

pytestmark = pytest.mark.slow

A = ACCOUNTS[0]
KEY = PoolKey(*TOKENS, 3000, 60)


def test_ten_thousand_cases_agree_to_the_unit() -> None:
    seen = 0

    def count(cases: int) -> None:
        nonlocal seen
        seen += cases

    outcome = run(10_000, 41, count)
    assert outcome.ok, outcome.first_mismatches
    assert outcome.cases == seen >= 10_000
    assert outcome.contracts[0].name == "PoolManager"
    # Refusals are tested too, but most cases go through.
    assert outcome.cases // 20 < outcome.refused < outcome.cases // 3
    enough = {
        "swap": 800,
        "swap, hooked": 400,
        "modifyLiquidity": 600,
        "donate": 100,
        "initialize": 200,
        "unlock": 800,
        "take": 300,
        "mint": 150,
        "burn": 150,
        "clear": 150,
        "setProtocolFee": 100,
        "collectProtocolFees": 80,
        "updateDynamicLPFee": 80,
    }
    assert {kind: n for kind, n in enough.items() if outcome.kinds[kind] < n} == {}


def test_the_same_seed_plays_the_same_cases() -> None:
    first, second = run(400, 5), run(400, 5)
    assert first.kinds == second.kinds and first.refused == second.refused


class RoundsProtocolUp(PoolManager):
    """One unit too much to the protocol."""

    def _accrue(self, key: PoolKey, params: SwapParams, swapped: Any) -> None:
        more = swapped._replace(to_protocol=swapped.to_protocol + 1)
        super()._accrue(key, params, more if swapped.to_protocol else swapped)


class ForgivesDebt(PoolManager):
    """Locks with deltas open."""

    @contextmanager
    def unlock(self) -> Iterator[None]:
        with super().unlock():
            yield
            for holder, currency in list(self.deltas):
                self._drop(self.deltas, (holder, currency))


class BurnsForAnyone(PoolManager):
    """Needs no allowance."""

    def _spend(self, caller: str, holder: str, currency: str, amount: int) -> None:
        return


class CallsItself(PoolManager):
    """Calls a hook for the hook's own calls."""

    def _hook(self, caller: str, key: PoolKey, permission: str) -> Any:
        return super()._hook("", key, permission)


@pytest.mark.parametrize("engine", [RoundsProtocolUp, ForgivesDebt, BurnsForAnyone, CallsItself])
def test_a_wrong_manager_is_caught(engine: type[PoolManager]) -> None:
    outcome = run(2000, 5, engine=engine)
    assert outcome.mismatches > 0
    assert "seed 5" in outcome.first_mismatches[0]


@pytest.mark.parametrize(
    ("place", "name", "wrong"),
    [
        # The fee of both parts without its rounding up; the whole fee where lpFee is zero.
        (uniswap_v4_pool, "swap_fee", lambda lp, protocol: max(lp, protocol)),
        (
            uniswap_v4_pool.Pool,
            "_protocol_part",
            lambda s, fee, a, p: (a + fee) * (p % 4096) // 10**6,
        ),
        (
            uniswap_v4_pool,
            "protocol_fee_of",
            lambda word, zero: word >> 12 if zero else word & 4095,
        ),
        (uniswap_v4_pool, "lp_fee_for_swap", lambda stored, override: stored),
        (
            FlashAccounting,
            "clear",
            lambda s, who, currency, amount: s.account(who, currency, -amount),
        ),
    ],
)
def test_a_wrong_rule_is_caught(
    monkeypatch: pytest.MonkeyPatch, place: Any, name: str, wrong: Any
) -> None:
    monkeypatch.setattr(place, name, wrong)
    assert run(2000, 6).mismatches > 0


def twin() -> Twin:
    return Twin(Tally("uniswap_v4", 0, ()))


def step(made: Twin, account: str, to: str, data: bytes, ours: Any) -> Step:
    return Step("step", account, Call(to, data), lambda: (ours(), ())[1])


def test_paying_out_between_sync_and_settle_is_refused_by_both() -> None:
    made = twin()
    engine, manager, token = made.engine, made.manager, TOKENS[0]
    take = pack("take(address,address,uint256)", token, A, 5)

    def pay(amount: int) -> Step:
        data = pack("transfer(address,uint256)", manager, amount)
        return step(made, A, token, data, lambda: engine.transfer(token, A, manager, amount))

    sync = step(made, A, manager, pack("sync(address)", token), lambda: engine.sync(token))
    settle = step(made, A, manager, pack("settle()"), lambda: engine.settle(A))
    taken = step(made, A, manager, take, lambda: engine.take(A, token, A, 5))
    steps = [pay(9), sync, taken, settle, pay(5), settle, sync, pay(5), settle]
    assert made.transact(A, [], steps, list)
    assert made.tally.refused == 1


def settle_native_after_a_sync_in_the_transaction_before(made: Twin) -> bool:
    engine, manager, token = made.engine, made.manager, TOKENS[0]
    sync = step(made, A, manager, pack("sync(address)", token), lambda: engine.sync(token))
    settle = step(made, A, manager, pack("settle()"), lambda: engine.settle(A, 5))
    settle = settle._replace(call=settle.call._replace(value=5))
    data = pack("clear(address,uint256)", NATIVE, 5)
    clear = step(made, A, manager, data, lambda: engine.clear(A, NATIVE, 5))
    made.transact(A, [sync], [], list)
    return made.transact(A, [], [settle, clear], list)


def test_a_sync_ends_with_its_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settle_native_after_a_sync_in_the_transaction_before(twin())
    monkeypatch.setattr(FlashAccounting, "end_transaction", lambda _: None)
    with pytest.raises(Diverged):
        settle_native_after_a_sync_in_the_transaction_before(twin())


def test_a_difference_in_one_step_is_told() -> None:
    made = twin()
    wrong = step(made, A, made.manager, pack("sync(address)", TOKENS[0]), lambda: 1 // 1)
    made.transact(A, [], [wrong], list)
    with pytest.raises(Diverged):
        wrong = wrong._replace(read=lambda _: 7)
        made.transact(A, [], [wrong], list)
    assert made.tally.mismatches == 1 and "7" in made.tally.first[0]


def test_the_swap_event_is_the_swappers_side_and_names_the_fee() -> None:
    real, packed = World(), uniswap_v4.pack_protocol_fee(500, 1000)
    add, params = ModifyLiquidityParams(-600, 600, 10**18), SwapParams(True, -(10**15), 1 << 95)
    pool = uniswap_v4_pool.Pool(1 << 96, KEY.fee, KEY.tick_spacing)
    pool.protocol_fee = packed
    principal, _ = pool.modify_liquidity("anyone", -600, 600, 10**18)
    swapped = pool.swap(*params)
    owed = plus(principal, swapped.delta)
    calls = [
        Call(real.manager, world.modify_liquidity(KEY, add)),
        Call(real.manager, world.swap(KEY, params)),
    ]
    for currency, delta in zip(TOKENS, owed, strict=True):
        calls += [
            Call(real.manager, pack("sync(address)", currency)),
            Call(currency, pack("transfer(address,uint256)", real.manager, -delta)),
            Call(real.manager, pack("settle()")),
        ]
    real.run(
        A,
        [
            Call(real.manager, world.initialize(KEY, 1 << 96)),
            Call(real.manager, world.keyed("setProtocolFee", KEY, packed)),
            real.unlocking(calls, tolerant=False),
        ],
    )
    signature = "Swap(bytes32,address,int128,int128,uint160,uint128,int24,uint24)"
    (log,) = [log for log in real.machine.logs if log.topics[0] == topic(signature)]
    words = [log.data[at : at + 32] for at in range(0, len(log.data), 32)]
    amounts = tuple(world.signed(int.from_bytes(each, "big"), 128) for each in words[:2])
    assert amounts == swapped.delta
    assert int.from_bytes(words[5], "big") == swapped.fee == uniswap_v4.swap_fee(3000, 500)
    event = uniswap_v4.classify_swap_event("v4", *amounts)
    assert event == (True, 10**15, swapped.delta.amount1)
