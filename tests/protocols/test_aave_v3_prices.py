"""Prices at which an Aave v3 account can be liquidated: by hand, and against every price in turn."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from denizen.protocols import MathError, aave_v3
from denizen.protocols.aave_math import WAD
from denizen.protocols.aave_v3 import Holding

DOLLAR = 10**8


def test_liquidation_price_by_hand() -> None:
    weth = Holding(10 * 10**18, 0, 2000 * DOLLAR, 18, 8000, 8250)
    usdc = Holding(0, 12_000 * 10**6, DOLLAR, 6, 7700, 8000)
    wbtc = Holding(10**7, 0, 40_000 * DOLLAR, 8, 7000, 7500)
    # 10 x price x 0.825 = 12,000
    price = aave_v3.liquidation_price([weth, usdc], 0)
    assert abs(price - Decimal(12_000 * DOLLAR) / Decimal("8.25")) < Decimal("1e-9")
    # 10 x price x 0.825 + 4,000 x 0.75 = 12,000
    price = aave_v3.liquidation_price([weth, usdc, wbtc], 0)
    assert abs(price - Decimal(9000 * DOLLAR) / Decimal("8.25")) < Decimal("1e-9")
    # 20,000 x 0.825 = 12,000 x price
    assert aave_v3.liquidation_price([weth, usdc], 1) == Decimal("1.375") * DOLLAR
    assert aave_v3.highest_safe_price([weth, usdc], 1) == 137_500_000
    with pytest.raises(MathError, match="no positive price"):
        aave_v3.liquidation_price([weth, usdc._replace(debt=100), wbtc], 0)
    with pytest.raises(MathError, match="no fall"):
        aave_v3.lowest_safe_price([weth, usdc._replace(debt=100), wbtc], 0)
    with pytest.raises(MathError, match="already"):
        aave_v3.lowest_safe_price([weth._replace(price=DOLLAR), usdc], 0)
    with pytest.raises(MathError, match="be collateral"):
        aave_v3.lowest_safe_price([weth, usdc], 1)
    with pytest.raises(MathError, match="be owed"):
        aave_v3.highest_safe_price([weth, usdc], 0)


thresholds = st.integers(1, 10_000)


@given(st.integers(1, 500), st.integers(0, 10**4), st.integers(1, 10**4), thresholds, thresholds)
def test_the_lowest_safe_price_is_the_first_met(
    price: int, other: int, debt: int, own: int, others: int
) -> None:
    """Against every price in turn, with amounts so small that each rounding shows."""
    moved = Holding(37, 0, price, 0, 0, own)
    holdings = [moved, Holding(other, 0, 1, 0, 0, others), Holding(0, debt, 1, 0, 0, 0)]

    def safe(at: int) -> bool:
        changed = [moved._replace(price=at), *holdings[1:]]
        return aave_v3.account_data(changed).health_factor >= WAD

    unsafe = [at for at in range(1, price + 1) if not safe(at)]
    if not unsafe or not safe(price):
        with pytest.raises(MathError):
            aave_v3.lowest_safe_price(holdings, 0)
    else:
        assert aave_v3.lowest_safe_price(holdings, 0) == max(unsafe) + 1
