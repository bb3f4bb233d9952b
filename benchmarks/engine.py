"""Swaps a second of the exact Uniswap engine, and of the same swaps as bytecode in pyrevm.

Contract: one sequence of swaps runs on both sides, each committing its state before the next; the
pools must end at the same price, tick, liquidity and fee growth or nothing is reported.  Calldata
is encoded beforehand; the bytecode also moves the tokens and calls its payer back, which the engine
has no need of.  A figure is the best of the rounds, in one process, for swaps that stay in their
tick range and for swaps that cross ticks.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from random import Random
from typing import Any

from denizen.evm.abi import calldata
from denizen.evm.actor import forward
from denizen.evm.worlds.uniswap_v3 import OWNERS, V3World, engine_words
from denizen.protocols.tick_math import MAX_SQRT_PRICE, MIN_SQRT_PRICE
from denizen.protocols.uniswap_v3 import Pool
from denizen.protocols.uniswap_v4_pool import Pool as PoolV4

TARGET, TARGET_RATIO = 20_000, 4
SWAPS, ROUNDS = 4000, 15
_FEE, _SPACING, _START = 3000, 60, 1 << 96
_TIME = 1_700_000_000
Swaps = list[tuple[bool, int]]


def measure() -> dict[str, Any]:
    """Best of the rounds, in swaps a second."""
    sides = {"single_tick": 10**17, "multi_tick": 3 * 10**20}
    cases = {name: _case(name, size) for name, size in sides.items()}
    return {
        "swaps": SWAPS,
        "rounds": ROUNDS,
        "state": "committed after every swap on both sides",
        "only_in_pyrevm": "two token transfers, two balance reads and a callback a swap",
        **cases,
        "target": {"swaps_per_second": TARGET, "ratio_to_pyrevm": TARGET_RATIO},
        "reached": all(
            min(case["v3_swaps_per_second"], case["v4_swaps_per_second"]) >= TARGET
            and case["ratio_to_pyrevm"] >= TARGET_RATIO
            for case in cases.values()
        ),
    }


def _case(name: str, size: int) -> dict[str, Any]:
    rng = Random(name)
    ranges = _ranges(rng)
    # To and fro, so that the price stays among the positions; half of them exact outputs.
    swaps = [
        (bool(n % 2), rng.choice([1, -1]) * rng.randrange(size // 2, size)) for n in range(SWAPS)
    ]
    engine, v4, evm, crossed = [], [], [], 0
    for _ in range(ROUNDS):
        pool, seconds, crossed = _engine(ranges, swaps)
        engine.append(SWAPS / seconds)
        v4.append(SWAPS / _engine_v4(ranges, swaps))
        world, seconds = _evm(ranges, swaps)
        evm.append(SWAPS / seconds)
        if world.words() != engine_words(pool):
            raise RuntimeError("engine and bytecode end in different states")
    return {
        "v3_swaps_per_second": round(max(engine)),
        "v4_swaps_per_second": round(max(v4)),
        "pyrevm_v3_swaps_per_second": round(max(evm)),
        "ratio_to_pyrevm": round(max(engine) / max(evm), 1),
        "ticks_crossed_per_swap": round(crossed / SWAPS, 2),
    }


def _ranges(rng: Random) -> list[tuple[int, int, int]]:
    """One wide position and forty overlapping ones around the price."""
    found = [(-60_000, 60_000, 10**21)]
    for _ in range(40):
        lower, upper = sorted(rng.sample(range(-100, 101), 2))
        found.append((lower * _SPACING, upper * _SPACING, rng.randrange(10**20, 10**21)))
    return found


def _engine(ranges: list[tuple[int, int, int]], swaps: Swaps) -> tuple[Pool, float, int]:
    pool = Pool(_START, _FEE, _SPACING, time=_TIME)
    for lower, upper, liquidity in ranges:
        pool.mint(OWNERS[0], lower, upper, liquidity)
    crossed = 0
    began = time.perf_counter()
    for zero, amount in swaps:
        crossed += pool.swap(zero, amount).ticks_crossed
    return pool, time.perf_counter() - began, crossed


def _engine_v4(ranges: list[tuple[int, int, int]], swaps: Swaps) -> float:
    pool = PoolV4(_START, _FEE, _SPACING)
    for lower, upper, liquidity in ranges:
        pool.modify_liquidity((lower, upper), lower, upper, liquidity)
    swap: Callable[[bool, int], Any] = pool.swap
    began = time.perf_counter()
    for zero, amount in swaps:
        swap(zero, -amount)
    return time.perf_counter() - began


def _evm(ranges: list[tuple[int, int, int]], swaps: Swaps) -> tuple[V3World, float]:
    world = V3World(_FEE, _SPACING, _TIME)
    owner = OWNERS[0]
    world.call(None, "initialize(uint160)", _START)
    for change in ranges:
        mint = "mint(address,int24,int24,uint128,bytes)"
        world.call(owner, mint, owner, *change, b"")
    limits = {True: MIN_SQRT_PRICE + 1, False: MAX_SQRT_PRICE - 1}
    signature = "swap(address,bool,int256,uint160,bytes)"
    calls = [
        forward(world.address, calldata(signature, owner, zero, amount, limits[zero], b""))
        for zero, amount in swaps
    ]
    began = time.perf_counter()
    for data in calls:
        world.machine.call(owner, data)
    return world, time.perf_counter() - began
