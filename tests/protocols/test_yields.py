"""Yields against published figures, exact fractions and the identities that define them."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from denizen.protocols import MathError, yields
from denizen.protocols.position import impermanent_loss_range, impermanent_loss_v2
from denizen.protocols.uniswap_v2 import burn_amounts

D = Decimal
TINY = Fraction(1, 10**50)
rates = st.decimals("-0.9", "10", places=6)
positive = st.decimals("0.01", "1000000", places=4)


@pytest.fixture(autouse=True, scope="module")
def wide_context() -> Iterator[None]:
    """The tests' own arithmetic needs as many digits as the engine's."""
    with localcontext() as context:
        context.prec = 60
        yield


@given(rates, st.integers(1, 365))
def test_apr_to_apy_is_the_exact_power(apr: Decimal, n: int) -> None:
    exact = (1 + Fraction(apr) / n) ** n - 1
    assert abs(Fraction(yields.apr_to_apy(apr, n)) - exact) <= TINY * (1 + abs(exact))


@given(rates, st.sampled_from([1, 2, 12, 52, 365, 8760, yields.SECONDS_PER_YEAR]))
def test_apy_round_trip(apr: Decimal, n: int) -> None:
    back = yields.apy_to_apr(yields.apr_to_apy(apr, n), n)
    # The root of a power near one loses as many digits as the period has zeros.
    assert abs(back - apr) <= D("1e-40")


@given(rates)
def test_continuous_is_the_limit_and_the_bound(apr: Decimal) -> None:
    top = yields.continuous_apy(apr)
    assert yields.apr_to_apy(apr, 365) <= top + D("1e-50")
    assert abs(yields.continuous_apr(top) - apr) <= D("1e-50")
    # (1 + r/n)^n = e^r (1 - r^2 / 2n + ...): the gap at n is that term to first order.
    gap = top - yields.apr_to_apy(apr, 10**9)
    assert abs(gap - (1 + top) * apr**2 / (2 * 10**9)) <= (1 + top) * D("1e-14")


def test_known_compounding() -> None:
    # 100% compounded for ever is e - 1 (OEIS A001113); daily it is 171.4567%.
    assert str(yields.continuous_apy(D(1)))[:32] == "1.718281828459045235360287471352"
    assert yields.apr_to_apy(D(1), 365).quantize(D("1e-6")) == D("1.714567")
    assert yields.apr_to_apy(D("-1"), 1) == -1


def test_decimal_context_of_the_caller_does_not_matter() -> None:
    plain = yields.apr_to_apy(D("0.0731"), 365)
    with localcontext() as context:
        context.prec = 5
        assert yields.apr_to_apy(D("0.0731"), 365) == plain


def test_rates_a_block_and_a_second() -> None:
    # Compound v2's documented formula with a mantissa of 37893605 and 6570 blocks a day.
    rate = D(37_893_605).scaleb(-18)
    exact = (1 + Fraction(37_893_605 * 6570, 10**18)) ** 365 - 1
    assert abs(Fraction(yields.per_block_apy(rate, 6570)) - exact) < TINY
    assert yields.per_block_apr(rate, 6570) == D(37_893_605 * 6570 * 365).scaleb(-18)
    # Maker documents a stability fee of 5% as 1.000000001547125957863212448 a second.
    assert yields.per_second_apy(D("1547125957863212448e-27")).quantize(D("1e-15")) == D("0.05")
    assert yields.per_second_apr(D("1e-9")) == D("0.031536")


@given(positive, positive, st.integers(1, 3650))
def test_realised_rates_agree_with_growth(start: Decimal, end: Decimal, days: int) -> None:
    growth = Fraction(end) / Fraction(start)
    apr = Fraction(yields.realised_apr(start, end, D(days)))
    assert abs(apr * days / 365 - (growth - 1)) <= TINY * (1 + growth)
    if days >= 365:
        apy = 1 + yields.realised_apy(start, end, D(365))
        assert abs(Fraction(apy) - growth) <= TINY * growth


def test_capital_efficiency() -> None:
    # Uniswap v3's announcement: a 0.10% range is 4000 times as efficient.
    ratio = D("1.001")
    at_mean = yields.capital_efficiency(ratio.sqrt(), D(1), ratio)
    assert 4000 < at_mean < 4003
    # Price 1 in [1/4, 4]: 1 / (1 - 1/2).
    assert yields.capital_efficiency(D(1), D("0.25"), D(4)) == 2


@given(st.decimals("1.01", "100", places=3), st.decimals("0", "1", places=3))
def test_efficiency_is_value_saved_at_equal_liquidity(width: Decimal, where: Decimal) -> None:
    lower, upper = 1 / width, width
    price = lower + (upper - lower) * where
    if not lower <= price <= upper:
        return
    efficiency = yields.capital_efficiency(price, lower, upper)
    full = 2 * price.sqrt()
    ranged = price.sqrt() - lower.sqrt() + price * (1 / price.sqrt() - 1 / upper.sqrt())
    assert abs(efficiency * ranged - full) < D("1e-40") * full
    assert efficiency >= 1


def test_range_fee_apr_is_the_fee_apr_of_its_liquidity() -> None:
    # The same value in a range owns `efficiency` times the liquidity, hence the fees.
    price, lower, upper = D(2000), D(1600), D(2500)
    efficiency = yields.capital_efficiency(price, lower, upper)
    volume, fee, days, value = D(10**7), D("0.003"), D(30), D(10_000)
    full = yields.concentrated_fee_apr(volume, fee, 10**12, 10**18, value, days, D(1))
    own = int(efficiency * 10**12)
    ranged = yields.concentrated_fee_apr(volume, fee, own, 10**18, value, days, D("0.5"))
    expected = yields.range_fee_apr(full, price, lower, upper, D("0.5"))
    assert abs(ranged / expected - 1) < D("1e-11")


@given(st.decimals("0.2", "5", places=3), st.integers(1, 1000))
def test_required_fees_offset_the_loss(ratio: Decimal, days: int) -> None:
    loss = impermanent_loss_v2(ratio)
    needed = yields.required_fee_apr(loss, D(days))
    assert abs(yields.net_apr(needed, loss, D(0), D(1), D(days))) < D("1e-50")
    narrow = impermanent_loss_range(D(1), ratio, D("0.1"), D(10))
    assert yields.required_fee_apr(narrow, D(days)) >= needed - D("1e-50")


def test_net_apr_by_hand() -> None:
    # 20% a year for 73 days is 4%; less 2% loss and 10 of 1,000 in gas: 1%, five times a year.
    net = yields.net_apr(D("0.2"), D("-0.02"), D(10), D(1000), D(73))
    assert net == D("0.05")
    # Quadrupled price: the textbook -20%, to be earned back in half a year.
    assert yields.required_fee_apr(impermanent_loss_v2(D(4)), D("182.5")) == D("0.4")


def test_blended_apr() -> None:
    # 100 of equity: 300 supplied at 3%, 200 borrowed at 4%, incentives of 1% on the supply.
    legs = [(D(300), D("0.03")), (D(-200), D("0.04")), (D(300), D("0.01"))]
    assert yields.blended_apr(D(100), legs) == D("0.04")


@given(positive, positive, st.decimals("0.001", "10", places=4))
def test_break_even(cost: Decimal, capital: Decimal, apr: Decimal) -> None:
    days = yields.break_even_days(cost, capital, apr)
    assert abs(capital * apr * days / 365 - cost) < D("1e-20") * (1 + cost)


@given(st.lists(st.decimals("-0.5", "0.5", places=3), min_size=1, max_size=12), positive)
def test_time_weighted_return_ignores_flows(returns: list[Decimal], flow: Decimal) -> None:
    value, periods = D(1000), []
    for rate in returns:
        closing = value * (1 + rate)
        periods.append((value, closing))
        value = closing + flow
    exact = Fraction(1)
    for rate in returns:
        exact *= 1 + Fraction(rate)
    assert abs(Fraction(yields.time_weighted_return(periods)) - (exact - 1)) < Fraction(1, 10**20)


def test_modified_dietz_by_hand() -> None:
    # 100 in, 50 more halfway, 165 out: 15 on an average of 125.
    assert yields.modified_dietz(D(100), D(165), [(D(15), D(50))], D(30)) == D("0.12")


def test_real_yield_and_dilution() -> None:
    split = yields.real_yield(D(10), D(30), D(1000), D("36.5"))
    assert split == (D("0.1"), D("0.3"), D("0.25"))
    # Staking all of a supply that inflates as fast as it pays leaves one's share as it was.
    assert yields.dilution_adjusted(D("0.08"), D("0.08")) == 0
    assert yields.dilution_adjusted(D("0.32"), D("0.1")) == D("0.2")


def test_v2_share_price_gives_the_apr() -> None:
    # LP units of a pair that earned 1% in 73 days in both reserves: 5% a year.
    before = burn_amounts(10**18, 10**24, 10**24, 10**24)[0]
    after = burn_amounts(10**18, 101 * 10**22, 101 * 10**22, 10**24)[0]
    assert yields.realised_apr(D(before), D(after), D(73)) == D("0.05")


@pytest.mark.parametrize(
    "call",
    [
        lambda: yields.apr_to_apy(D("-2"), 1),
        lambda: yields.apr_to_apy(D("0.1"), 0),
        lambda: yields.apr_to_apy(D("1e999999"), 10),
        lambda: yields.apr_to_apy(D("NaN"), 1),
        lambda: yields.apy_to_apr(D("-1.5"), 12),
        lambda: yields.continuous_apy(D("-1.01")),
        lambda: yields.continuous_apr(D(-1)),
        lambda: yields.continuous_apy(D("1e30")),
        lambda: yields.realised_apr(D(0), D(1), D(1)),
        lambda: yields.realised_apr(D(1), D(1), D(0)),
        lambda: yields.capital_efficiency(D(5), D(1), D(4)),
        lambda: yields.capital_efficiency(D(1), D(1), D(1)),
        lambda: yields.net_apr(D(1), D("0.1"), D(0), D(1), D(1)),
        lambda: yields.net_apr(D(1), D(0), D(0), D(0), D(1)),
        lambda: yields.blended_apr(D(0), [(D(1), D(1))]),
        lambda: yields.blended_apr(D(1), [(D("Infinity"), D(1))]),
        lambda: yields.break_even_days(D(1), D(1), D("-0.1")),
        lambda: yields.time_weighted_return([(D(0), D(1))]),
        lambda: yields.modified_dietz(D(1), D(1), [(D(9), D(1))], D(8)),
        lambda: yields.real_yield(D(0), D(0), D(1), D(1)),
        lambda: yields.dilution_adjusted(D(0), D(-1)),
        lambda: yields.per_block_apy(D("1e-9"), 0),
    ],
)
def test_impossible_figures_are_refused(call: object) -> None:
    with pytest.raises(MathError):
        call()  # type: ignore[operator]
