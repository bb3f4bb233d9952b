"""Health factor, borrowing power and liquidation prices against exact fractions by hand."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest

from denizen.tasks.catalogue import ToolError
from denizen.tasks.quantities import parse_quantity as q
from denizen.tasks.tools import lending
from denizen.tasks.tools import liquidation_price as liquidation
from denizen.tasks.tools.lending import LENDING_TOOLS
from denizen.tasks.tools.liquidation_price import LIQUIDATION_PRICE_TOOLS, PROTOCOLS

WETH = ("10 WETH", "3,000 USDC per WETH", "80%")
WBTC = ("0.5 WBTC", "60,000 USDC/WBTC", "70%")
LINK = ("2k LINK", "12.5 USDC per LINK", "65%")


def near(found: str, exact: Fraction, tolerance: str = "1e-9") -> bool:
    return abs(Fraction(found) - exact) <= exact * Fraction(tolerance)


def test_health_factor_of_one_collateral() -> None:
    """10 x 3000 x 0.8 / 15000, however the debt is stated."""
    exact = Fraction(24_000, 15_000)
    found = lending.health1(*map(q, (*WETH, "15,000 USDC")))
    assert found.number == Decimal("1.6") and near(found.values["health_factor"], exact)
    dollars = lending.health_usd(*map(q, ("10 WETH", "$3,000", "80%", "$15k")))
    priced = lending.health_debt(*map(q, (*WETH, "0.25 WBTC", "60,000 USDC per WBTC")))
    assert found.values == dollars.values == priced.values
    assert "health factor 1.6" in found.text and not found.text.startswith("liquidatable")
    assert lending.health1(*map(q, (*WETH, "24,001 USDC"))).text.startswith("liquidatable")
    assert lending.health1(*map(q, (*WETH, "24,000 USDC"))).number == 1


def test_health_factor_in_a_token_that_is_no_dollar() -> None:
    found = lending.health1(*map(q, ("100 wstETH", "1.2 ETH per wstETH", "93%", "100 ETH")))
    assert near(found.values["health_factor"], Fraction(12 * 93, 1000))


def test_several_collaterals_weigh_thresholds_by_worth() -> None:
    """The average threshold is cut to whole basis points, as Aave does."""
    debt = "30,000 USDC"
    found = lending.health2(*map(q, (*WETH, *WBTC, debt)))
    assert near(found.values["health_factor"], Fraction(24_000 + 21_000, 30_000))
    assert found.values == lending.health2(*map(q, (*WBTC, *WETH, debt))).values
    three = lending.health3(*map(q, (*WETH, *WBTC, *LINK, "$30,000")))
    worth = 30_000 + 30_000 + 25_000
    weighted = Fraction(24_000 + 21_000 + 16_250)
    cut = Fraction(int(weighted / worth * 10_000), 10_000) * worth / 30_000
    assert near(three.values["health_factor"], cut, "1e-15")
    assert cut < weighted / 30_000
    swapped = lending.health2(*map(q, (*WETH[:2], "70%", *WBTC[:2], "60%", debt)))
    assert swapped.values != found.values


def test_borrowing_power() -> None:
    found = lending.borrow_power(*map(q, ("10 WETH", "3,000 USDC per WETH", "77.5%")))
    assert found.number == 23_250 and found.unit == "USDC"
    left = lending.borrow_left(
        *map(q, ("10 WETH", "3,000 USDC per WETH", "77.5%", "20,000.5 USDC"))
    )
    assert left.number == Decimal("3249.5") and left.values["token"] == "USDC"
    over = lending.borrow_left(*map(q, ("10 WETH", "3,000 USDC per WETH", "77.5%", "24k USDC")))
    assert over.number == 0


@pytest.mark.parametrize(
    ("tool", "values"),
    [
        (lending.health1, (*WBTC[:1], WETH[1], "80%", "15,000 USDC")),  # price of another token
        (lending.health1, ("15,000 USDC", WETH[1], "80%", "10 WETH")),  # debt and collateral
        (lending.health1, (*WETH, "15,000 DAI")),
        (lending.health1, (*WETH, "0 USDC")),
        (lending.health1, ("10 WETH", WETH[1], "80.555%", "1,000 USDC")),
        (lending.health1, ("10 WETH", WETH[1], "120%", "1,000 USDC")),
        (lending.health1, ("10 WETH", "3000.123456789 USDC per WETH", "80%", "1,000 USDC")),
        (lending.health1, ("10 WETH", "1 WETH per WETH", "80%", "1 WETH")),
        (lending.health1, ("-10 WETH", WETH[1], "80%", "1,000 USDC")),
        (lending.health1, (*WETH, "1000.1234567 USDC")),
        (lending.health2, ("10 WETH", WBTC[1], "80%", "0.5 WBTC", WETH[1], "70%", "1k USDC")),
        (lending.health2, (*WETH, "0.5 WBTC", "60,000 USDT per WBTC", "70%", "1k USDC")),
        (lending.health2, (*WETH, "3 WETH", "3,100 USDC per WETH", "70%", "1k USDC")),
        (lending.health_debt, (*WETH, "2 WETH", "3,100 USDC per WETH")),
        (lending.health_debt, (*WETH, "2 WBTC", "60,000 USDT per WBTC")),
        (lending.borrow_power, ("10 LINK", WETH[1], "70%")),
    ],
)
def test_incoherent_accounts_are_refused(tool: object, values: tuple[str, ...]) -> None:
    with pytest.raises(ValueError):
        tool(*map(q, values))  # type: ignore[operator]


def test_dollar_debt_needs_dollar_prices() -> None:
    legs = [
        (a, p.replace("USDC", "ETH"), t) for a, p, t in (WBTC, LINK, ("9 UNI", "1 USDC/UNI", "6%"))
    ]
    with pytest.raises(ToolError, match="dollars"):
        lending.health3(*map(q, (*legs[0], *legs[1], *legs[2], "$1,000")))


@pytest.mark.parametrize(
    ("protocol", "factor", "exact"),
    [
        ("aave v3", "80%", Fraction(12_000) / 10 / Fraction(8, 10)),
        ("compound v3", "85%", Fraction(12_000) / 10 / Fraction(85, 100)),
        ("morpho blue", "91.5%", Fraction(12_000) / 10 / Fraction(915, 1000)),
        ("maker", "150%", Fraction(12_000) / 10 * Fraction(3, 2)),
    ],
)
def test_liquidation_price(protocol: str, factor: str, exact: Fraction) -> None:
    """Debt / amount / share on three protocols; debt / amount x ratio on Maker."""
    found = liquidation.liq_price(protocol, *map(q, ("10 WETH", factor, "12,000 DAI")))
    assert near(found.values["price"], exact) and found.unit == "DAI"
    assert found.values["token"] == "WETH" and found.values["protocol"] == protocol
    drop = liquidation.liq_drop(
        protocol, *map(q, ("10 WETH", "2,500 DAI per WETH", factor, "12,000 DAI"))
    )
    assert near(drop.values["drop"], 1 - exact / 2500, "1e-7") and drop.unit == "%"
    btc = liquidation.liq_price(protocol, *map(q, ("0.4 WBTC", factor, "12,000 DAI")))
    assert near(btc.values["price"], exact * 25, "1e-7")


def test_liquidation_price_is_where_health_is_one() -> None:
    for amount, share, debt in (
        ("3.7 WETH", "82.5%", "6,543 USDC"),
        ("9k LINK", "68%", "41k USDC"),
    ):
        price = liquidation.liq_price("aave v3", q(amount), q(share), q(debt)).number
        assert price is not None
        token = amount.split()[1]
        just = f"{price.quantize(Decimal('1e-8')):f} USDC per {token}"
        health = lending.health1(q(amount), q(just), q(share), q(debt)).number
        assert health is not None and abs(health - 1) < Decimal("1e-9")


def test_dollars_two_collaterals_and_a_short() -> None:
    dollars = liquidation.liq_usd(*map(q, ("10 WETH", "80%", "$12,000")))
    assert dollars.number == 1500 and dollars.unit == "USD" and "$1,500" in dollars.text
    two = liquidation.liq_price2(*map(q, ("10 WETH", "80%", *WBTC[:2], "70%", "30,000 USDC")))
    assert near(two.values["price"], Fraction(30_000 - 21_000) / 8)
    short = liquidation.short_price(*map(q, ("40,000 USDC", "78%", "8 WETH")))
    assert short.number == 3900 and short.values["token"] == "WETH" and short.unit == "USDC"


@pytest.mark.parametrize(
    ("tool", "values"),
    [
        ("liq_price", ("aave v3", "12,000 USDC", "80%", "10 WETH")),  # a short told as a long
        ("liq_price", ("aave v3", "10 WETH", "150%", "12,000 USDC")),  # a ratio for a share
        ("liq_price", ("compound v3", "10 WETH", "150%", "12,000 USDC")),
        ("liq_price", ("morpho blue", "10 WETH", "100%", "12,000 USDC")),
        ("liq_price", ("maker", "10 WETH", "66.7%", "12,000 DAI")),  # the ratio's inverse
        ("liq_price", ("maker", "10 WETH", "150%", "12,000 USDC")),
        ("liq_price", ("aave v3", "10 WETH", "80%", "2 WETH")),
        ("liq_price", ("aave v3", "10 WETH", "80%", "0 USDC")),
        ("liq_usd", ("12,000 USDC", "80%", "$1,000")),
        ("short_price", ("10 WETH", "80%", "12,000 USDC")),
        ("short_price", ("12,000 USDC", "80%", "9k USDT")),
        ("liq_price2", ("10 WETH", "80%", "0.5 WBTC", "3,000 USDC per WETH", "70%", "30k USDC")),
        ("liq_price2", ("10 WETH", "80%", *WBTC[:2], "70%", "20,000 USDC")),  # the other covers it
        ("liq_drop", ("aave v3", "10 WETH", "1,400 USDC per WETH", "80%", "12,000 USDC")),
        ("liq_drop", ("aave v3", "10 WETH", "60,000 USDC per WBTC", "80%", "12,000 USDC")),
        ("liq_drop", ("aave v3", "10 WETH", "2,500 USDT per WETH", "80%", "12,000 USDC")),
    ],
)
def test_impossible_loans_are_refused(tool: str, values: tuple[str, ...]) -> None:
    parsed = [v if v in PROTOCOLS else q(v) for v in values]
    with pytest.raises(ValueError):
        getattr(liquidation, tool)(*parsed)


def test_tools_say_what_they_return() -> None:
    found = liquidation.liq_price("maker", *map(q, ("10 WETH", "150%", "12,000 DAI")))
    tools = {tool.name: tool for tool in (*LENDING_TOOLS, *LIQUIDATION_PRICE_TOOLS)}
    assert set(found.values) == set(tools["liq_price"].returns)
    assert len({tool.draft for tool in tools.values()}) == len(tools) == 12
    assert all(len(tool.draft.split()) <= 5 for tool in tools.values())
