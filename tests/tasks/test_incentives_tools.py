"""Incentive, escrow and programme tools against sums and searches made here."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from denizen.protocols.uniswap_v2 import get_amount_out
from denizen.tasks.catalogue import Result
from denizen.tasks.quantities import parse_quantity as q
from denizen.tasks.tools import escrow, incentives, programmes

WAD = 10**18
WEEK = 604_800


def raw(result: Result) -> int:
    return int(result.values[result.headline])


def stream(pool: str, mine: str, held: str = "12 days") -> Result:
    reward, over = q("100,000 CRV"), q("30 days")
    return incentives.stream_rewards(reward, over, q("5,000"), q(pool), mine, q(held))


def test_a_deposit_dilutes_the_pool_it_joins() -> None:
    exact = 100_000 * WAD * 12 // 30 * 5 // 100
    joined = raw(stream("95,000", "on top"))
    # The rate a second is rounded down, never up.
    assert 0 <= exact - joined < 2_592_000
    assert joined == raw(stream("100k", "included"))
    assert raw(stream("95,000", "included")) > joined
    assert raw(stream("95,000", "on top", "60 days")) == raw(stream("95,000", "on top", "30 days"))
    with pytest.raises(ValueError, match="does not hold"):
        stream("4,000", "included")


def test_masterchef_shares_by_weight_then_by_stake() -> None:
    found = incentives.chef_rewards(q("40 SUSHI"), q("2.5%"), q("300"), q("41k"), q("50,000"))
    exact = Fraction(40 * WAD * 50_000) * Fraction(25, 1000) * Fraction(300, 41_000)
    # Growth a share is rounded down at 1e12.
    assert 0 <= exact - raw(found) <= Fraction(300 * WAD, 10**12)
    with pytest.raises(ValueError):
        incentives.chef_rewards(q("40 SUSHI"), q("2.5%"), q("42k"), q("41k"), q("50,000"))
    with pytest.raises(ValueError):
        incentives.chef_rewards(q("40 SUSHI"), q("120%"), q("300"), q("41k"), q("50,000"))


def test_emissions_are_the_sum_of_their_epochs() -> None:
    even = incentives.emission_constant(q("40k ARB"), "week", q("26 weeks"))
    assert raw(even) == 26 * 40_000 * WAD
    rate, total = 1_000 * WAD, 0
    for day in range(7 * 365):
        if day and day % 730 == 0:
            rate //= 2
        total += rate
    halved = incentives.emission_halving(q("1,000 GRT"), "day", q("2 years"), q("7 years"))
    assert raw(halved) == total
    decayed = incentives.emission_decay(q("274M CRV"), q("15.9%"), q("6 years"))
    exact = sum(Fraction(274 * 10**24) * Fraction(841, 1000) ** year for year in range(6))
    assert 0 <= exact - raw(decayed) < 1
    for length in ("10 days", "0 days", "500 years"):
        with pytest.raises(ValueError, match=r"whole|at most"):
            incentives.emission_constant(q("40k ARB"), "week", q(length))


@given(st.integers(1, 10_000), st.integers(0, 1_000))
def test_boost_is_between_one_and_its_cap(stake: int, ve: int) -> None:
    found = escrow.boost(q(str(stake)), q("10000"), q(f"{ve} veCRV"), q("1000 veCRV"))
    working = min(Fraction(4 * stake, 10) + 6000 * Fraction(ve, 1000), Fraction(stake))
    assert abs(raw_working(found) - working * WAD) <= 1
    assert abs(Fraction(found.values["boost"]) - working / Fraction(4 * stake, 10)) < 1e-15
    assert 1 <= Fraction(found.values["boost"]) <= Fraction(5, 2)


def raw_working(result: Result) -> int:
    return int(result.values["working_balance"])


def test_boost_refuses_what_is_not_a_part() -> None:
    for stake, ve, total in (
        ("11k", "5 veCRV", "9 veCRV"),
        ("1k", "5 veCRV", "3 veCRV"),
        ("1k", "5 veCRV", "9 veBAL"),
    ):
        with pytest.raises(ValueError, match="part"):
            escrow.boost(q(stake), q("10k"), q(ve), q(total))


def test_a_lock_ends_at_the_start_of_its_week() -> None:
    now, unlock = 1_750_000_000, 1_800_000_000
    end = unlock - unlock % WEEK
    locked = q("12,500 CRV")
    found = escrow.ve_power(locked, q(str(unlock)), q(str(now)), "veCRV")
    assert raw(found) == 12_500 * WAD // (4 * 365 * 86_400) * (end - now)
    assert escrow.ve_power(locked, q(str(end)), q(str(now)), "veCRV").values == found.values
    week_less = escrow.ve_power(locked, q(str(end - 1)), q(str(now)), "veCRV")
    assert week_less.values != found.values
    # A year is the most that veBAL takes.
    with pytest.raises(ValueError, match="at most"):
        escrow.ve_power(q("9 BPT"), q(str(unlock)), q(str(now)), "veBAL")
    with pytest.raises(ValueError, match="future"):
        escrow.ve_power(locked, q(str(now)), q(str(now)), "veCRV")


def test_bribes_are_paid_by_the_vote() -> None:
    found = escrow.bribe_apr(q("$24,000"), q("6.2M veCRV"), q("26"), q("$0.47"))
    exact = Fraction(24_000, 6_200_000) * 26 / Fraction(47, 100)
    assert abs(Fraction(found.values["bribe_apr"]) - exact) < 1e-15
    assert found.unit == "%"
    with pytest.raises(ValueError, match="votes"):
        escrow.bribe_apr(q("$24,000"), q("0 veCRV"), q("26"), q("$0.47"))


def test_a_penalty_falls_evenly_and_rounds_up() -> None:
    found = incentives.exit_penalty(q("5,000 LDO"), q("180 days"), q("31 days"), q("50%"))
    exact = Fraction(5_000 * WAD) * Fraction(1, 2) * Fraction(149, 180)
    assert 0 <= raw(found) - exact < 1
    over = incentives.exit_penalty(q("5,000 LDO"), q("180 days"), q("181 days"), q("50%"))
    assert raw(over) == 0
    with pytest.raises(ValueError, match="basis point"):
        incentives.exit_penalty(q("5,000 LDO"), q("180 days"), q("31 days"), q("0.123%"))


def test_vesting_counts_from_the_start() -> None:
    amount, duration, cliff = q("1.2M UNI"), q("4 years"), q("12 months")
    assert raw(incentives.vested(amount, duration, cliff, q("20 months"))) == 500_000 * WAD
    assert raw(incentives.vested(amount, duration, cliff, q("11 months"))) == 0
    assert raw(incentives.vested(amount, duration, cliff, q("1 year"))) == 300_000 * WAD
    assert raw(incentives.vested(amount, duration, cliff, q("9 years"))) == 1_200_000 * WAD
    with pytest.raises(ValueError, match="cliff"):
        incentives.vested(amount, duration, q("5 years"), q("20 months"))


def test_farmers_stop_at_the_outside_yield() -> None:
    for per, times in (("day", 365), ("month", 12), ("year", 1)):
        found = programmes.farm_tvl(q("$12k"), per, q("7.5%"))
        assert Fraction(found.values["tvl"]) == Fraction(12_000 * times * 1000, 75)
    with pytest.raises(ValueError, match="positive"):
        programmes.farm_tvl(q("$12k"), "day", q("0%"))


@given(st.integers(10**3, 10**10), st.integers(0, 99), st.integers(0, 10**9))
def test_what_stays_is_what_is_not_mercenary(tvl: int, leaving: int, baseline: int) -> None:
    found = programmes.retained_tvl(q(str(tvl)), q(f"{leaving}%"), q(str(baseline)))
    exact = Fraction(tvl * (100 - leaving), 100) - baseline
    assert Fraction(found.values["retained"]) == exact


def test_cost_is_per_dollar_above_the_baseline() -> None:
    found = programmes.retention_cost(q("$2M"), q("$40M"), q("65%"), q("$9.1M"))
    assert abs(Fraction(found.values["cost"]) - Fraction(20, 49)) < 1e-12
    for mercenary, baseline in (("80%", "$9.1M"), ("110%", "$1M")):
        with pytest.raises(ValueError, match=r"retained|between"):
            programmes.retention_cost(q("$2M"), q("$40M"), q(mercenary), q(baseline))


@pytest.mark.parametrize("price", ["3,050", "2,700"])
def test_no_other_trade_earns_more(price: str) -> None:
    base, quote, outside = 500 * WAD, 1_470_000 * 10**6, int(price.replace(",", ""))
    found = programmes.v2_arbitrage(q("500 WETH"), q("1.47M USDT"), q(f"{price} USDT per WETH"))
    best, amount = raw(found), int(found.values["amount_in"])
    assert best > 0 and found.values["sold"] == ("USDT" if outside > 2940 else "WETH")
    for factor in (50, 90, 98, 99, 101, 102, 110, 150):
        sold = amount * factor // 100
        if outside > 2940:
            profit = get_amount_out(sold, quote, base) * outside // 10**12 - sold
        else:
            profit = get_amount_out(sold, base, quote) - sold * outside // 10**12
        assert profit < best, factor


def test_within_the_fee_there_is_nothing_to_earn() -> None:
    price = q("2,945 USDT per WETH")
    found = programmes.v2_arbitrage(q("1.47M USDT"), q("500 WETH"), price)
    assert raw(found) == 0 and found.values["sold"] == "nothing"
    with pytest.raises(ValueError, match="pair"):
        programmes.v2_arbitrage(q("1.47M USDC"), q("500 WETH"), price)
