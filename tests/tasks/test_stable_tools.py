"""Curve tools against the invariant solved by bisection, and against what they must refuse."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Context, Decimal, localcontext

import pytest

from denizen.tasks.catalogue import Result
from denizen.tasks.quantities import parse_quantity
from denizen.tasks.tools.stable import STABLE_TOOLS

TOOLS = {tool.name: tool for tool in STABLE_TOOLS}
EXACT = Context(prec=60)


def run(name: str, *values: str) -> Result:
    tool = TOOLS[name]
    pairs = zip(tool.parameters, values, strict=True)
    result = tool.run(**{f"{p.name}_": parse_quantity(v) for p, v in pairs})
    assert set(result.values) == set(tool.returns)
    return result


def gap(D: Decimal, balances: list[Decimal], A: int) -> Decimal:
    """A n S + D - A n D - D^(n+1) / (n^n P): falls through zero at the invariant."""
    n = len(balances)
    product = Decimal(1)
    for x in balances:
        product *= x
    return A * n * (sum(balances) - D) + D - D ** (n + 1) / (n**n * product)


def bisect(f: Callable[[Decimal], Decimal], low: Decimal, high: Decimal) -> Decimal:
    rising = f(high) > 0
    for _ in range(180):
        middle = (low + high) / 2
        low, high = (low, middle) if (f(middle) > 0) == rising else (middle, high)
    return low


def solve_D(balances: list[Decimal], A: int) -> Decimal:
    return bisect(lambda D: gap(D, balances, A), min(balances) / 100, sum(balances) * 2)


def solve_y(others: list[Decimal], D: Decimal, A: int) -> Decimal:
    return bisect(lambda y: gap(D, [*others, y], A), D / 10**6, D * 10**3)


@pytest.mark.parametrize(
    ("sold", "bought", "A", "fee", "places"),
    [
        ("2.5M USDC", "1,900,000 DAI", 200, "0.04%", 18),
        ("1,900,000 DAI", "2.5M USDC", 200, "4 bps", 6),
        ("640.1 WBTC", "118 tBTC", 85, "0.01%", 18),
        ("12,345.6 ETH", "40k stETH", 30, "0.3%", 18),
    ],
)
def test_two_coin_quote(sold: str, bought: str, A: int, fee: str, places: int) -> None:
    held = [parse_quantity(sold), parse_quantity(bought)]
    dx = held[0].value / 50
    amount = f"{dx:f} {held[0].unit}"
    with localcontext(EXACT):
        x, y = held[0].value, held[1].value
        after = solve_y([x + dx], solve_D([x, y], A), A)
        expected = (y - after) * (1 - parse_quantity(fee).value)
    found = run("curve_in", amount, sold, bought, str(A), fee)
    assert found.values["token"] == held[1].unit
    assert found.number is not None and abs(found.number - expected) < Decimal(3).scaleb(-places)
    # Balances in either order, and the amplification as A_precise() says it.
    assert run("curve_in", amount, bought, sold, str(A), fee).values == found.values
    precise = run("curve_in_precise", amount, sold, bought, str(A * 100), fee)
    assert precise.values == found.values


def test_three_coin_quote() -> None:
    with localcontext(EXACT):
        balances = [Decimal(8_000_000), Decimal(3_100_000), Decimal(5_250_000)]
        D = solve_D(balances, 500)
        after = solve_y([balances[0] + 250_000, balances[2]], D, 500)
        expected = (balances[1] - after) * Decimal("0.9998")
    said = ("250k USDT", "8M USDT", "3.1M DAI", "5.25M USDC", "500", "0.02%")
    found = run("curve3_in", *said)
    assert found.number is not None and abs(found.number - expected) < Decimal("1e-15")
    other = run("curve3_in", said[0], said[1], said[3], said[2], *said[4:])
    assert other.values["token"] == "USDC" and other.values != found.values


def test_price_is_that_of_a_tiny_trade() -> None:
    price = run("curve_price", "9M GHO", "2.2M USDC", "120").number
    tiny = Decimal("0.000001")
    with localcontext(EXACT):
        x, y = Decimal(9_000_000), Decimal(2_200_000)
        D = solve_D([x, y], 120)
        expected = (y - solve_y([x + tiny], D, 120)) / tiny
    assert price is not None and abs(price - expected) < Decimal("1e-11")
    depeg = run("curve_gap", "9M GHO", "2.2M USDC", "120")
    assert depeg.number is not None and abs(depeg.number - (1 - price) * 100) < Decimal("1e-25")
    assert depeg.unit == "%" and "under USDC" in depeg.text
    back = run("curve_gap", "2.2M USDC", "9M GHO", "120")
    assert back.number is not None and back.number < 0 and "over GHO" in back.text


def test_virtual_price_and_one_coin() -> None:
    with localcontext(EXACT):
        x, y, lp, supply = map(Decimal, (4_000_000, 6_500_000, 80_000, 10_000_000))
        D = solve_D([x, y], 400)
        virtual = D / supply
        # Paper: burn, find y at the new D, then charge fee n / 4(n - 1) on each deviation.
        after, rate = D * (1 - lp / supply), Decimal("0.0004") / 2
        bare = solve_y([y], after, 400)
        reduced_x = x - rate * (x * after / D - bare)
        reduced_y = y - rate * (y - y * after / D)
        paid = reduced_x - solve_y([reduced_y], after, 400)
    price = run("curve_virtual", "4M DAI", "6.5M USDC", "400", "10M")
    assert price.number is not None and abs(price.number - virtual) < Decimal("1e-17")
    one = run("curve_one_coin", "80,000", "4M DAI", "6.5M USDC", "400", "0.04%", "10,000,000")
    assert one.number is not None and abs(one.number - paid) < Decimal("1e-15")
    assert one.values["token"] == "DAI" and 0 < paid < x - bare


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("curve_in", ("1 WETH", "5M USDC", "5M DAI", "200", "0.04%")),
        ("curve_in", ("1 USDC", "5M USDC", "4M USDC", "200", "0.04%")),
        ("curve_in", ("1 USDC", "5M USDC", "5M DAI", "0", "0.04%")),
        ("curve_in", ("1 USDC", "5M USDC", "5M DAI", "200000 DAI", "0.04%")),
        ("curve_in", ("1 USDC", "5M USDC", "5M DAI", "2,000,000", "0.04%")),
        ("curve_in", ("1 USDC", "5M USDC", "5M DAI", "200", "60%")),
        ("curve_in", ("1 USDC", "5M USDC", "5M DAI", "200", "0.0000000004%")),
        ("curve_in", ("0 USDC", "5M USDC", "5M DAI", "200", "0.04%")),
        ("curve3_in", ("1 DAI", "5M USDC", "5M DAI", "4M USDT", "200", "0.04%")),
        ("curve3_in", ("1 DAI", "5M DAI", "5M USDT", "4M USDT", "200", "0.04%")),
        ("curve_virtual", ("5M USDC", "0 DAI", "200", "9M")),
        ("curve_virtual", ("5M USDC", "5M DAI", "200", "0")),
        ("curve_one_coin", ("9M", "5M USDC", "5M DAI", "200", "0.04%", "8M")),
    ],
)
def test_impossible_pools_are_refused(name: str, values: tuple[str, ...]) -> None:
    with pytest.raises(ValueError):
        run(name, *values)
