"""Balancer tools against Decimal powers, rounding against the trader, and refusals."""

from __future__ import annotations

from decimal import Context, Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from denizen.tasks.catalogue import Result
from denizen.tasks.quantities import decimals_of, parse_quantity
from denizen.tasks.tools.weighted import WEIGHTED_TOOLS

TOOLS = {tool.name: tool for tool in WEIGHTED_TOOLS}
EXACT = Context(prec=80)
# The contracts widen a power by 1e-14 of itself, against the trader.
MARGIN = Decimal("3e-14")


def run(name: str, *values: str) -> Result:
    tool = TOOLS[name]
    pairs = zip(tool.parameters, values, strict=True)
    result = tool.run(**{f"{p.name}_": parse_quantity(v) for p, v in pairs})
    assert set(result.values) == set(tool.returns)
    return result


CASES = [
    ("40k USDC", "1.2M USDC", "20%", "1,800 WETH", "80%", "0.3%"),
    ("25 WETH", "1,800 WETH", "80%", "1.2M USDC", "20%", "1%"),
    ("3 WBTC", "90 WBTC", "50%", "2.1M DAI", "25%", "10 bps"),
    ("900 BAL", "61,000 BAL", "98%", "12 WETH", "2%", "0.0001%"),
]


@pytest.mark.parametrize(("amount", "own", "w_own", "far", "w_far", "fee"), CASES)
def test_exact_input(amount: str, own: str, w_own: str, far: str, w_far: str, fee: str) -> None:
    a, x, wx, y, wy, f = (parse_quantity(t).value for t in (amount, own, w_own, far, w_far, fee))
    with localcontext(EXACT):
        expected = y * (1 - (x / (x + a * (1 - f))) ** (wx / wy))
    found = run("weighted_in", amount, own, w_own, far, w_far, fee)
    token = parse_quantity(far).unit
    unit = Decimal(1).scaleb(-decimals_of(token))
    assert found.values["token"] == token and found.number is not None
    assert expected - y * MARGIN - 2 * unit <= found.number <= expected
    assert run("weighted_in", amount, far, w_far, own, w_own, fee).values == found.values
    assert run("weighted_in", amount, own, w_far, far, w_own, fee).values != found.values


@pytest.mark.parametrize(("amount", "own", "w_own", "far", "w_far", "fee"), CASES)
def test_exact_output(amount: str, own: str, w_own: str, far: str, w_far: str, fee: str) -> None:
    """`amount` is taken out of `own`; the other token pays."""
    a, y, wy, x, wx, f = (parse_quantity(t).value for t in (amount, own, w_own, far, w_far, fee))
    with localcontext(EXACT):
        power = (y / (y - a)) ** (wy / wx)
        expected = x * (power - 1) / (1 - f)
    found = run("weighted_out", amount, own, w_own, far, w_far, fee)
    unit = Decimal(1).scaleb(-decimals_of(parse_quantity(far).unit))
    assert found.values["token"] == parse_quantity(far).unit and found.number is not None
    assert expected <= found.number <= expected + x * power * MARGIN / (1 - f) + 3 * unit


@given(st.integers(2, 98), st.integers(10**3, 10**9), st.integers(10**3, 10**9))
def test_price_is_balance_over_weight(weight: int, base: int, quote: int) -> None:
    values = (f"{base} BAL", f"{weight}%", f"{quote} WETH", f"{100 - weight}%")
    found = run("weighted_price", *values)
    expected = Decimal(quote * weight) / Decimal(base * (100 - weight))
    assert found.number is not None and abs(found.number / expected - 1) < Decimal("1e-26")
    back = run("weighted_price", *values[2:], *values[:2])
    assert back.values["token"] == "WETH" and found.values["against"] == "WETH"
    assert back.number is not None and abs(back.number * found.number - 1) < Decimal("1e-26")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("weighted_in", ("1 DAI", "9 BAL", "80%", "9 WETH", "20%", "0.3%")),
        ("weighted_in", ("1 BAL", "9 BAL", "80%", "9 BAL", "20%", "0.3%")),
        ("weighted_in", ("1 BAL", "9 BAL", "80%", "9 WETH", "30%", "0.3%")),
        ("weighted_in", ("1 BAL", "9 BAL", "99.5%", "9 WETH", "0.5%", "0.3%")),
        ("weighted_in", ("1 BAL", "9 BAL", "80%", "9 WETH", "20%", "0%")),
        ("weighted_in", ("1 BAL", "9 BAL", "80%", "9 WETH", "20%", "11%")),
        ("weighted_in", ("4 BAL", "9 BAL", "80%", "9 WETH", "20%", "0.3%")),
        ("weighted_in", ("0 BAL", "9 BAL", "80%", "9 WETH", "20%", "0.3%")),
        ("weighted_out", ("4 BAL", "9 BAL", "80%", "9 WETH", "20%", "0.3%")),
        ("weighted_price", ("9 BAL", "80%", "9 BAL", "20%")),
        ("weighted_price", ("0 BAL", "80%", "9 WETH", "20%")),
        ("weighted_price", ("9 BAL", "80%", "9 WETH", "21%")),
    ],
)
def test_impossible_swaps_are_refused(name: str, values: tuple[str, ...]) -> None:
    with pytest.raises(ValueError):
        run(name, *values)
