"""Aave v3 by hand and by property: accounts, interest owed, caps and modes, liquidations."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from denizen.protocols import MathError, aave_v3
from denizen.protocols.aave_math import RAY, WAD
from denizen.protocols.aave_v3 import (
    EModeCategory,
    Holding,
    Market,
    RateStrategy,
    Reserve,
    ReserveConfig,
)

DAY = 86_400
START = 1_700_000_000
PERCENT = RAY // 100
DOLLAR = 10**8
STRATEGY = RateStrategy(80 * PERCENT, 0, 4 * PERCENT, 60 * PERCENT)
UINT256 = 2**256 - 1


def half_up(value: Fraction) -> int:
    return (value + Fraction(1, 2)).__floor__()


def market(**changes: ReserveConfig) -> Market:
    """WETH at $2,000 and USDC and DAI at $1, nobody in them."""
    configs = {
        "WETH": ReserveConfig(18, 8000, 8250, 10_500, 1000, 1000),
        "USDC": ReserveConfig(6, 7700, 8000, 10_450, 1000),
        "DAI": ReserveConfig(18, 7500, 7800, 10_400, 1000),
        **changes,
    }
    prices = {"WETH": 2000 * DOLLAR, "USDC": DOLLAR, "DAI": DOLLAR}
    reserves = {name: Reserve(config, STRATEGY) for name, config in configs.items()}
    return Market(START, reserves, prices)


def funded(base: Market) -> Market:
    """A lender's 100,000 USDC and DAI, and alice's 10 WETH."""
    base = aave_v3.supply(base, "lender", "USDC", 100_000 * 10**6)
    base = aave_v3.supply(base, "lender", "DAI", 100_000 * 10**18)
    return aave_v3.supply(base, "alice", "WETH", 10 * 10**18)


def test_an_account_by_hand() -> None:
    held = aave_v3.borrow(funded(market()), "alice", "USDC", 8000 * 10**6)
    data = held.account("alice")
    assert data.total_collateral_base == 20_000 * DOLLAR
    assert data.total_debt_base == 8000 * DOLLAR
    assert data.available_borrows_base == 8000 * DOLLAR
    assert (data.ltv, data.current_liquidation_threshold) == (8000, 8250)
    # 20,000 x 0.825 / 8,000
    assert data.health_factor == WAD * 20625 // 10_000
    assert held.account("nobody").health_factor == UINT256
    # With DAI the thresholds are averaged by value and cut to whole basis points.
    both = aave_v3.supply(held, "alice", "DAI", 10_000 * 10**18).account("alice")
    assert both.current_liquidation_threshold == (20_000 * 8250 + 10_000 * 7800) // 30_000
    assert both.ltv == (20_000 * 8000 + 10_000 * 7500) // 30_000


def test_interest_is_owed_earned_and_taxed() -> None:
    held = aave_v3.borrow(funded(market()), "alice", "USDC", 16_000 * 10**6)
    before = held.reserve("USDC")
    later = held.at(START + 365 * DAY)
    # 16% used of 80%: 0.8% a year.  The cube of so small a rate per second is no whole ray, and the
    # contract loses it: 1 + x + x^2 / 2 is all that is left of the exponential.
    owed = later.debt("alice", "USDC")
    assert owed == 16_000 * 10**6 * 1_008_032 // 10**6
    earned = later.supplied("lender", "USDC") - 100_000 * 10**6
    assert earned == 100_000 * 10**6 * before.liquidity_rate // RAY
    paid = aave_v3.repay(later, "alice", "USDC", None)
    assert paid.debt("alice", "USDC") == 0 and not paid.borrowed_assets("alice")
    share = later.fresh("USDC").accrued_to_treasury * later.fresh("USDC").liquidity_index // RAY
    assert abs(share - (owed - 16_000 * 10**6) // 10) <= 1
    minted = aave_v3.mint_to_treasury(paid, "USDC")
    assert abs(minted.supplied(aave_v3.TREASURY, "USDC") - share) <= 1
    # What lenders and treasury may claim is what lies there, but for rounding and compounding.
    spare = minted.reserve("USDC").available - (100_000 * 10**6 + earned + share)
    assert 0 <= spare < owed // 10_000


@given(st.integers(1, 16_000 * 10**6), st.integers(0, 5 * 365 * DAY))
def test_a_round_trip_never_pays(amount: int, elapsed: int) -> None:
    held = aave_v3.borrow(funded(market()), "alice", "USDC", amount).at(START + elapsed)
    assert held.debt("alice", "USDC") >= amount
    assert held.supplied("lender", "USDC") >= 100_000 * 10**6
    back = aave_v3.repay(held, "alice", "USDC", None)
    back = aave_v3.withdraw(back, "alice", "WETH", None)
    assert back.position("alice", "WETH").scaled_supply == 0
    assert not back.position("alice", "WETH").collateral


def test_borrowing_stops_at_ltv_and_liquidity() -> None:
    held = funded(market())
    with pytest.raises(MathError, match="does not cover"):
        aave_v3.borrow(held, "alice", "USDC", 16_001 * 10**6)
    most = aave_v3.borrow(held, "alice", "USDC", 16_000 * 10**6)
    assert most.account("alice").available_borrows_base == 0
    with pytest.raises(MathError, match="health factor"):
        aave_v3.withdraw(most, "alice", "WETH", 10**18)
    rich = aave_v3.supply(held, "alice", "WETH", 1000 * 10**18)
    with pytest.raises(MathError, match="holds"):
        aave_v3.borrow(rich, "alice", "USDC", 100_001 * 10**6)
    with pytest.raises(MathError, match="no collateral"):
        aave_v3.borrow(held, "nobody", "USDC", 1)
    with pytest.raises(MathError, match="not listed"):
        aave_v3.supply(held, "alice", "WBTC", 1)


def test_caps_and_switches() -> None:
    capped = ReserveConfig(6, 7700, 8000, 10_450, supply_cap=100_000, borrow_cap=5000)
    held = funded(market(USDC=capped))
    with pytest.raises(MathError, match="supply cap"):
        aave_v3.supply(held, "lender", "USDC", 1)
    held = aave_v3.borrow(held, "alice", "USDC", 5000 * 10**6)
    with pytest.raises(MathError, match="borrow cap"):
        aave_v3.borrow(held, "alice", "USDC", 1)
    for switch in ("frozen", "paused"):
        shut = replace(held.reserve("USDC"), config=replace(capped, **{switch: True}))
        closed = held.with_reserve("USDC", shut)
        with pytest.raises(MathError, match="closed"):
            aave_v3.supply(closed, "alice", "USDC", 1)
    with pytest.raises(MathError, match="closed"):
        aave_v3.repay(closed, "alice", "USDC", 1)


def test_isolation_mode() -> None:
    isolated = ReserveConfig(18, 7000, 7500, 10_500, debt_ceiling=500_000)
    allowed = ReserveConfig(6, 7700, 8000, 10_450, borrowable_in_isolation=True)
    held = funded(market(WETH=isolated, USDC=allowed))
    # An isolated asset is never switched on by itself.
    assert not held.position("alice", "WETH").collateral
    held = aave_v3.set_use_as_collateral(held, "alice", "WETH", True)
    assert held.isolation_collateral("alice") == "WETH"
    with pytest.raises(MathError, match="isolation"):
        aave_v3.borrow(held, "alice", "DAI", 10**18)
    held = aave_v3.borrow(held, "alice", "USDC", 5000 * 10**6)
    assert held.reserve("WETH").isolation_debt == 500_000
    with pytest.raises(MathError, match="debt ceiling"):
        aave_v3.borrow(held, "alice", "USDC", 10**4)
    # Less than a cent slips under the ceiling, as it does in the contract.
    assert aave_v3.borrow(held, "alice", "USDC", 9999).debt("alice", "USDC") > 5000 * 10**6
    held = aave_v3.repay(held, "alice", "USDC", 1000 * 10**6)
    assert held.reserve("WETH").isolation_debt == 400_000
    # Another asset adds nothing while the user is isolated.
    held = aave_v3.supply(held, "alice", "DAI", 10**18)
    assert not held.position("alice", "DAI").collateral


def test_siloed_borrowing() -> None:
    siloed = ReserveConfig(18, 7500, 7800, 10_400, siloed_borrowing=True)
    held = funded(market(DAI=siloed))
    first = aave_v3.borrow(held, "alice", "DAI", 10**18)
    assert aave_v3.borrow(first, "alice", "DAI", 10**18).debt("alice", "DAI") == 2 * 10**18
    for start, other in (
        (first, "USDC"),
        (aave_v3.borrow(held, "alice", "USDC", 10**6), "DAI"),
    ):
        with pytest.raises(MathError, match="siloed"):
            aave_v3.borrow(start, "alice", other, 10**6)


def test_e_mode_changes_terms_and_price() -> None:
    stables = {
        "USDC": ReserveConfig(6, 7700, 8000, 10_450, e_mode_category=1),
        "DAI": ReserveConfig(18, 7500, 7800, 10_400, e_mode_category=1),
    }
    held = replace(market(**stables), e_modes={1: EModeCategory(9700, 9750, 10_100, 101 * 10**6)})
    held = aave_v3.supply(funded(held), "bob", "DAI", 1000 * 10**18)
    with pytest.raises(MathError, match="no e-mode"):
        aave_v3.set_e_mode(held, "bob", 2)
    held = aave_v3.set_e_mode(held, "bob", 1)
    data = held.account("bob")
    assert (data.ltv, data.current_liquidation_threshold) == (9700, 9750)
    # The category's own price of $1.01 counts, for debts as well.
    assert data.total_collateral_base == 1010 * DOLLAR
    held = aave_v3.borrow(held, "bob", "USDC", 970 * 10**6)
    with pytest.raises(MathError, match="outside the e-mode"):
        aave_v3.borrow(held, "bob", "WETH", 10**12)
    with pytest.raises(MathError, match="health factor"):
        aave_v3.set_e_mode(held, "bob", 0)
    eth = aave_v3.borrow(funded(held), "alice", "WETH", 10**15)
    with pytest.raises(MathError, match="outside e-mode"):
        aave_v3.set_e_mode(eth, "alice", 1)


def test_a_liquidation_by_hand() -> None:
    held = aave_v3.borrow(funded(market()), "alice", "USDC", 16_000 * 10**6)
    with pytest.raises(MathError, match="1 or more"):
        aave_v3.liquidation(held, "alice", "WETH", "USDC", 10**9)
    # At $1,900 the health factor is 19,000 x 0.825 / 16,000 = 0.98: half may be repaid.
    fallen = held.priced({"WETH": 1900 * DOLLAR})
    call = aave_v3.liquidation(fallen, "alice", "WETH", "USDC", UINT256)
    assert call.debt == 8000 * 10**6
    # 8,000 / 1,900 WETH and 5% on top; a tenth of that bonus goes to the treasury.
    base = 8000 * 10**18 // 1900
    assert call.collateral + call.protocol_fee == (base * 10_500 + 5000) // 10_000
    assert abs(call.protocol_fee - base * 5 // 1000) <= 1
    done = aave_v3.liquidate(fallen, "keeper", "alice", "WETH", "USDC", UINT256)
    assert done.debt("alice", "USDC") == 8000 * 10**6
    assert done.supplied("alice", "WETH") == 10**19 - call.collateral - call.protocol_fee
    assert done.reserve("WETH").available == 10**19 - call.collateral
    assert done.supplied(aave_v3.TREASURY, "WETH") == call.protocol_fee
    kept = aave_v3.liquidate(
        fallen, "keeper", "alice", "WETH", "USDC", UINT256, receive_a_token=True
    )
    assert kept.supplied("keeper", "WETH") == call.collateral
    assert kept.position("keeper", "WETH").collateral
    # At $1,500 it is 0.77: all of it, and the collateral no longer suffices for 5% more.
    crashed = held.priced({"WETH": 1500 * DOLLAR})
    call = aave_v3.liquidation(crashed, "alice", "WETH", "USDC", UINT256)
    assert call.collateral + call.protocol_fee == 10**19
    assert call.debt == half_up(Fraction(15_000 * 10**6 * 10_000, 10_500))
    bad = aave_v3.liquidate(crashed, "keeper", "alice", "WETH", "USDC", UINT256)
    assert bad.account("alice").total_collateral_base == 0
    assert bad.debt("alice", "USDC") == 16_000 * 10**6 - call.debt


def test_close_factor_turns_at_0_95() -> None:
    assert aave_v3.close_factor(WAD * 95 // 100) == 10_000
    assert aave_v3.close_factor(WAD * 95 // 100 + 1) == 5000


def test_impossible_parameters_are_refused() -> None:
    for refused in (
        lambda: ReserveConfig(18, 8000, 7000, 10_500),
        lambda: ReserveConfig(18, 7000, 8000, 500),
        lambda: ReserveConfig(18, reserve_factor=10_001),
        lambda: EModeCategory(0, 9000, 10_100),
        lambda: EModeCategory(9000, 9500, 100),
        lambda: RateStrategy(RAY + 1, 0, 0, 0),
        lambda: aave_v3.account_data([Holding(1, 0, 0, 18, 0, 0)]),
        lambda: aave_v3.account_data([Holding(-1, 0, 1, 18, 0, 0)]),
        lambda: market().at(START - 1),
        lambda: market().priced({"WETH": 0}).price("WETH"),
    ):
        with pytest.raises(MathError):
            refused()
