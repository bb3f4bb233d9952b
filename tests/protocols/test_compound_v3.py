"""Compound III: rate curves, indices, both sides of a liquidation, and what absorption conserves."""

from __future__ import annotations

from dataclasses import replace
from decimal import Context, Decimal
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from denizen.protocols import MathError
from denizen.protocols import compound_v3 as comet
from denizen.protocols import compound_v3_account as account

WAD = 10**18
USDC = account.Base(price=10**8, scale=10**6, borrow_min=100 * 10**6)
WETH = account.Collateral(
    balance=10 * WAD,
    price=1000 * 10**8,
    scale=WAD,
    borrow_collateral_factor=825 * WAD // 1000,
    liquidate_collateral_factor=895 * WAD // 1000,
    liquidation_factor=93 * WAD // 100,
)
FLAT = comet.Totals(supply=10**15, borrow=5 * 10**14)

wads = st.integers(0, WAD)
curves = st.builds(
    comet.RateCurve,
    st.integers(0, 10**9),
    st.integers(0, 10**10),
    st.integers(0, 10**12),
    st.integers(1, WAD - 1),
)
indices = st.integers(comet.BASE_INDEX_SCALE, 10 * comet.BASE_INDEX_SCALE)
states = st.builds(
    comet.Totals, st.just(10**24), st.just(5 * 10**23), indices, indices, st.just(0), st.just(0)
)


@st.composite
def collaterals(draw: st.DrawFn) -> account.Collateral:
    borrow, liquidate = sorted(draw(st.tuples(wads, wads)))
    assume(borrow < liquidate)
    decimals = draw(st.sampled_from([6, 8, 18]))
    return account.Collateral(
        balance=draw(st.integers(1, 10 ** (decimals + 4))),
        price=draw(st.integers(1, 10**13)),
        scale=10**decimals,
        borrow_collateral_factor=borrow,
        liquidate_collateral_factor=liquidate,
        liquidation_factor=draw(wads),
    )


@given(curves, wads)
def test_rate_is_the_piecewise_line(curve: comet.RateCurve, utilization: int) -> None:
    low = Fraction(curve.slope_low * min(utilization, curve.kink), WAD)
    high = Fraction(curve.slope_high * max(utilization - curve.kink, 0), WAD)
    exact = curve.base + low + high
    assert exact - 2 < curve.rate(utilization) <= exact


@given(curves)
def test_rate_is_continuous_at_the_kink(curve: comet.RateCurve) -> None:
    below, at, above = (curve.rate(curve.kink + step) for step in (-1, 0, 1))
    assert 0 <= at - below <= curve.slope_low // WAD + 1
    assert 0 <= above - at <= curve.slope_high // WAD + 1


def test_yearly_rates_are_divided_and_rounded_down() -> None:
    curve = comet.RateCurve.per_year(WAD // 100, 4 * WAD // 100, 60 * WAD // 100, 8 * WAD // 10)
    assert curve == (317_097_919, 1_268_391_679, 19_025_875_190, 8 * WAD // 10)
    assert comet.rate_to_apr(curve.rate(0)) < Decimal("0.01")
    assert comet.rate_to_apr(curve.base + 1) > Decimal("0.01")


def test_apr_and_apy_by_logarithm() -> None:
    wide = Context(prec=80)
    rate = 1_585_489_599  # 5% a year
    assert comet.rate_to_apr(rate) == Decimal("0.049999999994064")
    per_second = wide.ln(1 + Decimal(rate).scaleb(-18, wide))
    growth = wide.exp(wide.multiply(per_second, Decimal(31_536_000)))
    error = wide.subtract(wide.add(comet.rate_to_apy(rate), Decimal(1)), growth)
    assert wide.abs(error) < Decimal("1e-45")
    assert Decimal("1.0512") < growth < Decimal("1.0513")


def test_a_day_of_interest_by_hand() -> None:
    # 800 of 1000 are lent: 80%.  Borrowers pay 1e-9 a second, suppliers get 7e-10, for 1000 s.
    market = comet.Totals(1000 * 10**6, 800 * 10**6)
    supply = comet.RateCurve(7 * 10**8, 0, 0, WAD)
    borrow = comet.RateCurve(2 * 10**8, 10**9, 0, WAD)
    after = comet.accrue(market, 1000, supply, borrow)
    assert market.utilization() == 8 * WAD // 10
    assert after.supply_index == comet.BASE_INDEX_SCALE + 7 * 10**8
    assert after.borrow_index == comet.BASE_INDEX_SCALE + 10**9
    assert after.present_borrow() == 800_000_800
    assert after.reserves(200 * 10**6) == market.reserves(200 * 10**6) + 800 - 700
    with pytest.raises(MathError):
        comet.accrue(after, 999, supply, borrow)
    with pytest.raises(MathError, match="64 bits"):
        comet.accrue(after, 10**18, supply, borrow)


def test_utilization_without_supply_is_zero() -> None:
    assert comet.Totals(0, 5).utilization() == 0


@given(states, st.integers(-(10**22), 10**22))
def test_principal_rounds_against_the_account(totals: comet.Totals, balance: int) -> None:
    principal = totals.principal_value(balance)
    back = totals.present_value(principal)
    # A supply is never worth more than was given, a debt never less than was taken.
    assert back <= balance
    index = totals.supply_index if balance >= 0 else totals.borrow_index
    assert balance - back <= index // comet.BASE_INDEX_SCALE + 1
    # One more unit of principal would overstate a supply and understate a debt.
    exact = Fraction(balance * comet.BASE_INDEX_SCALE, index)
    assert principal <= exact < principal + 1


@given(states, st.integers(-(10**20), 10**20), st.integers(0, 10**20))
def test_supply_then_withdraw_gains_nothing(
    totals: comet.Totals, principal: int, amount: int
) -> None:
    plenty = [replace(WETH, balance=10**40)]
    after, held = comet.supply_base(totals, principal, amount)
    assert after.present_value(held) <= totals.present_value(principal) + amount
    free = account.Base(USDC.price, USDC.scale)
    end, last = account.withdraw_base(after, held, amount, free, plenty)
    assert last <= principal
    assert (end.supply - totals.supply) - (end.borrow - totals.borrow) == last - principal


def test_a_withdrawal_past_zero_borrows_under_the_rules() -> None:
    totals, principal = account.withdraw_base(FLAT, 10**6, 8251 * 10**6, USDC, [WETH])
    assert principal == -8250 * 10**6
    assert totals.borrow == FLAT.borrow + 8250 * 10**6
    assert totals.supply == FLAT.supply - 10**6
    # One more unit is past 82.5% of 10,000.
    with pytest.raises(MathError, match="collateralised"):
        account.withdraw_base(FLAT, 10**6, 8251 * 10**6 + 1, USDC, [WETH])
    with pytest.raises(MathError, match="baseBorrowMin"):
        account.withdraw_base(FLAT, 0, 100 * 10**6 - 1, USDC, [WETH])
    assert account.withdraw_base(FLAT, 0, 100 * 10**6, USDC, [WETH])[1] == -100 * 10**6
    with pytest.raises(MathError, match="totals"):
        comet.supply_base(comet.Totals(), -5, 10)


def test_liquidation_price_by_hand() -> None:
    # 9,000 of debt on 10 WETH at 89.5%: 9000 / 8.95 = 1005.58659217877...
    price = account.liquidation_price(FLAT, -9000 * 10**6, USDC, WETH)
    assert price == 100_558_659_218
    assert account.is_liquidatable(FLAT, -9000 * 10**6, USDC, [WETH])
    assert not account.is_liquidatable(FLAT, -8950 * 10**6, USDC, [WETH])
    assert account.is_liquidatable(FLAT, -8950 * 10**6 - 1, USDC, [WETH])


@given(states, st.integers(1, 10**13), st.lists(collaterals(), min_size=1, max_size=4))
def test_liquidation_price_is_the_last_safe_one(
    totals: comet.Totals, principal: int, held: list[account.Collateral]
) -> None:
    first, *others = held
    price = account.liquidation_price(totals, -principal, USDC, first, others)

    def liquidatable(value: int) -> bool:
        return account.is_liquidatable(
            totals, -principal, USDC, [replace(first, price=value), *others]
        )

    assert not liquidatable(price)
    assert price == 0 or liquidatable(price - 1)


@given(states, st.integers(1, 10**13), st.lists(collaterals(), min_size=1, max_size=4))
def test_all_prices_falling_together(
    totals: comet.Totals, principal: int, held: list[account.Collateral]
) -> None:
    scale = account.liquidation_scale(totals, -principal, USDC, held)

    def liquidatable(factor: int) -> bool:
        moved = [replace(c, price=c.price * factor // WAD) for c in held]
        return account.is_liquidatable(totals, -principal, USDC, moved)

    assert not liquidatable(scale)
    assert scale == 0 or liquidatable(scale - 1)


@given(states, st.integers(1, 10**13), st.lists(collaterals(), max_size=4))
def test_a_borrow_in_good_standing_is_not_liquidatable(
    totals: comet.Totals, principal: int, held: list[account.Collateral]
) -> None:
    if account.is_borrow_collateralized(totals, -principal, USDC, held):
        assert not account.is_liquidatable(totals, -principal, USDC, held)
    assert not account.is_liquidatable(totals, principal, USDC, held)


def test_debt_without_collateral_has_no_liquidation_price() -> None:
    empty = replace(WETH, balance=0)
    with pytest.raises(MathError):
        account.liquidation_price(FLAT, -1, USDC, empty)
    with pytest.raises(MathError):
        account.liquidation_scale(FLAT, -1, USDC, [empty])
    assert account.liquidation_price(FLAT, 1, USDC, empty) == 0


def test_absorption_by_hand() -> None:
    # 10 WETH at 1,000 credit 93%: 9,300 pays 9,000 of debt and leaves 300 supplied.
    done = account.absorb(FLAT, -9000 * 10**6, USDC, [WETH])
    assert done.principal == 300 * 10**6
    assert done.base_paid_out == 9300 * 10**6
    assert done.seized == (10 * WAD,)
    assert done.totals.borrow == FLAT.borrow - 9000 * 10**6
    assert done.totals.supply == FLAT.supply + 300 * 10**6
    # At 900 the credit is 8,370: the rest of the debt is forgiven.
    poor = account.absorb(FLAT, -9000 * 10**6, USDC, [replace(WETH, price=900 * 10**8)])
    assert (poor.principal, poor.base_paid_out) == (0, 9000 * 10**6)
    with pytest.raises(MathError, match="not liquidatable"):
        account.absorb(FLAT, -8950 * 10**6, USDC, [WETH])


@given(states, st.integers(1, 10**13), st.lists(collaterals(), min_size=1, max_size=4))
def test_absorption_conserves_value(
    totals: comet.Totals, principal: int, held: list[account.Collateral]
) -> None:
    assume(account.is_liquidatable(totals, -principal, USDC, held))
    cash = 10**24
    debt = -totals.present_value(-principal)
    done = account.absorb(totals, -principal, USDC, held)
    credit = sum(Fraction(c.balance * c.price * c.liquidation_factor, c.scale * WAD) for c in held)
    worth = credit * USDC.scale / USDC.price
    assert done.principal >= 0
    # The account is paid what the seized collateral is credited at, or its debt if that is more.
    assert max(worth, debt) - len(held) - 2 < done.base_paid_out <= max(worth, debt)
    # What it is paid leaves the reserves; totals round once each, in steps of an index.
    lost = totals.reserves(cash) - done.totals.reserves(cash)
    step = max(totals.supply_index, totals.borrow_index) // comet.BASE_INDEX_SCALE + 2
    assert abs(lost - done.base_paid_out) <= step


def test_the_collateral_shop() -> None:
    half = WAD // 2
    # The penalty is 7%, half of it the discount: one WETH costs 965 USDC.
    assert account.quote_collateral(WETH, USDC, 965 * 10**6, half) == WAD
    assert account.buy_collateral(WETH, USDC, 965 * 10**6, half, WAD, -5, 0) == WAD
    with pytest.raises(MathError, match="target"):
        account.buy_collateral(WETH, USDC, 965 * 10**6, half, 0, 7, 7)
    with pytest.raises(MathError, match="minimum"):
        account.buy_collateral(WETH, USDC, 965 * 10**6, half, WAD + 1, 0, 7)
    with pytest.raises(MathError, match="holds"):
        account.buy_collateral(WETH, USDC, 9651 * 10**6, half, 0, 0, 7)


@given(collaterals(), st.integers(0, 10**15), wads)
def test_a_quote_never_sells_below_the_discount(
    held: account.Collateral, paid: int, factor: int
) -> None:
    assume(held.price * (WAD - factor * (WAD - held.liquidation_factor) // WAD) >= WAD)
    bought = account.quote_collateral(held, USDC, paid, factor)
    least = Fraction(bought * held.price * held.liquidation_factor, held.scale * WAD)
    # Even the deepest discount is not below the liquidation factor, but for the price's own unit.
    assert least - Fraction(bought, held.scale) <= Fraction(paid * USDC.price, USDC.scale)


def test_rewards_by_hand() -> None:
    # 0.001863425925925 COMP a second is 161 COMP a day; a quarter of the supply earns a quarter.
    speed = comet.Rewards(1_863_425_925_925, 0, 10**6)
    flat = comet.RateCurve(0, 0, 0, WAD)
    market = comet.Totals(4000 * 10**6, 10**6)
    after = comet.accrue(market, 86_400, flat, flat, speed, 10**6)
    earned = comet.reward_accrued(after, 1000 * 10**6, 0, 10**6)
    assert earned == 40_249_999
    assert after.tracking_borrow_index == 0
    idle = comet.accrue(comet.Totals(10**6 - 1), 86_400, flat, flat, speed, 10**6)
    assert idle.tracking_supply_index == 0


@given(
    st.lists(st.integers(1, 10**20), min_size=1, max_size=5),
    st.integers(0, 10**13),
    st.integers(0, 10**6),
)
def test_rewards_never_exceed_the_emission(parts: list[int], speed: int, seconds: int) -> None:
    flat = comet.RateCurve(0, 0, 0, WAD)
    market = comet.Totals(sum(parts))
    after = comet.accrue(market, seconds, flat, flat, comet.Rewards(speed, 0, 1), WAD)
    paid = sum(comet.reward_accrued(after, part, 0, WAD) for part in parts)
    assert paid <= Fraction(speed * seconds * comet.BASE_ACCRUAL_SCALE, 10**15)


def test_factors_are_checked() -> None:
    with pytest.raises(MathError):
        replace(WETH, borrow_collateral_factor=WETH.liquidate_collateral_factor)
    with pytest.raises(MathError):
        replace(WETH, liquidation_factor=WAD + 1)
