"""Liquidation tools against the protocols' published rules in exact fractions."""

from __future__ import annotations

from fractions import Fraction

import pytest

from denizen.tasks.catalogue import Result
from denizen.tasks.quantities import parse_quantity as q
from denizen.tasks.tools import collateral_sales, liquidation
from denizen.tasks.tools.liquidation import LIQUIDATION_TOOLS

PRICE = "2,500 USDC per WETH"


def close(found: str, exact: Fraction, units: int = 1) -> bool:
    """Within some of the token's smallest units."""
    return abs(int(found) - exact) <= units


@pytest.mark.parametrize(
    ("health", "share"), [("0.999", 2), ("0.951", 2), ("0.9500001", 2), ("0.95", 1), ("0.7", 1)]
)
def test_close_factor(health: str, share: int) -> None:
    """Half the debt above a health factor of 0.95, all of it up to there."""
    found = liquidation.aave_close(q("10,001 USDC"), q(health))
    assert found.values["repaid"] == str(10_001_000_000 // share)
    assert found.values["share"] == f"{100 // share}%"
    most = liquidation.aave_most(q("10k USDC"), q(health), q(PRICE), q("5%"))
    assert close(most.values["collateral"], Fraction(4 * 105, 100) / share * 10**18)


def test_bonus_is_of_the_collateral_and_the_fee_of_the_bonus() -> None:
    """10,000 at 2,500 is 4 WETH; 5% on top is 4.2; a tenth of the 0.2 goes to the protocol."""
    args = q("10,000 USDC"), q(PRICE), q("5%")
    seized = liquidation.aave_seize(*args)
    assert seized.values == {"collateral": str(42 * 10**17), "token": "WETH"}
    net = liquidation.aave_net(*args, q("10%"))
    assert net.values["collateral"] == str(418 * 10**16)
    assert net.values["fee"] == str(2 * 10**16) and net.text.endswith("liquidator 4.18 WETH")


def test_repayment_is_cut_to_the_collateral() -> None:
    """2 WETH are worth 5,000, which pays for 5,000 / 1.05 of debt."""
    args = q("2 WETH"), q(PRICE), q("5%")
    found = liquidation.aave_capped(q("10,000 USDC"), *args)
    assert close(found.values["repaid"], Fraction(5_000) / Fraction(105, 100) * 10**6)
    assert found.values["collateral"] == str(2 * 10**18)
    enough = liquidation.aave_capped(q("1,000 USDC"), *args)
    assert enough.values["repaid"] == str(10**9)


def test_compound_absorb_and_store_front() -> None:
    """10 WETH at 2,500 credit 93% of 25,000; the shop passes on 60% of the 7% penalty."""
    absorb = collateral_sales.comet_absorb(*map(q, ("10 WETH", PRICE, "85%", "93%", "21,500 USDC")))
    assert absorb.values["balance"] == str((23_250 - 21_500) * 10**6)
    assert absorb.values["paid_out"] == str(23_250 * 10**6)
    bad = collateral_sales.comet_absorb(*map(q, ("10 WETH", PRICE, "85%", "93%", "24k USDC")))
    assert bad.values["balance"] == "0" and bad.values["paid_out"] == str(24_000 * 10**6)
    with pytest.raises(ValueError, match="not liquidatable"):
        collateral_sales.comet_absorb(*map(q, ("10 WETH", PRICE, "85%", "93%", "21k USDC")))
    bought = collateral_sales.comet_buy(*map(q, ("5,000 USDC", PRICE, "93%", "60%")))
    discounted = 2_500 * (1 - Fraction(60, 100) * Fraction(7, 100))
    assert close(bought.values["collateral"], 5_000 / discounted * 10**18)


@pytest.mark.parametrize(
    ("lltv", "factor"),
    [
        ("86%", 1 / (1 - Fraction(3, 10) * Fraction(14, 100))),
        ("94.5%", 1 / (1 - Fraction(3, 10) * Fraction(55, 1000))),
        ("38.5%", Fraction(115, 100)),  # the cap
    ],
)
def test_morpho_incentive(lltv: str, factor: Fraction) -> None:
    seized = collateral_sales.morpho_seize(q("10,000 USDC"), q(PRICE), q(lltv))
    assert abs(int(seized.values["seized"]) / (4 * factor * 10**18) - 1) < Fraction(1, 10**9)
    repaid = collateral_sales.morpho_repay(q("4 WETH"), q(PRICE), q(lltv))
    assert close(repaid.values["repaid"], 10_000 / factor * 10**6, 2)
    btc = collateral_sales.morpho_repay(q("0.5 WBTC"), q("60,000 DAI per WBTC"), q(lltv))
    assert close(btc.values["repaid"], 30_000 / factor * 10**18, 10**9)


def test_maker_penalty_and_what_returns() -> None:
    """20,000 and 13% are 22,600 to raise; at 2,000 that sells 11.3 of 15 WETH."""
    tab = collateral_sales.maker_tab(q("20,000 DAI"), q("13%"))
    assert tab.number == 22_600 and tab.unit == "DAI"
    left = collateral_sales.maker_left(
        *map(q, ("15 WETH", "2,000 DAI per WETH", "13%", "20,000 DAI"))
    )
    assert Fraction(left.values["returned"]) == Fraction("3.7")
    assert Fraction(left.values["sold"]) == Fraction("11.3")
    with pytest.raises(ValueError, match="does not raise"):
        collateral_sales.maker_left(*map(q, ("11 WETH", "2,000 DAI per WETH", "13%", "20,000 DAI")))


@pytest.mark.parametrize(
    ("tool", "values"),
    [
        (liquidation.aave_close, ("10k USDC", "1")),
        (liquidation.aave_close, ("10k USDC", "0")),
        (liquidation.aave_close, ("0 USDC", "0.9")),
        (liquidation.aave_seize, ("10k USDT", PRICE, "5%")),
        (liquidation.aave_seize, ("4 WETH", PRICE, "5%")),
        (liquidation.aave_seize, ("10k USDC", PRICE, "0%")),
        (liquidation.aave_capped, ("2 WETH", "10k USDC", PRICE, "5%")),
        (liquidation.aave_capped, ("10k USDC", "2 WBTC", PRICE, "5%")),
        (collateral_sales.comet_absorb, ("10 WETH", PRICE, "85%", "93%", "21,500 DAI")),
        (collateral_sales.comet_buy, ("5k USDC", PRICE, "93%", "160%")),
        (collateral_sales.morpho_seize, ("5k USDC", PRICE, "100%")),
        (collateral_sales.morpho_repay, ("5k USDC", PRICE, "86%")),
        (collateral_sales.maker_tab, ("5k USDC", "13%")),
        (collateral_sales.maker_left, ("9 WETH", PRICE, "13%", "1k USDC")),
    ],
)
def test_what_a_contract_would_refuse_is_refused(tool: object, values: tuple[str, ...]) -> None:
    with pytest.raises(ValueError):
        tool(*map(q, values))  # type: ignore[operator]


def test_headlines_are_told_in_their_own_unit_last() -> None:
    """The verifier reads the last figure of the headline's unit."""
    for found in (
        liquidation.aave_net(*map(q, ("10k USDC", PRICE, "5%", "10%"))),
        liquidation.aave_most(*map(q, ("10k USDC", "0.97", PRICE, "5%"))),
        liquidation.aave_capped(*map(q, ("10k USDC", "2 WETH", PRICE, "5%"))),
    ):
        assert isinstance(found, Result) and found.text.endswith(f" {found.unit}")
    assert len({tool.draft for tool in LIQUIDATION_TOOLS}) == len(LIQUIDATION_TOOLS) == 11
