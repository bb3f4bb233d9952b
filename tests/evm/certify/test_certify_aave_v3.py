"""Aave v3 beside its deployed bytecode, and that wrong engines are caught."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from denizen.evm.certify import aave_v3
from denizen.evm.worlds import aave_views
from denizen.protocols import (
    MathError,
    aave_math,
    aave_v3_account,
    aave_v3_liquidation,
    aave_v3_reserve,
    aave_v3_stable,
)
from denizen.protocols.aave_math import RAY

pytestmark = pytest.mark.slow


def test_the_engine_is_the_market_to_the_unit() -> None:
    counted: list[int] = []
    outcome = aave_v3.run(10_000, 20, counted.append)
    assert outcome.ok, outcome.first_mismatches
    assert outcome.cases >= 10_000 and sum(counted) == outcome.cases
    # Every kind of action happened, and most of them were let through.
    assert len(outcome.kinds) == 16 and min(outcome.kinds.values()) >= 5
    assert 0 < outcome.refused < outcome.cases // 5
    names = {contract.name for contract in outcome.contracts}
    assert {"Pool", "LiquidationLogic", "VariableDebtToken"} <= names


def test_a_seed_replays() -> None:
    first, again = (aave_v3.run(400, 3) for _ in range(2))
    assert (first.kinds, first.refused) == (again.kinds, again.refused)
    assert aave_v3.run(400, 4).kinds != first.kinds


def rounded_down(value: int, percentage: int) -> int:
    return value * percentage // 10_000


WRONG: dict[str, tuple[Any, str, Callable[..., Any] | int]] = {
    "percentages round down": (aave_v3_account, "percent_mul", rounded_down),
    "debt grows linearly": (
        aave_v3_reserve,
        "calculate_compounded_interest",
        aave_math.calculate_linear_interest,
    ),
    "indices round down": (aave_v3_reserve, "ray_mul", lambda a, b: a * b // RAY),
    "close factor turns at 0.96": (
        aave_v3_liquidation,
        "CLOSE_FACTOR_HF_THRESHOLD",
        96 * 10**16,
    ),
    "isolated debt stays": (
        aave_v3_liquidation,
        "release_isolated_debt",
        lambda market, *_: market,
    ),
    "stable averages round down": (aave_v3_stable, "ray_div", lambda a, b: a * RAY // b),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_engine_is_caught(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, name, value = WRONG[wrong]
    monkeypatch.setattr(module, name, value)
    outcome = aave_v3.run(4000, 20)
    assert outcome.mismatches > 0
    assert outcome.first_mismatches[0].count("seed 20 episode") == 1


def test_what_cannot_be_read_is_no_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(*_: object) -> None:
        raise MathError("overflow")

    monkeypatch.setattr(aave_views, "reserve_data", unreadable)
    with pytest.raises(MathError, match="overflow"):
        aave_v3.run(50, seed=1)
