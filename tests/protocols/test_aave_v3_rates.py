"""Aave's fixed point, interest and rates against exact fractions and figures by hand."""

from __future__ import annotations

from dataclasses import replace
from decimal import Context, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from denizen.protocols import MathError, aave_math, aave_v3_stable
from denizen.protocols.aave_math import RAY, SECONDS_PER_YEAR, WAD
from denizen.protocols.aave_v3 import RateStrategy
from denizen.protocols.aave_v3_stable import StableDebt

START = 1_700_000_000
PERCENT = RAY // 100
STRATEGY = RateStrategy(80 * PERCENT, 0, 4 * PERCENT, 60 * PERCENT)
UINT256 = 2**256 - 1

amounts = st.integers(0, 10**38)


def half_up(value: Fraction) -> int:
    return (value + Fraction(1, 2)).__floor__()


@given(amounts, amounts, st.integers(1, 10**40))
def test_products_and_quotients_round_half_up(a: int, b: int, c: int) -> None:
    assert aave_math.wad_mul(a, b) == half_up(Fraction(a * b, WAD))
    assert aave_math.ray_mul(a, b) == half_up(Fraction(a * b, RAY))
    assert aave_math.percent_mul(a, b) == half_up(Fraction(a * b, 10_000))
    for divide, unit in (
        (aave_math.wad_div, WAD),
        (aave_math.ray_div, RAY),
        (aave_math.percent_div, 10_000),
    ):
        assert abs(Fraction(a * unit, c) - divide(a, c)) <= Fraction(1, 2)
    assert aave_math.ray_to_wad(aave_math.wad_to_ray(a)) == a


def test_arithmetic_refuses_what_does_not_fit() -> None:
    assert aave_math.ray_mul(UINT256 // RAY, RAY) == UINT256 // RAY
    for refused in (
        lambda: aave_math.ray_mul(UINT256 // RAY + 1, RAY),
        lambda: aave_math.wad_div(UINT256, 1),
        lambda: aave_math.ray_div(1, 0),
        lambda: aave_math.percent_mul(-1, 5000),
        lambda: aave_math.wad_to_ray(UINT256),
        lambda: aave_math.to_uint128(2**128),
        lambda: aave_math.calculate_linear_interest(RAY, -1),
    ):
        with pytest.raises(MathError):
            refused()


@given(st.integers(0, RAY), st.integers(0, 3 * SECONDS_PER_YEAR))
def test_interest_is_the_textbook_formula(rate: int, elapsed: int) -> None:
    yearly = Fraction(rate * elapsed, RAY * SECONDS_PER_YEAR)
    linear = Fraction(aave_math.calculate_linear_interest(rate, elapsed), RAY)
    assert 0 <= 1 + yearly - linear < Fraction(1, RAY)
    wide = Context(prec=60)
    per_second = wide.divide(Decimal(rate), Decimal(RAY * SECONDS_PER_YEAR))
    exact = wide.power(wide.add(Decimal(1), per_second), elapsed)
    ours = wide.divide(
        Decimal(aave_math.calculate_compounded_interest(rate, elapsed)), Decimal(RAY)
    )
    # Three binomial terms leave out at most the tail x^4 / 24 e^x of the exponential series.
    x = wide.divide(Decimal(rate * elapsed), Decimal(RAY * SECONDS_PER_YEAR))
    tail = wide.multiply(wide.divide(wide.power(x, 4), Decimal(24)), wide.exp(x))
    # Rounding the powers of the rate per second costs up to a few units times elapsed^3.
    slack = Decimal(elapsed + 1) ** 3 * Decimal("1e-27") + Decimal("1e-25")
    assert -slack <= exact - ours <= tail + slack


def test_rates_by_hand() -> None:
    # 40% used of an optimal 80%: half of the first slope of 4%; suppliers get 40% of 2% less 10%.
    rates = STRATEGY.rates(60, 40, reserve_factor=1000)
    assert rates.variable == 2 * PERCENT and rates.stable == 4 * PERCENT
    assert rates.liquidity == 2 * PERCENT * 40 // 100 * 90 // 100
    # 90% used: 4% and half of the second slope of 60%.
    assert STRATEGY.rates(10, 90).variable == 34 * PERCENT
    assert STRATEGY.rates(0, 1).variable == STRATEGY.max_variable_borrow_rate == 64 * PERCENT
    assert STRATEGY.rates(100, 0) == (0, 4 * PERCENT, 0)
    with pytest.raises(MathError):
        STRATEGY.rates(-1, 5)


def test_stable_debt_raises_the_average_and_the_premium() -> None:
    strategy = replace(
        STRATEGY,
        base_stable_rate_offset=PERCENT,
        stable_rate_excess_offset=8 * PERCENT,
        optimal_stable_to_total_debt_ratio=20 * PERCENT,
    )
    # 60% of the debt is stable, halfway from 20% to 100%: half of the excess offset on 4% + 1%.
    rates = strategy.rates(60, 16, 24, 10 * PERCENT)
    assert rates.stable == 9 * PERCENT
    assert rates.liquidity == (16 * 2 + 24 * 10) * PERCENT // 40 * 40 // 100
    own, total = aave_v3_stable.mint(StableDebt(), StableDebt(), 100, 10 * PERCENT, START)
    own, total = aave_v3_stable.mint(own, total, 300, 2 * PERCENT, START)
    assert own == total == (400, 4 * PERCENT, START)
    own, total, seen = aave_v3_stable.burn(own, total, 400, START)
    assert own == (0, 0, 0) and total == seen == (0, 0, START)
    with pytest.raises(MathError):
        aave_v3_stable.burn(own, total, 1, START)
