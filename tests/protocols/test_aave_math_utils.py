"""Accounts against @aave/math-utils 1.38.0 (MIT), Aave's own front-end library, in node.

The library cuts the rate to a second before it takes powers, where the contract cuts the powers:
debts agree to a millionth.  Deposits agree to 1e-9, rays exactly, and totals but for raw units and
whole basis points, which the library's totals do not cut.
"""

from __future__ import annotations

import json
import random
import subprocess
from decimal import Decimal
from typing import Any

import pytest
from tests.graders.node import installed

from denizen.protocols import aave_math
from denizen.protocols.aave_math import RAY, WAD
from denizen.protocols.aave_v3 import (
    EModeCategory,
    Market,
    Position,
    RateStrategy,
    Reserve,
    ReserveConfig,
    User,
)

NOW = 1_760_000_000
E_MODE = EModeCategory(9500, 9700, 10_100)


def graded(asked: list[dict[str, Any]]) -> list[dict[str, Any]]:
    done = subprocess.run(
        ["node", "grade.cjs"],
        cwd=installed("aave_math_utils", "grade.cjs"),
        input="".join(json.dumps(line) + "\n" for line in asked),
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(asked)
    return answers


def drawn(draw: random.Random) -> Market:
    """One user in up to six reserves of which some are in an e-mode, not touched for a while."""
    reserves, prices, positions = {}, {}, {}
    for number in range(draw.randint(1, 6)):
        name, decimals = f"asset {number}", draw.choice((6, 8, 18))
        threshold = draw.randint(3000, 9000)
        ltv = draw.randint(1000, threshold)
        reserves[name] = Reserve(
            ReserveConfig(decimals, ltv, threshold, 10_500, e_mode_category=draw.choice((0, 1))),
            RateStrategy(RAY // 2, 0, 0, 0),
            liquidity_index=draw.randint(RAY, 2 * RAY),
            variable_borrow_index=draw.randint(RAY, 2 * RAY),
            liquidity_rate=draw.randint(0, RAY // 5),
            variable_borrow_rate=draw.randint(0, RAY // 4),
            last_update=NOW - draw.choice((0, 1, 2, 60, 86_400, 10**7)),
        )
        prices[name] = draw.randint(1, 10**5) * 10**6
        whole = 10 ** draw.randint(3, 6) * 10**decimals
        positions[name] = Position(
            scaled_supply=draw.randint(0, whole) if draw.random() < 0.8 else 0,
            scaled_variable_debt=draw.randint(0, whole // 3) if draw.random() < 0.6 else 0,
            collateral=draw.random() < 0.8,
            borrowing=True,
        )
    users = {"user": User(draw.choice((0, 1)), positions)}
    return Market(NOW, reserves, prices, {1: E_MODE}, users)


def asked(market: Market) -> dict[str, Any]:
    """The account as the library's own records."""
    category = {"ltv": str(E_MODE.ltv), "liquidationThreshold": str(E_MODE.liquidation_threshold)}
    modes = [{"id": 1, "collateralEnabled": True, "ltvzeroEnabled": False, "eMode": category}]
    records = []
    for name, reserve in market.reserves.items():
        position, config = market.position("user", name), reserve.config
        records.append(
            {
                "scaledATokenBalance": str(position.scaled_supply),
                "scaledVariableDebt": str(position.scaled_variable_debt),
                "usageAsCollateralEnabledOnUser": position.collateral,
                "reserve": {
                    "priceInMarketReferenceCurrency": str(market.prices[name]),
                    "decimals": config.decimals,
                    "liquidityIndex": str(reserve.liquidity_index),
                    "liquidityRate": str(reserve.liquidity_rate),
                    "variableBorrowIndex": str(reserve.variable_borrow_index),
                    "variableBorrowRate": str(reserve.variable_borrow_rate),
                    "lastUpdateTimestamp": reserve.last_update,
                    "baseLTVasCollateral": str(config.ltv),
                    "reserveLiquidationThreshold": str(config.liquidation_threshold),
                    "debtCeiling": "0",
                    "eModes": modes if config.e_mode_category else [],
                },
            }
        )
    return {"now": NOW, "eMode": market.user("user").e_mode, "reserves": records}


def near(ours: int, theirs: Any, units: int, part: str) -> bool:
    """Equal to a part and some units of rounding."""
    return abs(ours - Decimal(theirs)) <= units + Decimal(theirs) * Decimal(part)


@pytest.mark.slow
def test_accounts_are_what_the_front_end_shows() -> None:
    draw = random.Random(8)
    markets = [drawn(draw) for _ in range(400)]
    unhealthy = 0
    for market, theirs in zip(markets, graded([asked(m) for m in markets]), strict=True):
        data, names = market.account("user"), list(market.reserves)
        for place, name in enumerate(names):
            assert near(market.supplied("user", name), theirs["supplied"][place], 1, "1e-9")
            assert near(market.debt("user", name), theirs["debts"][place], 1, "1e-6")
        # A raw unit of six decimals at $100,000 is ten million units of base currency.
        units = 10**7 * len(names)
        assert near(data.total_collateral_base, theirs["collateral"], units, "1e-9")
        assert near(data.total_debt_base, theirs["debt"], units, "1e-6")
        assert abs(data.ltv - Decimal(theirs["ltv"])) <= 1
        assert abs(data.current_liquidation_threshold - Decimal(theirs["threshold"])) <= 1
        basis_point = (
            data.total_collateral_base // 10_000 + 2 * units + data.total_debt_base // 10**6
        )
        assert abs(data.available_borrows_base - Decimal(theirs["available"])) <= basis_point
        if data.total_debt_base > 10**6 * units:
            shown = Decimal(theirs["healthFactor"])
            # One basis point of threshold, and the millionth that the units make.
            slack = Decimal(data.total_collateral_base) / data.total_debt_base / 10_000
            assert abs(Decimal(data.health_factor) / WAD - shown) <= slack + Decimal("1e-5")
            unhealthy += shown < 1
    assert 50 < unhealthy < 350


@pytest.mark.slow
def test_rays_are_theirs_exactly() -> None:
    draw = random.Random(9)
    cases = []
    for _ in range(400):
        a, b = (draw.getrandbits(draw.choice((20, 90, 120))) + 1 for _ in range(2))
        cases.append((draw.choice(("rayMul", "rayDiv")), a, b))
    ours = {"rayMul": aave_math.ray_mul, "rayDiv": aave_math.ray_div}
    answers = graded([{"ray": [name, str(a), str(b)]} for name, a, b in cases])
    for (name, a, b), answer in zip(cases, answers, strict=True):
        assert int(answer["ray"]) == ours[name](a, b), (name, a, b)
