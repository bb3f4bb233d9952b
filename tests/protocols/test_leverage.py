"""Leverage against the recursion it closes, the definitions of health, and worked positions."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from denizen.protocols import MathError, leverage
from denizen.protocols.position import impermanent_loss_v2

D = Decimal
ltvs = st.decimals("0", "0.95", places=4)
money = st.decimals("1", "1000000", places=4)
costs = st.decimals("0", "0.02", places=4)
thresholds = st.decimals("0.5", "0.95", places=3)
NEAR = D("1e-40")


@pytest.fixture(autouse=True, scope="module")
def wide_context() -> Iterator[None]:
    """The tests' own arithmetic needs as many digits as the engine's."""
    with localcontext() as context:
        context.prec = 60
        yield


@given(money, ltvs, st.integers(0, 30))
def test_loop_is_its_recursion(equity: Decimal, ltv: Decimal, rounds: int) -> None:
    step = supplied = Fraction(equity)
    for _ in range(rounds):
        step *= Fraction(ltv)
        supplied += step
    loop = leverage.leverage_loop(equity, ltv, rounds)
    assert abs(Fraction(loop.collateral) - supplied) < Fraction(1, 10**40)
    assert loop.debt <= loop.collateral * ltv + NEAR
    assert loop.collateral <= equity * leverage.max_leverage(ltv) + NEAR


@given(st.integers(1, 10**24), st.integers(0, 9500), st.integers(0, 30))
def test_integer_loop_never_exceeds_the_exact_one(principal: int, bps: int, rounds: int) -> None:
    supplied, borrowed = leverage.loop_amounts(principal, bps, rounds)
    exact = leverage.leverage_loop(D(principal), D(bps) / 10_000, rounds).collateral
    assert supplied - borrowed == principal
    # Every borrow loses less than a unit, and what would have been borrowed on it.
    lost = rounds * leverage.max_leverage(D(bps) / 10_000)
    assert exact - lost <= supplied <= exact + NEAR * principal
    assert borrowed * 10_000 <= supplied * bps


def test_known_loops() -> None:
    # 80% four times: 1 + .8 + .64 + .512 + .4096; without end, 5.
    loop = leverage.leverage_loop(D(1000), D("0.8"), 4)
    assert loop == (D("3361.6"), D("2361.6"))
    assert loop.leverage == D("3.3616")
    assert leverage.max_leverage(D("0.8")) == 5
    assert leverage.loop_amounts(1000, 8000, 4) == (3361, 2361)
    # 3x at a 75% threshold carries 3 x .75 / 2.
    assert leverage.health_factor(D(3), D(2), D("0.75")) == D("1.125")


@given(ltvs, st.decimals("0", "0.999", places=3))
def test_rounds_are_the_fewest(ltv: Decimal, part: Decimal) -> None:
    wanted = 1 + part * (leverage.max_leverage(ltv) - 1)
    rounds = leverage.rounds_for_leverage(wanted, ltv)
    assert leverage.leverage_loop(D(1), ltv, rounds).collateral >= wanted - NEAR
    if rounds:
        assert leverage.leverage_loop(D(1), ltv, rounds - 1).collateral < wanted


@given(st.decimals("-0.1", "0.5", places=4), st.decimals("0", "0.5", places=4), money)
def test_loop_apr_is_a_year_of_cash_flows(
    supply: Decimal, borrow: Decimal, equity: Decimal
) -> None:
    loop = leverage.leverage_loop(equity, D("0.7"), 6)
    net = loop.collateral * supply - loop.debt * borrow
    assert abs(leverage.loop_apr(supply, borrow, loop.leverage) - net / equity) < D("1e-20")
    even = leverage.break_even_borrow_rate(supply, loop.leverage)
    if even > -1:
        assert abs(leverage.loop_apr(supply, even, loop.leverage)) < NEAR


@given(money, thresholds, st.decimals("1.001", "5", places=3))
def test_liquidation_price_is_where_health_is_one(
    amount: Decimal, threshold: Decimal, health: Decimal
) -> None:
    price = D(2000)
    debt = amount * price * threshold / health
    at = leverage.liquidation_price(amount, debt, threshold)
    assert abs(leverage.health_factor(amount * at, debt, threshold) - 1) < NEAR
    assert abs(1 - at / price - leverage.drop_tolerated(health)) < NEAR
    risen = debt * (1 + leverage.rise_tolerated(health))
    assert abs(leverage.health_factor(amount * price, risen, threshold) - 1) < NEAR


@given(st.decimals("1", "5", places=3), thresholds)
def test_leverage_for_health(health: Decimal, threshold: Decimal) -> None:
    most = leverage.leverage_for_health(health, threshold)
    assert abs(leverage.health_factor(most, most - 1, threshold) - health) < D("1e-20")
    assert abs(1 - 1 / most - leverage.ltv_for_leverage(most)) < D("1e-20")


@given(
    money, st.decimals("0.3", "0.9", places=3), thresholds, st.decimals("1", "3", places=2), costs
)
def test_unwind_reaches_the_health_wanted(
    collateral: Decimal, ltv: Decimal, threshold: Decimal, health: Decimal, cost: Decimal
) -> None:
    assume(ltv < threshold and health * (1 - cost) > threshold)
    debt = collateral * ltv
    sold = leverage.unwind_to_health(collateral, debt, threshold, health, cost)
    left, owed = collateral - sold, debt - sold * (1 - cost)
    assert 0 <= sold <= leverage.full_unwind(debt, cost) and owed >= -NEAR
    if sold == 0:
        assert leverage.health_factor(collateral, debt, threshold) >= health
    elif owed > D("1e-30") and sold < leverage.full_unwind(debt, cost):
        assert abs(left * threshold - health * owed) < D("1e-30")


@given(money, st.decimals("0.3", "0.9", places=3), st.decimals("1", "5", places=2), costs)
def test_unwind_reaches_the_leverage_wanted(
    collateral: Decimal, ltv: Decimal, wanted: Decimal, cost: Decimal
) -> None:
    debt = collateral * ltv
    assume(collateral > wanted * (collateral - debt))
    sold = leverage.unwind_to_leverage(collateral, debt, wanted, cost)
    left, owed = collateral - sold, debt - sold * (1 - cost)
    assert abs(left - wanted * (left - owed)) < D("1e-30")


@given(st.decimals("0.1", "0.9", places=3), st.decimals("0.1", "0.99", places=2))
def test_unwind_steps_repay_everything_within_the_limit(ltv: Decimal, used: Decimal) -> None:
    collateral, debt = D(1000), D(1000) * ltv * used
    steps = leverage.unwind_steps(collateral, debt, ltv)
    assert abs(sum(steps) - debt) < NEAR
    for step in steps:
        # The withdrawal comes first, then the repayment.
        collateral -= step
        assert debt <= collateral * ltv + NEAR
        debt -= step


@given(money, st.decimals("0.1", "0.9", places=3), st.decimals("0", "0.01", places=4))
def test_flash_loop_repays_its_loan(equity: Decimal, ltv: Decimal, fee: Decimal) -> None:
    made = leverage.flash_loop(equity, ltv, fee)
    assert abs(made.debt - made.collateral * ltv) < D("1e-30")
    assert abs(made.debt - made.flash - made.fee) < D("1e-30")
    assert abs(made.collateral - equity - made.flash) < D("1e-30")
    if not fee:
        limit = equity * leverage.max_leverage(ltv)
        assert abs(made.collateral - limit) < D("1e-30")


@given(money, st.decimals("0.2", "0.9", places=2), st.decimals("0.5", "2", places=3))
def test_borrowed_half_leaves_only_impermanent_loss(
    capital: Decimal, ltv: Decimal, ratio: Decimal
) -> None:
    plan = leverage.neutral_borrow(capital, ltv)
    assert abs(plan.collateral + plan.position / 2 - capital) < D("1e-30")
    # At a price ratio k the LP is worth (1 + IL) (1 + k) / 2 and the debt k: only IL is left.
    lp = plan.position * (1 + ratio) / 2 * (1 + impermanent_loss_v2(ratio))
    equity = plan.collateral + lp - plan.borrowed * ratio
    lost = plan.position * (1 + ratio) / 2 * impermanent_loss_v2(ratio)
    assert abs(equity - (capital + lost)) < D("1e-30")


@given(money, st.decimals("1", "20", places=1), st.decimals("0.1", "1", places=2))
def test_short_covers_the_delta(capital: Decimal, times: Decimal, delta: Decimal) -> None:
    plan = leverage.neutral_short(capital, times, delta)
    assert abs(plan.borrowed - plan.position * delta) < NEAR
    assert abs(plan.collateral * times - plan.borrowed) < D("1e-30")
    assert abs(plan.collateral + plan.position - capital) < D("1e-30")


def test_neutral_debt_share() -> None:
    # Three times: a position of 3 holds 1.5 of the asset, owed out of a debt of 2.
    assert leverage.neutral_debt_share(D(3)) == D("0.75")
    assert leverage.neutral_debt_share(D(2)) == 1


@pytest.mark.parametrize(
    "call",
    [
        lambda: leverage.leverage_loop(D(1), D(1), 3),
        lambda: leverage.leverage_loop(D(1), D("-0.1"), 3),
        lambda: leverage.leverage_loop(D(0), D("0.5"), 3),
        lambda: leverage.loop_amounts(1, 10_000, 1),
        lambda: leverage.loop_amounts(0, 5000, 1),
        lambda: leverage.max_leverage(D("1.2")),
        lambda: leverage.rounds_for_leverage(D(5), D("0.8")),
        lambda: leverage.loop_apr(D("-1.1"), D(0), D(2)),
        lambda: leverage.loop_apr(D(0), D(0), D("0.9")),
        lambda: leverage.break_even_borrow_rate(D("0.1"), D(1)),
        lambda: leverage.health_factor(D(1), D(0), D("0.8")),
        lambda: leverage.health_factor(D(1), D(1), D("1.1")),
        lambda: leverage.liquidation_price(D(0), D(1), D("0.8")),
        lambda: leverage.drop_tolerated(D("0.99")),
        lambda: leverage.leverage_for_health(D("0.9"), D("0.8")),
        lambda: leverage.unwind_to_health(D(10), D(100), D("0.8"), D(1), D(0)),
        lambda: leverage.unwind_to_leverage(D(10), D(10), D(2), D(0)),
        lambda: leverage.unwind_steps(D(10), D(8), D("0.8")),
        lambda: leverage.flash_loop(D(1), D(1), D(0)),
        lambda: leverage.flash_loop(D(1), D("0.5"), D(1)),
        lambda: leverage.neutral_debt_share(D("1.5")),
        lambda: leverage.neutral_short(D(1), D(0), D(1)),
    ],
)
def test_impossible_figures_are_refused(call: object) -> None:
    with pytest.raises(MathError):
        call()  # type: ignore[operator]
