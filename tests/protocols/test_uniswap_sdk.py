"""Uniswap engines against the figures of Uniswap's own SDKs (v3-sdk 3.31.5, v4-sdk 2.4.0, MIT).

The bytecode certifies them too (evm/certify/); these are another implementation's figures, kept in
tests/graders/uniswap_sdk/ with the script that made them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from denizen.evm.worlds.uniswap_v4 import pool_id
from denizen.protocols import MathError, position, tick_math, usable_ticks
from denizen.protocols.sqrt_price_math import amount0_delta, amount1_delta
from denizen.protocols.swap_math import compute_swap_step_v3
from denizen.protocols.uniswap_v3 import Pool as PoolV3
from denizen.protocols.uniswap_v4 import PoolKey
from denizen.protocols.uniswap_v4_pool import Pool as PoolV4

VECTORS: dict[str, list[Any]] = json.loads(
    (Path(__file__).parents[1] / "graders" / "uniswap_sdk" / "vectors.json").read_text("utf-8")
)


def test_ticks() -> None:
    assert len(VECTORS["ticks"]) > 200
    for tick, ratio, *between in VECTORS["ticks"]:
        assert tick_math.sqrt_price_at_tick(tick) == int(ratio)
        if between:
            assert tick_math.tick_at_sqrt_price(int(between[0])) == between[1]


def test_swap_steps() -> None:
    done = 0
    for given, expected in VECTORS["steps"]:
        price, target, liquidity, amount, fee = map(int, given)
        try:
            # The SDK's exact input is positive, the engine's steps have v4's sign.
            step = compute_swap_step_v3(price, target, liquidity, -amount, fee)
        except MathError:
            assert expected is None, given
            continue
        assert expected is not None and list(step) == [int(v) for v in expected], given
        done += 1
    assert done > 200


def test_usable_ticks() -> None:
    for tick, spacing, expected in VECTORS["usable"]:
        assert usable_ticks.usable_tick(tick, spacing, "nearest") == expected, (tick, spacing)


def test_liquidity_and_amounts() -> None:
    for (now, low, high), x, y, expected in VECTORS["liquidity"]:
        prices = (int(now), int(low), int(high))
        # The SDK's precise figure multiplies before it divides; the contract rounds once more.
        ours = position.liquidity_for_amounts(*prices, int(x), int(y))
        assert 0 <= int(expected) - ours <= 1 + int(expected) >> 60 or ours == int(expected)
    for (low, high), size, up0, up1, down0, down1 in VECTORS["amounts"]:
        a, b, liquidity = int(low), int(high), int(size)
        for up, first, second in ((True, up0, up1), (False, down0, down1)):
            assert amount0_delta(a, b, liquidity, up) == int(first)
            assert amount1_delta(a, b, liquidity, up) == int(second)


@pytest.mark.parametrize("version", ["v3", "v4"])
def test_quotes_over_many_ticks(version: str) -> None:
    assert len(VECTORS["quotes"]) == 80
    crossed = 0
    for fee, spacing, start, ranges, zero, amount, *sides in VECTORS["quotes"]:
        (bought, price, tick, liquidity), paid = sides[:2] if version == "v3" else sides[2:]
        out, state = swapped(version, fee, spacing, start, ranges, zero, int(amount))
        assert (out, *state) == (int(bought), int(price), tick, int(liquidity))
        crossed += int(liquidity) != sum(int(r[2]) for r in ranges)
        if paid is not None:
            wanted = -(int(amount) // 8)
            cost, _ = swapped(version, fee, spacing, start, ranges, zero, wanted)
            assert cost == int(paid)
    assert crossed > 20


def swapped(
    version: str, fee: int, spacing: int, start: str, ranges: Any, zero: bool, amount: int
) -> tuple[int, tuple[int, int, int]]:
    """The other side's amount and the pool's state; a negative amount is an exact output."""
    pool: Any
    if version == "v3":
        pool = PoolV3(int(start), fee, spacing)
        for number, (lower, upper, size) in enumerate(ranges):
            pool.mint(str(number), lower, upper, int(size))
        found = pool.swap(zero, amount)
        amounts = (found.amount0, found.amount1)
    else:
        pool = PoolV4(int(start), fee, spacing)
        for number, (lower, upper, size) in enumerate(ranges):
            pool.modify_liquidity(number, lower, upper, int(size))
        amounts = tuple(pool.swap(zero, -amount).delta)
    other = amounts[1] if zero == (amount > 0) else amounts[0]
    return abs(other), (pool.sqrt_price, pool.tick, pool.liquidity)


def test_v4_pool_ids() -> None:
    for currency0, currency1, fee, spacing, expected in VECTORS["ids"]:
        assert pool_id(PoolKey(currency0, currency1, fee, spacing)) == int(expected, 16)
