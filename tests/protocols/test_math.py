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
