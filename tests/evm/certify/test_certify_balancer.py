"""Balancer's weighted pool beside its deployed bytecode, and that a wrong engine is caught."""

from __future__ import annotations

import pytest

from denizen.evm.certify import balancer
from denizen.protocols import balancer_math, balancer_weighted

pytestmark = pytest.mark.slow


def test_the_engine_is_the_contract_to_the_unit() -> None:
    outcome = balancer.run(1500, 5)
    assert outcome.ok, outcome.first_mismatches
    assert outcome.cases == 1500 and outcome.seed == 5
    assert len(outcome.kinds) == 9 and min(outcome.kinds.values()) >= 30
    # Both sides refuse some draws (past 30%, past a third, dust), but not many.
    assert 0 < outcome.refused < 500
    assert {contract.name for contract in outcome.contracts} >= {"Vault", "WeightedPool"}


def test_one_unit_of_rounding_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(balancer_weighted, "mul_up", balancer_math.mul_down)
    assert balancer.run(200, 5).mismatches > 0
