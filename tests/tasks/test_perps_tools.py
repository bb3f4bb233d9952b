"""Perpetual tools against their definitions: who pays, how often, and where margin runs out."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from denizen.tasks.catalogue import Result
from denizen.tasks.quantities import parse_quantity as q
from denizen.tasks.tools import perps as tools
from denizen.tasks.tools.periods import seconds, whole

ENTRY = q("2,940 USDT per WETH")


def value(result: Result) -> Fraction:
    return Fraction(result.values[result.headline])


def test_longs_pay_shorts_at_a_positive_rate() -> None:
    args = q("$250k"), q("0.01%"), q("8h"), q("7 days")
    assert value(tools.funding_notional("long", *args)) == -525
    assert value(tools.funding_notional("short", *args)) == 525
    below = tools.funding_notional("long", q("$250k"), q("-0.01%"), q("8 hours"), q("1 week"))
    assert value(below) == 525


def test_the_interval_counts_the_payments() -> None:
    eight = tools.funding_notional("long", q("$250k"), q("0.01%"), q("8h"), q("24h"))
    hourly = tools.funding_notional("long", q("$250k"), q("0.01%"), q("1 hour"), q("24h"))
    assert (eight.values["payments"], hourly.values["payments"]) == ("3", "24")
    assert value(hourly) == 8 * value(eight)
    # A payment is made at whole intervals only.
    ten = tools.funding_notional("long", q("$250k"), q("0.01%"), q("8h"), q("23 hours"))
    assert ten.values["payments"] == "2"
    for held in ("7 hours", "0 days", "20 years"):
        with pytest.raises(ValueError, match="intervals"):
            tools.funding_notional("long", q("$250k"), q("0.01%"), q("8h"), q(held))


def test_size_at_a_mark_is_a_notional() -> None:
    rest = q("-0.002%"), q("1h"), q("2 days")
    sized = tools.funding_size("short", q("5 WETH"), ENTRY, *rest)
    assert value(sized) == value(tools.funding_notional("short", q("14,700"), *rest))
    assert sized.unit == "USDT" and sized.values["token"] == "USDT"
    with pytest.raises(ValueError, match="token"):
        tools.funding_size("short", q("5 WBTC"), ENTRY, *rest)


def test_annual_rates_are_simple() -> None:
    assert value(tools.funding_apr(q("0.01%"), q("8h"))) == Fraction(3 * 365, 10_000)
    assert value(tools.funding_apr(q("0.01%"), q("1h"))) == Fraction(24 * 365, 10_000)
    with pytest.raises(ValueError, match="whole"):
        tools.funding_apr(q("0.01%"), q("90 minutes"))
    basis = tools.basis_apr(q("$3,010"), q("2940"), q("87 days"))
    exact = (Fraction(3010, 2940) - 1) * Fraction(365, 87)
    assert abs(value(basis) - exact) < Fraction(1, 10**15)
    assert value(tools.basis_apr(q("2900"), q("2940"), q("87 days"))) < 0


def test_carry_is_on_spot_and_margin_after_both_fees() -> None:
    found = tools.carry_apr(q("2940"), q("3010"), q("20%"), q("5 bps"), q("87 days"))
    profit = 70 - Fraction(5, 10_000) * 5950
    exact = profit / (2940 + Fraction(602)) * Fraction(365, 87)
    assert abs(value(found) - exact) < Fraction(1, 10**15)


@given(st.sampled_from(["long", "short"]), st.integers(2, 30), st.integers(0, 300))
def test_at_liquidation_the_margin_is_maintenance(side: str, leverage: int, bps: int) -> None:
    mark = value(tools.perp_liquidation(side, ENTRY, q(f"{leverage}x"), q(f"{bps} bps")))
    sign = 1 if side == "long" else -1
    margin = Fraction(2940, leverage) + sign * (mark - 2940)
    assert abs(margin - mark * Fraction(bps, 10_000)) < Fraction(1, 10**12)


def test_margin_in_money_is_the_same_position() -> None:
    lever = tools.perp_liquidation("short", ENTRY, q("10x"), q("0.5%"))
    money = tools.perp_liquidation_margin("short", q("5 WETH"), ENTRY, q("$1,470"), q("0.5%"))
    assert lever.values == money.values and lever.unit == "USDT"
    with pytest.raises(ValueError, match="under maintenance"):
        tools.perp_liquidation("long", ENTRY, q("25x"), q("5%"))
    with pytest.raises(ValueError, match="token"):
        tools.perp_liquidation_margin("short", q("5 ARB"), ENTRY, q("$1,470"), q("0.5%"))


def test_periods_are_whole_seconds() -> None:
    assert seconds(q("8h")) == 28_800 and seconds(q("1 minute")) == 60
    assert seconds(q("1 year")) == 31_536_000 and whole(q("3 years"), 2_628_000, "month") == 36
    for text in ("201 years", "-1 day"):
        with pytest.raises(ValueError, match="at most"):
            seconds(q(text))
