"""Staking and peg tools against fractions and hand-worked figures, and refusals."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from denizen.tasks.catalogue import Result
from denizen.tasks.quantities import parse_quantity
from denizen.tasks.tools.staking import STAKING_TOOLS

TOOLS = {tool.name: tool for tool in STAKING_TOOLS}


def run(name: str, *values: str) -> Result:
    tool = TOOLS[name]
    pairs = zip(tool.parameters, values, strict=True)
    result = tool.run(**{f"{p.name}_": parse_quantity(v) for p, v in pairs})
    assert set(result.values) == set(tool.returns)
    return result


def close(result: Result, expected: str, within: str = "1e-9") -> bool:
    assert result.number is not None
    return abs(result.number - Decimal(expected)) <= Decimal(within)


@given(st.integers(1, 10**9), st.integers(10_000, 20_000))
def test_wrap_and_unwrap_round_down(milli: int, rate: int) -> None:
    said = f"{rate // 10**4}.{rate % 10**4:04} stETH per wstETH"
    amount = f"{milli // 1000}.{milli % 1000:03}"
    raw, exact = milli * 10**15, Fraction(rate, 10**4)
    wrapped = run("lst_wrap", f"{amount} stETH", said)
    assert wrapped.values == {"out": str(int(raw / exact)), "token": "wstETH"}
    back = run("lst_unwrap", f"{amount} wstETH", said)
    assert back.values == {"out": str(int(raw * exact)), "token": "stETH"}


def test_rebase_reward_is_net_of_the_fee() -> None:
    """0.01% gross less 10% on 100 tokens: 0.009 to the rounding of a share."""
    found = run("lst_rebase", "100 stETH", "9M ETH", "900 ETH", "10%")
    assert close(found, "0.009", "1e-17") and found.unit == "stETH"
    gross = run("lst_rebase", "100 stETH", "9M ETH", "900 ETH", "0%")
    assert close(gross, "0.01", "1e-17")
    half = run("lst_rebase", "100 stETH", "9M ETH", "900 ETH", "50%")
    assert close(half, "0.005", "1e-17")


def test_apr_of_two_rates() -> None:
    assert close(run("lst_apr", "1.2", "1.2012", "7 days"), str(Decimal("36.5") / 7))
    assert close(run("lst_apr", "1", "1.0001", "24h"), "3.65")
    assert (
        run("lst_apr", "1", "1.0001", "1 day").values
        == run("lst_apr", "1.0", "1.00010", "24 hours").values
    )
    lower = run("lst_apr", "1.2", "1.188", "365 days")
    assert close(lower, "-1")


def test_discount_and_premium() -> None:
    assert close(run("lst_discount", "0.98 ETH", "1 ETH"), "2")
    assert "discount of 2.0000%" in run("lst_discount", "0.98 ETH", "1 ETH").text
    above = run("lst_discount", "1.122 ETH", "1.1 ETH")
    assert close(above, "-2") and "premium of 2.0000%" in above.text


def test_returns_simple_and_compounded() -> None:
    """Buy at 0.8, redeem at 1: a quarter gained in half a year."""
    assert close(run("lst_return", "0.8 ETH", "1 ETH", "182.5 days"), "50")
    assert close(run("lst_apy", "0.8 ETH", "1 ETH", "182.5 days"), "56.25")
    year = ("0.95 ETH", "1 ETH", "365 days")
    assert close(run("lst_return", *year), str(run("lst_apy", *year).number))


@pytest.mark.parametrize(
    ("price", "peg", "points"),
    [("$0.9921", "$1", "-0.79"), ("1.0042", "1.00", "0.42"), ("$1.102", "$1.16", "-5")],
)
def test_distance_from_the_peg(price: str, peg: str, points: str) -> None:
    assert close(run("peg_gap", price, peg), points)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("lst_wrap", ("5 wstETH", "1.2 stETH per wstETH")),
        ("lst_unwrap", ("5 stETH", "1.2 stETH per wstETH")),
        ("lst_wrap", ("5 stETH", "0 stETH per wstETH")),
        ("lst_wrap", ("5 stETH", "1.2 stETH per stETH")),
        ("lst_rebase", ("5 stETH", "9M ETH", "800 DAI", "10%")),
        ("lst_rebase", ("5M stETH", "4M ETH", "800 ETH", "10%")),
        ("lst_rebase", ("5 stETH", "9M ETH", "800 ETH", "100%")),
        ("lst_rebase", ("5 stETH", "9M ETH", "800 ETH", "0.001%")),
        ("lst_apr", ("0", "1.2", "7 days")),
        ("lst_apr", ("1.1", "1.2", "0 days")),
        ("lst_discount", ("0.99 ETH", "1 DAI")),
        ("lst_discount", ("0 ETH", "1 ETH")),
        ("lst_return", ("0.99 ETH", "1 ETH", "0 days")),
        ("lst_apy", ("0.99 ETH", "0 ETH", "5 days")),
        ("peg_gap", ("$0.99", "0")),
    ],
)
def test_impossible_figures_are_refused(name: str, values: tuple[str, ...]) -> None:
    with pytest.raises(ValueError):
        run(name, *values)
