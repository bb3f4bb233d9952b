"""The v3 engine is the contract's equal, and the runner would see it if it were not."""

from __future__ import annotations

import pytest

from denizen.evm.abi import calldata, decode
from denizen.evm.certify import uniswap_v3 as certify
from denizen.evm.worlds.uniswap_v3 import OWNERS, V3World
from denizen.protocols import concentrated, swap_math, uniswap_v3

pytestmark = pytest.mark.slow
Step = tuple[int, int, int, int]


def test_ten_thousand_moves_agree() -> None:
    outcome = certify.run(10_000, seed=3)
    assert outcome.ok, outcome.first_mismatches
    assert outcome.cases >= 10_000
    assert outcome.refused < outcome.cases // 3
    kinds = outcome.kinds
    assert kinds["swap exact input"] > 1500 and kinds["swap exact output"] > 1500
    assert min(kinds[name] for name in ("mint", "burn", "burn of 0", "collect", "flash")) > 100
    assert min(kinds[name] for name in ("observe", "snapshotCumulativesInside")) > 100


def test_a_run_is_replayed_from_its_seed() -> None:
    first, second = (certify.run(300, seed=8) for _ in range(2))
    assert (first.kinds, first.refused) == (second.kinds, second.refused)
    assert certify.run(300, seed=9).kinds != first.kinds


def fee_rounded_down(*step: int) -> Step:
    price, amount_in, out, fee = swap_math.step_v3(*step)  # type: ignore[arg-type]
    reached = step[5] and price == step[1] and fee
    return price, amount_in, out, fee - bool(reached)


@pytest.mark.parametrize("step", [fee_rounded_down, swap_math.step_v4], ids=["fee", "v4"])
def test_a_wrong_step_is_seen(step: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uniswap_v3.Pool, "step", staticmethod(step))
    outcome = certify.run(3000, seed=1)
    assert outcome.mismatches and "world" in outcome.first_mismatches[0]


def test_skipping_the_edges_of_words_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def leap(bitmap: dict[int, int], tick: int, spacing: int, lte: bool) -> tuple[int, bool]:
        places = ((word, bit) for word in bitmap for bit in range(256) if bitmap[word] >> bit & 1)
        ticks = [(256 * word + bit) * spacing for word, bit in places]
        if lte:
            return max(((t, True) for t in ticks if t <= tick), default=(-887_272, False))
        return min(((t, True) for t in ticks if t > tick), default=(887_272, False))

    monkeypatch.setattr(concentrated, "next_initialized_tick_within_one_word", leap)
    assert certify.run(1500, seed=1).mismatches


def test_an_engine_that_never_refuses_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(concentrated, "check_ticks", lambda *_: None)
    assert certify.run(3000, seed=1).mismatches


def test_the_storage_words_are_the_getters() -> None:
    world = V3World(3000, 60, 1_700_000_000)
    world.call(None, "initialize(uint160)", 3 << 96)
    owner = OWNERS[0]
    world.call(owner, "mint(address,int24,int24,uint128,bytes)", owner, 0, 60_000, 10**9, b"")
    slot0 = ["uint160", "int24", "uint16", "uint16", "uint16", "uint8", "bool"]
    word, *_, liquidity = world.words()
    price, tick, *rest = decode(slot0, world.machine.call(world.address, calldata("slot0()")))
    assert word & ((1 << 160) - 1) == price == 3 << 96
    assert word >> 160 & 0xFFFFFF == tick == 21_973
    assert rest == [0, 1, 1, 0, True] and liquidity == 10**9
    gross, net = decode(
        ["uint128", "int128"],
        world.machine.call(world.address, calldata("ticks(int24)", 60_000))[:64],
    )
    assert world.words([60_000])[5] == gross | (net % (1 << 128)) << 128
    assert (gross, net) == (10**9, -(10**9))
