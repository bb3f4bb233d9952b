"""The v3 oracle: cumulatives by hand, the ring's memory, wrapping clocks, mean ticks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from denizen.protocols import MathError, tick_math
from denizen.protocols.uniswap_v3 import Pool
from denizen.protocols.uniswap_v3_oracle import Oracle, arithmetic_mean_tick

Q96 = 1 << 96


def pool(time: int = 1000) -> Pool:
    made = Pool(Q96, time=time)
    made.mint("a", -6000, 6000, 1 << 64)
    return made


def at_tick(made: Pool, tick: int) -> None:
    target = tick_math.sqrt_price_at_tick(tick) + 1
    made.swap(target < made.sqrt_price, 1 << 100, target)
    assert made.tick == tick


def test_cumulatives_by_hand() -> None:
    made = pool()
    made.increase_observation_cardinality_next(4)
    made.time += 10  # 10 s at tick 0
    at_tick(made, 120)
    made.time += 5  # 5 s at tick 120
    at_tick(made, -60)
    made.time += 20  # 20 s at tick -60
    now, then = made.observe((0, 25))
    assert now.tick_cumulative == 5 * 120 - 20 * 60
    assert then.tick_cumulative == 0
    # 10 seconds ago lies after the last observation, 22 between two of them.
    assert made.observe((10,))[0].tick_cumulative == 5 * 120 - 10 * 60
    assert made.observe((22,))[0].tick_cumulative == 3 * 120
    # Liquidity was 2^64 for 35 s in Q128, the first second of which had none in range.
    assert now.seconds_per_liquidity == 35 << 64
    assert made.mean_tick(25) == (5 * 120 - 20 * 60) // 25 == -24


def test_a_ring_of_one_forgets() -> None:
    made = pool()
    made.time += 10
    at_tick(made, 60)
    made.time += 1
    assert made.observe((1,))[0].tick_cumulative == 0
    with pytest.raises(MathError, match="OLD"):
        made.observe((2,))


def test_room_bought_is_used_when_the_index_comes_round() -> None:
    made = pool()
    made.increase_observation_cardinality_next(3)
    assert (made.oracle.cardinality, made.oracle.cardinality_next) == (1, 3)
    for tick in (60, 120, 180, 240):
        made.time += 10
        at_tick(made, tick)
    assert made.oracle.cardinality == 3 and len(made.oracle.observations) == 3
    assert [seen.time for seen in made.oracle.observations] == [1030, 1040, 1020]
    made.increase_observation_cardinality_next(2)
    assert made.oracle.cardinality_next == 3


def test_one_observation_a_second() -> None:
    made = pool()
    made.increase_observation_cardinality_next(9)
    made.time += 7
    for tick in (60, 120, 180):
        at_tick(made, tick)
    assert len(made.oracle.observations) == 2


def test_the_clock_wraps_at_32_bits() -> None:
    made = pool(time=(1 << 32) - 5)
    made.increase_observation_cardinality_next(4)
    made.time += 3
    at_tick(made, 60)
    made.time += 12  # past 2^32
    at_tick(made, 120)
    made.time += 4
    assert made.observe((0,))[0].tick_cumulative == 60 * 12 + 120 * 4
    assert made.observe((10,))[0].tick_cumulative == 60 * 6
    assert made.observe((19,))[0].tick_cumulative == 0


steps = st.lists(st.tuples(st.integers(0, 5000), st.integers(-887_272, 887_272)), max_size=12)


@given(steps, st.integers(1, 6), st.integers(0, 40_000))
def test_reads_equal_a_sum_over_history(moves: list[tuple[int, int]], size: int, ago: int) -> None:
    """Any moment the ring covers is the plain sum of tick x seconds up to it."""
    oracle, time, tick = Oracle(0), 0, 7
    oracle.grow(size)
    ticks_by_second: list[int] = []
    for seconds, new_tick in moves:
        ticks_by_second += [tick] * seconds
        time += seconds
        oracle.write(time, tick, 1)
        tick = new_tick
    try:
        read = oracle.at(time, ago, tick, 1) if ago <= time else None
    except MathError:
        oldest = min(seen.time for seen in oracle.observations)
        assert time - ago < oldest
        return
    if read is not None:
        assert read.tick_cumulative == sum(ticks_by_second[: time - ago])
        assert read.seconds_per_liquidity == (time - ago) << 128


def test_seconds_inside_a_range() -> None:
    made = pool()
    made.mint("b", -120, 120, 1 << 64)
    start = made.snapshot_cumulatives_inside(-120, 120)
    made.time += 10
    at_tick(made, 600)  # leaves the range
    made.time += 100
    at_tick(made, 0)
    made.time += 3
    inside = made.snapshot_cumulatives_inside(-120, 120).minus(start)
    assert inside.seconds == 13
    assert inside.seconds_per_liquidity == 13 << 63  # two positions share the time
    assert inside.tick_cumulative == 0
    with pytest.raises(MathError, match="initialised"):
        made.snapshot_cumulatives_inside(-60, 120)


def test_mean_tick_rounds_toward_minus_infinity() -> None:
    assert arithmetic_mean_tick(0, 7, 2) == 3
    assert arithmetic_mean_tick(0, -7, 2) == -4
    # int56 wraps between the readings.
    assert arithmetic_mean_tick((1 << 55) - 1, -(1 << 55) + 9, 10) == 1
    with pytest.raises(MathError, match="window"):
        arithmetic_mean_tick(0, 1, 0)
