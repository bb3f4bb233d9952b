"""Perpetuals against the venues' own worked examples and the definitions of margin and carry."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from denizen.protocols import MathError, perpetuals
from denizen.protocols.perpetuals import LONG, SHORT

D = Decimal
sides = st.sampled_from([LONG, SHORT])
prices = st.decimals("0.01", "100000", places=4)
sizes = st.decimals("0.001", "1000", places=3)
premiums = st.decimals("-0.01", "0.01", places=6)


@pytest.fixture(autouse=True, scope="module")
def wide_context() -> Iterator[None]:
    """The tests' own arithmetic needs as many digits as the engine's."""
    with localcontext() as context:
        context.prec = 60
        yield


def test_bitmex_worked_example() -> None:
    # BitMEX support, ONDOUSDT of 14 January 2025: premium -0.184%, funding -0.134%.
    assert perpetuals.funding_rate(D("-0.00184")) == D("-0.00134")


def test_whitebit_worked_example() -> None:
    # WhiteBIT help: samples of four minutes with weights 1 to 4.
    samples = [D("0.0001"), D("0.004"), D("0.008"), D("-0.0001")]
    expected = (D("0.0001") + D("0.008") + D("0.024") - D("0.0004")) / 10
    assert perpetuals.average_premium(samples) == expected == D("0.00317")
    assert perpetuals.average_premium(samples, weighted=False) == D("0.003")


@given(prices, st.decimals("0.9", "1.1", places=4), st.decimals("0", "0.1", places=4))
def test_premium_index_is_zero_inside_the_spread(
    index: Decimal, level: Decimal, spread: Decimal
) -> None:
    bid, ask = index * level, index * (level + spread)
    premium = perpetuals.premium_index(bid, ask, index)
    if bid <= index <= ask:
        assert premium == 0
    elif bid > index:
        assert abs(premium - (level - 1)) < D("1e-20")
    else:
        assert abs(premium - (level + spread - 1)) < D("1e-20")


@given(premiums)
def test_clamp_leaves_interest_near_the_peg(premium: Decimal) -> None:
    rate = perpetuals.funding_rate(premium)
    if abs(premium - D("0.0001")) <= D("0.0005"):
        assert rate == D("0.0001")
    else:
        assert rate == premium + (D("0.0005") if premium < 0 else D("-0.0005"))
    assert perpetuals.funding_rate(premium, interval_hours=1) * 8 == rate
    assert abs(perpetuals.funding_rate(premium, cap=D("0.003"))) <= D("0.003")


@given(sizes, st.lists(st.tuples(prices, premiums), max_size=10))
def test_funding_passes_between_the_sides(
    size: Decimal, events: list[tuple[Decimal, Decimal]]
) -> None:
    long = perpetuals.cumulative_funding(LONG, size, events)
    assert long + perpetuals.cumulative_funding(SHORT, size, events) == 0
    exact = -sum(Fraction(size) * Fraction(m) * Fraction(r) for m, r in events)
    assert abs(Fraction(long) - exact) < Fraction(1, 10**30)


def test_funding_by_hand() -> None:
    # 0.01% of 20,000 is 2, three times a day; 10.95% a year.
    assert perpetuals.funding_payment(LONG, D(10), D(2000), D("0.0001")) == -2
    assert perpetuals.annualised_funding(D("0.0001")) == D("0.1095")
    exact = (1 + Fraction(1, 10_000)) ** 1095 - 1
    assert abs(Fraction(perpetuals.compounded_funding(D("0.0001"))) - exact) < Fraction(1, 10**50)


def test_basis_and_carry_by_hand() -> None:
    # 2% over 73 days is 10% a year.
    assert perpetuals.annualised_basis(D(51_000), D(50_000), D(73)) == D("0.1")
    assert perpetuals.fair_futures_price(D(50_000), D("0.1"), D(0), D(73)) == 51_000
    carry = perpetuals.cash_and_carry(D(50_000), D(51_000), D(73), D(0), D(0))
    assert (carry.profit, carry.apr) == (1000, D("0.1"))
    # Margin of 50% of 51,000 dilutes it; fees of 0.1% on both legs come off.
    carry = perpetuals.cash_and_carry(D(50_000), D(51_000), D(73), D("0.5"), D("0.001"))
    assert carry.profit == 899 and carry.capital == 75_500
    assert perpetuals.funding_carry_apr(D("0.0001"), 8, D("0.5"), D("0.0405")) == D("0.1")


@given(
    prices,
    st.decimals("-0.5", "0.5", places=3),
    st.decimals("0", "0.2", places=3),
    st.integers(1, 700),
)
def test_no_carry_profit_at_the_fair_price(
    spot: Decimal, rate: Decimal, income: Decimal, days: int
) -> None:
    assume(1 + (rate - income) * days / 365 > D("0.01"))
    fair = perpetuals.fair_futures_price(spot, rate, income, D(days))
    assert abs(perpetuals.annualised_basis(fair, spot, D(days)) - (rate - income)) < D("1e-20")


def test_phemex_worked_example() -> None:
    # Phemex help: 500 at 0.4, 5x, MMR 1%, taker 0.06%, margin 40.096: 0.3232.
    price = perpetuals.liquidation_price(
        LONG, D(500), D("0.4"), D("40.096"), D("0.01"), D("0.0006")
    )
    assert abs(price * 500 * (D("0.9994") - D("0.01")) - (200 - D("40.096"))) < D("1e-20")
    assert str(price)[:6] == "0.3232"


def test_mcs_worked_examples() -> None:
    # MCS help (inverse, maintenance on entry): 10x at 2,000 and 0.5%, long and short.
    long = perpetuals.inverse_liquidation_price(LONG, D(2000), D(10), D("0.005"))
    short = perpetuals.inverse_liquidation_price(SHORT, D(2000), D(10), D("0.005"))
    assert long.quantize(D("0.01")) == D("1826.48")
    assert short.quantize(D("0.01")) == D("2209.94")


rate_pairs = st.tuples(st.decimals("0", "0.02", places=4), st.decimals("0", "0.002", places=4))


@given(sides, sizes, prices, st.decimals("0.05", "0.9", places=3), rate_pairs)
def test_equity_at_liquidation_is_the_maintenance_margin(
    side: int, size: Decimal, entry: Decimal, part: Decimal, pair: tuple[Decimal, Decimal]
) -> None:
    maintenance, fee = pair
    margin = size * entry * part
    price = perpetuals.liquidation_price(side, size, entry, margin, maintenance, fee)
    equity = margin + perpetuals.pnl(side, size, entry, price)
    assert abs(equity - size * price * (maintenance + fee)) < D("1e-30")
    assert price < entry if side == LONG else price > entry
    bankrupt = perpetuals.bankruptcy_price(side, size, entry, margin)
    assert abs(margin + perpetuals.pnl(side, size, entry, bankrupt)) < D("1e-30")
    # A maintenance amount (Binance's tiers) gives that much more room.
    room = perpetuals.liquidation_price(side, size, entry, margin, maintenance, fee, margin / 9)
    assert side * (price - room) > 0 or room == 0


@given(sides, st.decimals("1.5", "50", places=1), prices)
def test_inverse_equity_at_liquidation(side: int, times: Decimal, entry: Decimal) -> None:
    price = perpetuals.inverse_liquidation_price(side, entry, times, D("0.005"))
    margin = 1 / entry / times
    equity = margin + perpetuals.inverse_pnl(side, D(1), entry, price)
    assert abs(equity - D("0.005") / entry) < D("1e-30")


def test_full_margin_long_is_never_liquidated() -> None:
    assert perpetuals.liquidation_price(LONG, D(1), D(100), D(100), D("0.005")) == 0
    assert perpetuals.effective_leverage(LONG, D(1), D(100), D(90), D(20)) == 9


@pytest.mark.parametrize(
    "call",
    [
        lambda: perpetuals.premium_index(D(2), D(1), D(1)),
        lambda: perpetuals.premium_index(D(1), D(2), D(0)),
        lambda: perpetuals.average_premium([]),
        lambda: perpetuals.funding_rate(D(0), clamp=D(-1)),
        lambda: perpetuals.funding_rate(D(0), interval_hours=0),
        lambda: perpetuals.funding_payment(2, D(1), D(1), D(0)),
        lambda: perpetuals.funding_payment(LONG, D(0), D(1), D(0)),
        lambda: perpetuals.compounded_funding(D("-1.5")),
        lambda: perpetuals.compounded_funding(D("0.1"), 7),
        lambda: perpetuals.annualised_basis(D(1), D(1), D(0)),
        lambda: perpetuals.basis(D(1), D(0)),
        lambda: perpetuals.fair_futures_price(D(1), D("-0.9"), D("0.9"), D(365)),
        lambda: perpetuals.cash_and_carry(D(1), D(1), D(1), D(2), D(0)),
        lambda: perpetuals.liquidation_price(LONG, D(1), D(100), D("0.4"), D("0.005")),
        lambda: perpetuals.liquidation_price(LONG, D(1), D(100), D(0), D("0.005")),
        lambda: perpetuals.liquidation_price(SHORT, D(1), D(100), D(10), D(1)),
        lambda: perpetuals.inverse_liquidation_price(LONG, D(1), D(250), D("0.005")),
        lambda: perpetuals.inverse_liquidation_price(SHORT, D(1), D("0.9"), D("0.005")),
        lambda: perpetuals.effective_leverage(LONG, D(1), D(100), D(80), D(20)),
        lambda: perpetuals.inverse_pnl(LONG, D(1), D(1), D(0)),
    ],
)
def test_impossible_figures_are_refused(call: object) -> None:
    with pytest.raises(MathError):
        call()  # type: ignore[operator]
