"""Yield tools against fractions worked out here, in any notation, and what they refuse."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from denizen.tasks.catalogue import Result
from denizen.tasks.quantities import parse_quantity as q
from denizen.tasks.tools import yield_math as tools

TIMES = {"yearly": 1, "quarterly": 4, "monthly": 12, "weekly": 52, "daily": 365, "hourly": 8760}


def close(result: Result, expected: Fraction) -> bool:
    return abs(Fraction(result.values[result.headline]) - expected) < Fraction(1, 10**15)


def test_apy_compounds_as_often_as_said() -> None:
    assert {name for name, n in tools.COMPOUNDING.items() if n} == set(TIMES)
    for often, n in TIMES.items():
        grown = (1 + Fraction(12, 100) / n) ** n - 1
        assert close(tools.apy_from_apr(q("12%"), often), grown), often
    assert tools.apy_from_apr(q("12%"), "daily").values["apy"].startswith("0.12747461")
    rising = [tools.apy_from_apr(q("30%"), o).number or 0 for o in tools.COMPOUNDING]
    assert rising == sorted(rising) and len(set(rising)) == len(rising)


def test_continuous_compounding_is_the_exponential() -> None:
    term, series = Fraction(1), Fraction(0)
    for k in range(1, 30):
        term *= Fraction(12, 100) / k
        series += term
    assert close(tools.apy_from_apr(q("12%"), "continuously"), series)


@given(st.integers(1, 20_000), st.sampled_from(sorted(tools.COMPOUNDING)))
def test_apr_and_apy_are_inverse(bps: int, often: str) -> None:
    apy = tools.apy_from_apr(q(f"{bps} bps"), often).values["apy"]
    whole, _, part = apy.partition(".")
    back = tools.apr_from_apy(q(f"{int(whole + part[:2])}.{part[2:]}%"), often)
    assert close(back, Fraction(bps, 10_000))


def test_notation_does_not_matter() -> None:
    a = tools.break_even(q("$180"), q("25k"), q("14%"))
    b = tools.break_even(q("180"), q("$25,000"), q("1400 bps"))
    assert a.values == b.values and a.unit == "days"


def test_realised_rate_is_simple_on_365_days() -> None:
    gain = Fraction("1.0498") / Fraction("1.0412") - 1
    found = tools.realised_apr(q("1.0412"), q("1.0498"), q("45 days"))
    assert close(found, gain * 365 / 45)
    assert (tools.realised_apr(q("1.1"), q("1.05"), q("4 weeks")).number or 0) < 0
    with pytest.raises(ValueError, match="positive"):
        tools.realised_apr(q("0"), q("1.05"), q("45 days"))


def test_blended_rate_weighs_by_value() -> None:
    found = tools.blended_apr(q("50k"), q("12%"), q("8%"), q("$30,000"), q("4.5%"))
    assert close(found, (50 * Fraction(20, 100) + 30 * Fraction(45, 1000)) / 80)
    swapped = tools.blended_apr(q("50k"), q("8%"), q("12%"), q("$30,000"), q("4.5%"))
    assert swapped.values == found.values


def test_net_rate_takes_loss_and_cost_off() -> None:
    found = tools.net_apr(q("32%"), q("3.1%"), q("$180"), q("25k"), q("30 days"))
    drag = (Fraction(31, 1000) + Fraction(180, 25_000)) * Fraction(365, 30)
    assert close(found, Fraction(32, 100) - drag)
    signed = tools.net_apr(q("32%"), q("-3.1%"), q("$180"), q("25k"), q("30 days"))
    assert signed.values == found.values
    with pytest.raises(ValueError, match="impermanent loss"):
        tools.net_apr(q("32%"), q("130%"), q("$180"), q("25k"), q("30 days"))


def test_break_even_is_cost_over_daily_yield() -> None:
    found = tools.break_even(q("$180"), q("25k"), q("14%"))
    assert close(found, 180 / (25_000 * Fraction(14, 100) / 365))
    with pytest.raises(ValueError, match="never pays"):
        tools.break_even(q("$180"), q("25k"), q("0%"))


def test_real_yield_leaves_emissions_out() -> None:
    found = tools.real_yield(q("$410k"), q("$1.2M"), q("$62M"), q("30 days"))
    assert close(found, Fraction(410, 62_000) * Fraction(365, 30))
    more = tools.real_yield(q("$410k"), q("$9M"), q("$62M"), q("30 days"))
    assert more.values["real_apr"] == found.values["real_apr"] and more.values != found.values
    # The real yield is said last: a reader takes the last percentage.
    assert found.text.endswith("8.05%")


def test_required_rate_pays_the_loss_back() -> None:
    found = tools.required_apr(q("-5.72%"), q("60 days"))
    assert close(found, Fraction(572, 10_000) * Fraction(365, 60))
    assert tools.required_apr(q("5.72%"), q("60 days")).values == found.values
