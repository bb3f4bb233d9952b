"""The engine against its specification: constants at 80 digits, published vectors, invariants."""

from __future__ import annotations

from decimal import Decimal, localcontext

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from denizen.protocols import MathError, position, swap_math, tick_math, uniswap_v2, yields

Q96 = 1 << 96


def test_tick_ratios_are_the_powers_they_stand_for() -> None:
    with localcontext() as context:
        context.prec = 100
        for bit, ratio in enumerate(tick_math._RATIOS):
            exact = (Decimal("1.0001") ** -(1 << bit)).sqrt() * (1 << 128)
            assert abs(exact - ratio) <= 1


def test_tick_bounds() -> None:
    assert tick_math.sqrt_price_at_tick(tick_math.MIN_TICK) == tick_math.MIN_SQRT_PRICE
    assert tick_math.sqrt_price_at_tick(tick_math.MAX_TICK) == tick_math.MAX_SQRT_PRICE
    assert tick_math.sqrt_price_at_tick(0) == Q96
    with pytest.raises(MathError):
        tick_math.sqrt_price_at_tick(tick_math.MAX_TICK + 1)


@given(st.integers(tick_math.MIN_TICK, tick_math.MAX_TICK - 1))
def test_tick_round_trip(tick: int) -> None:
    price = tick_math.sqrt_price_at_tick(tick)
    assert tick_math.tick_at_sqrt_price(price) == tick
    if tick > tick_math.MIN_TICK:
        assert tick_math.tick_at_sqrt_price(price - 1) == tick - 1


@given(st.integers(tick_math.MIN_SQRT_PRICE, tick_math.MAX_SQRT_PRICE - 1))
@example(tick_math.MIN_SQRT_PRICE)
@example(tick_math.MAX_SQRT_PRICE - 1)
def test_tick_of_any_price_is_the_greatest_below_it(price: int) -> None:
    tick = tick_math.tick_at_sqrt_price(price)
    assert tick_math.sqrt_price_at_tick(tick) <= price < tick_math.sqrt_price_at_tick(tick + 1)


@given(st.integers(-tick_math.MAX_TICK, tick_math.MAX_TICK))
def test_tick_prices_are_the_powers_rounded(tick: int) -> None:
    with localcontext() as context:
        context.prec = 100
        exact = (Decimal("1.0001") ** tick).sqrt() * Q96
        # Twenty constants and twenty products, each cut to a unit of 2^-128, then rounded up.
        slack = 40 * exact * (Decimal("1.0001") ** abs(tick)).sqrt() / (1 << 128)
        assert -slack <= tick_math.sqrt_price_at_tick(tick) - exact <= 1 + slack


def test_v2_known_values() -> None:
    # 1,000 into 1,000,000 / 1,000,000: 997000 * 10^6 / (10^9 + 997000)
    assert uniswap_v2.get_amount_out(1000, 10**6, 10**6) == 996
    assert uniswap_v2.get_amount_in(996, 10**6, 10**6) == 1000
    assert uniswap_v2.quote(2, 100, 350) == 7
    with pytest.raises(MathError):
        uniswap_v2.get_amount_in(100, 100, 100)


amounts = st.integers(1, 10**27)


# The router adds one even where the division is exact: the example divides exactly.
@example(1_000_000, 1_000_000, 5_965_039)
@given(amounts, st.integers(10**6, 10**30), st.integers(10**6, 10**30))
def test_v2_product_never_falls(amount: int, a: int, b: int) -> None:
    out = uniswap_v2.get_amount_out(amount, a, b)
    assert (a + amount) * (b - out) >= a * b
    if out:
        needed = uniswap_v2.get_amount_in(out, a, b)
        assert needed <= amount + 1
        assert uniswap_v2.get_amount_out(needed, a, b) >= out


@given(
    st.integers(-200_000, 200_000),
    st.integers(10**6, 10**24),
    st.integers(1, 10**24),
    st.booleans(),
    st.sampled_from([0, 100, 500, 3000, 10_000]),
)
def test_swap_step_favours_the_pool(
    tick: int, liquidity: int, amount: int, zero: bool, fee: int
) -> None:
    start = tick_math.sqrt_price_at_tick(tick)
    target = tick_math.sqrt_price_at_tick(tick - 500 if zero else tick + 500)
    step = swap_math.compute_swap_step(start, target, liquidity, -amount, fee)
    assert step.amount_in + step.fee_amount <= amount
    assert (
        (target <= step.sqrt_price_next <= start)
        if zero
        else (start <= step.sqrt_price_next <= target)
    )
    # Buying back exactly what was paid out costs no less than what went in without fee.
    if step.sqrt_price_next != target and step.amount_out:
        again = swap_math.compute_swap_step(start, target, liquidity, step.amount_out, 0)
        assert again.amount_in <= step.amount_in


prices = st.integers(tick_math.MIN_TICK, tick_math.MAX_TICK).map(tick_math.sqrt_price_at_tick)


@given(
    prices,
    st.one_of(prices, st.integers(-1000, 1000)),
    st.integers(0, 127).flatmap(lambda bits: st.integers(0, 1 << bits)),
    st.integers(1, 255).flatmap(lambda bits: st.integers(1, (1 << bits) - 1)),
    st.booleans(),
    st.sampled_from([0, 1, 500, 3000, 999_999]),
)
def test_v3_and_v4_steps_differ_only_where_an_input_runs_out(
    start: int, target: int, liquidity: int, amount: int, exact_in: bool, fee: int
) -> None:
    if abs(target) <= 1000:
        target += start
    signed = -amount if exact_in else amount
    v3 = swap_math.compute_swap_step_v3(start, target, liquidity, signed, fee)
    v4 = swap_math.compute_swap_step(start, target, liquidity, signed, fee)
    assert v3.sqrt_price_next == v4.sqrt_price_next and v3.amount_out == v4.amount_out
    if not exact_in or v4.sqrt_price_next == target:
        assert v3 == v4
    else:  # the whole input is used, and v3 counts what moved no price as fee
        assert v3.amount_in <= v4.amount_in
        assert v3.amount_in + v3.fee_amount == v4.amount_in + v4.fee_amount == amount


def test_a_v3_input_too_small_to_move_the_price_is_all_fee() -> None:
    # One unit at liquidity 2^100: v4 books it as input, v3 as fee.
    start, target = Q96, tick_math.sqrt_price_at_tick(60)
    assert swap_math.compute_swap_step(start, target, 1 << 100, -1, 0)[1:] == (1, 0, 0)
    assert swap_math.compute_swap_step_v3(start, target, 1 << 100, -1, 0)[1:] == (0, 0, 1)


@pytest.mark.parametrize(
    "arguments",
    [
        (0, Q96, 1, -1, 0),
        (Q96, 1 << 160, 1, -1, 0),
        (Q96, Q96 + 1, 1 << 128, -1, 0),
        (Q96, Q96 + 1, 1, 1 << 255, 0),
        (Q96, Q96 + 1, 1, -1, 1_000_001),
        (Q96, Q96 + 1, 1, 1, 1_000_000),
    ],
)
def test_steps_refuse_what_the_types_cannot_hold(arguments: tuple[int, ...]) -> None:
    for step in (swap_math.compute_swap_step, swap_math.compute_swap_step_v3):
        with pytest.raises(MathError):
            step(*arguments)


def test_v2_paths() -> None:
    path = [(10**6, 2 * 10**6), (5 * 10**6, 10**6)]
    outs = uniswap_v2.get_amounts_out(1000, path)
    # 1000 x 997 x 2e6 / (1e9 + 997e3) = 1992, then 1992 x 997 x 1e6 / (5e9 + 1992 x 997) = 397
    assert outs == [1000, 1992, 397]
    ins = uniswap_v2.get_amounts_in(397, path)
    assert ins[-1] == 397 and ins[0] <= 1000
    assert uniswap_v2.get_amounts_out(ins[0], path)[-1] >= 397
    for quotes in (uniswap_v2.get_amounts_out, uniswap_v2.get_amounts_in):
        with pytest.raises(MathError, match="path"):
            quotes(1, [])
    with pytest.raises(MathError, match="256 bits"):
        uniswap_v2.get_amount_out(1 << 200, 1, 1 << 100)


@given(st.decimals("0.05", "20", places=4))
def test_range_loss_tends_to_full_range(ratio: Decimal) -> None:
    full = position.impermanent_loss_v2(ratio)
    wide = position.impermanent_loss_range(Decimal(1), ratio, Decimal("1e-12"), Decimal("1e12"))
    assert abs(full - wide) < Decimal("1e-5")
    assert full <= 0
    narrow = position.impermanent_loss_range(Decimal(1), ratio, Decimal("0.5"), Decimal(2))
    assert narrow <= full + Decimal("1e-20")


def test_known_impermanent_loss() -> None:
    # The textbook figure: a fourfold price costs 20%.
    assert position.impermanent_loss_v2(Decimal(4)) == Decimal("-0.2")


def test_fee_growth_wraps_as_uint256() -> None:
    # Growth outside may exceed global growth; differences still come out right.
    inside = position.fee_growth_inside(5, 0, 10, 100, 2**256 - 50, 30)
    assert inside == 120
    assert position.fees_owed(2**127, 2**128 + 5, 5) == 2**127


def test_fee_apr_by_hand() -> None:
    apr = yields.fee_apr(
        Decimal(1_000_000), Decimal("0.003"), Decimal("0.01"), Decimal(10_000), Decimal(1)
    )
    assert apr == Decimal("1.095")
    assert yields.apr_to_apy(Decimal("0.12"), 12).quantize(Decimal("1e-6")) == Decimal("0.126825")
