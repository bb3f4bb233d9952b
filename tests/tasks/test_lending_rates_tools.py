"""The lending-rate tools against the protocols' published formulas in exact fractions."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest

from denizen.tasks.catalogue import Result, ToolError
from denizen.tasks.quantities import parse_quantity as q
from denizen.tasks.tools import lending_accrual, lending_rates

YEAR = 31_536_000
DAY = 86_400


def share(text: str) -> Fraction:
    return Fraction(text.rstrip("%")) / 100


def near(found: str, exact: Fraction, tolerance: str = "1e-9") -> bool:
    return abs(Fraction(found) - exact) <= Fraction(tolerance)


def two_slope(use: str, base: str, slope1: str, slope2: str, optimal: str) -> Fraction:
    """Aave v3 technical paper: R0 + U/Uo s1, then R0 + s1 + (U - Uo)/(1 - Uo) s2."""
    u, r0, s1, s2, uo = map(share, (use, base, slope1, slope2, optimal))
    return r0 + u / uo * s1 if u <= uo else r0 + s1 + (u - uo) / (1 - uo) * s2


@pytest.mark.parametrize("use", ["0%", "45%", "80%", "80.5%", "97.3%", "100%"])
def test_aave(use: str) -> None:
    curve = (use, "0.5%", "4%", "75%", "80%")
    exact = two_slope(*curve)
    borrow = lending_rates.aave_borrow(*map(q, curve))
    assert near(borrow.values["apr"], exact)
    supply = lending_rates.aave_supply(*map(q, (*curve, "15%")))
    assert near(supply.values["apr"], exact * share(use) * Fraction(85, 100))
    if use != "0%":
        assert near(supply.values["borrow_APR"], exact)


@pytest.mark.parametrize(("use", "side"), [("62%", "borrow"), ("90%", "supply"), ("95%", "supply")])
def test_comet_slopes_are_per_unit_of_utilisation(use: str, side: str) -> None:
    rate = lending_rates.comet_rate(side, *map(q, (use, "1.5%", "3.5%", "400%", "90%")))
    u, kink = share(use), share("90%")
    exact = share("1.5%") + share("3.5%") * min(u, kink) + 4 * max(u - kink, Fraction(0))
    assert near(rate.values["apr"], exact, "1e-7") and rate.values["side"] == side


@pytest.mark.parametrize(("use", "multiple"), [("90%", "1"), ("100%", "4"), ("45%", "0.625")])
def test_morpho_adaptive_curve(use: str, multiple: str) -> None:
    """At target, four times it when full, half-way down to a quarter at half the target."""
    borrow = lending_rates.morpho_borrow(q(use), q("4%"))
    apr = Fraction(multiple) * share("4%")
    assert near(borrow.values["apr"], apr, "1e-8")
    supply = lending_rates.morpho_supply(q(use), q("4%"), q("10%"))
    apy = Decimal(apr.numerator) / Decimal(apr.denominator)
    exact = Fraction(apy.exp() - 1) * share(use) * Fraction(9, 10)
    assert near(supply.values["apy"], exact, "1e-8")


def test_apr_and_apy_by_the_second() -> None:
    apy = lending_accrual.apy_per_second(q("10%"))
    assert near(apy.values["apy"], Fraction("0.10517091790"), "1e-9")  # e^0.1 - 1, less 2e-10
    assert apy.number is not None and "apy" in apy.values and "apr" not in apy.values
    back = lending_accrual.apr_per_second(q(f"{apy.number:.10f}%"))
    assert near(back.values["apr"], Fraction(1, 10), "1e-11")


def test_utilisation() -> None:
    used = lending_accrual.utilisation(q("25M USDC"), q("75M USDC"))
    assert used.values["use"] == "0.750000000000000000" and used.text == "75.00% utilisation"
    with pytest.raises(ToolError):
        lending_accrual.utilisation(q("25 USDC"), q("75 DAI"))
    with pytest.raises(ValueError):
        lending_accrual.utilisation(q("0 USDC"), q("0 USDC"))


def interest(protocol: str, debt: str, rate: str, period: str) -> Result:
    return lending_accrual.debt_interest(protocol, q(debt), q(rate), q(period))


def test_interest_as_each_protocol_accrues_it() -> None:
    debt, rate, days = Fraction(1_000_000), share("8%"), 90
    x = rate / YEAR
    n = days * DAY
    third = n * (n - 1) * (n - 2) * x**3 / 6
    t = rate * days / 365
    expected = {
        "aave v3": n * x + n * (n - 1) * x**2 / 2 + third,
        "compound v3": t,
        "morpho blue": t + t**2 / 2 + t**3 / 6,
        "maker": Fraction(Decimal("1.08") ** (Decimal(days) / 365) - 1),
    }
    found = {p: interest(p, "1M DAI", "8%", "90 days") for p in expected}
    for protocol, growth in expected.items():
        # Aave cuts the cube of the per-second rate to whole rays: 16 of 16.33, of the last term.
        slack = debt * third / 40 if protocol == "aave v3" else Fraction(1, 1000)
        assert abs(Fraction(str(found[protocol].number)) - debt * growth) < slack, protocol
    assert len({r.values["interest"] for r in found.values()}) == 4


def test_makers_fee_is_effective_after_a_year() -> None:
    owed = interest("maker", "10,000 DAI", "6%", "1 year")
    assert owed.number is not None and abs(owed.number - 600) < Decimal("1e-6")
    assert interest("aave v3", "10,000 DAI", "6%", "1 year").number > Decimal("618")  # type: ignore[operator]


def test_units_and_hours() -> None:
    assert interest("compound v3", "50k USDC", "7.3%", "7 hours").values["interest"] == str(
        interest("compound v3", "50,000 USDC", "730 bps", "420 minutes").values["interest"]
    )
    week = interest("compound v3", "50k USDC", "7.3%", "7 days")
    assert week.unit == "USDC" and abs(week.number - 70) < Decimal("0.0001")  # type: ignore[operator]


@pytest.mark.parametrize(
    "call",
    [
        lambda: lending_rates.aave_borrow(*map(q, ("101%", "0%", "4%", "75%", "80%"))),
        lambda: lending_rates.aave_borrow(*map(q, ("50%", "0%", "4%", "75%", "100%"))),
        lambda: lending_rates.aave_supply(*map(q, ("50%", "0%", "4%", "75%", "80%", "120%"))),
        lambda: lending_rates.comet_rate("supply", *map(q, ("50%", "-1%", "4%", "75%", "80%"))),
        lambda: lending_rates.morpho_supply(q("50%"), q("4%"), q("26%")),
        lambda: interest("aave v3", "100 DAI", "-4%", "3 days"),
    ],
)
def test_impossible_figures_are_refused(call) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError):
        call()
