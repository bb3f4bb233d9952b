"""ERC-4626 beside OpenZeppelin's compiled vault, and that a wrong engine is caught."""

from __future__ import annotations

from typing import Any

import pytest

from denizen.evm.certify import erc4626
from denizen.protocols import erc4626 as engine

pytestmark = pytest.mark.slow


def test_the_engine_is_the_contract_to_the_unit() -> None:
    outcome = erc4626.run(10_000, 1)
    assert outcome.ok, outcome.first_mismatches
    assert outcome.cases == 10_000
    assert len(outcome.kinds) == 12 and min(outcome.kinds.values()) >= 300
    assert 300 < outcome.refused < 3_000
    assert [contract.version for contract in outcome.contracts] == ["5.7.0"] * 3


def test_a_seed_is_a_run() -> None:
    first, second = (erc4626.run(500, 7) for _ in range(2))
    assert first.kinds == second.kinds and first.refused == second.refused


def _rounded_down(self: engine.VaultState, shares: int) -> int:
    return self.convert_to_assets(shares)


def _wrong(value: Any) -> Any:
    return lambda *_: value


@pytest.mark.parametrize(
    ("owner", "name", "wrong"),
    [
        (engine.VaultState, "preview_mint", _rounded_down),
        (engine.VaultState, "preview_redeem", lambda s, shares: s._to_assets(shares, True)),
        (engine.VaultState, "_exchange", lambda s: (s.total_supply + 1, s.total_assets + 1)),
        (engine, "fee_within", lambda total, rate: total * rate // (10_000 + rate)),
        (engine, "fee_on_top", lambda net, rate: net * rate // 10_000),
        (engine, "_amount", lambda *values: values[0]),
        (engine.Vault, "donate", _wrong(None)),
        (engine.Vault, "max_withdraw", _wrong(0)),
    ],
)
def test_a_wrong_engine_is_caught(
    monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, wrong: Any
) -> None:
    monkeypatch.setattr(owner, name, wrong)
    assert erc4626.run(10_000, 3).mismatches > 0
