"""The v2 engine is the pair's equal, and the runner would see it if it were not."""

from __future__ import annotations

import pytest

from denizen.evm.certify import uniswap_v2 as certify
from denizen.protocols import uniswap_v2

pytestmark = pytest.mark.slow


def test_ten_thousand_moves_agree() -> None:
    outcome = certify.run(10_000, seed=3)
    assert outcome.ok, outcome.first_mismatches
    assert outcome.cases >= 10_000
    assert outcome.refused < outcome.cases * 3 // 10
    assert min(outcome.kinds.values()) > 300


def test_a_wrong_fee_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uniswap_v2, "FEE_NUMERATOR", 996)
    assert certify.run(500, seed=1).mismatches


def test_a_forgotten_protocol_fee_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uniswap_v2.Pair, "_fee_shares", lambda _: 0)
    assert certify.run(1500, seed=1).mismatches


def test_a_wider_reserve_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uniswap_v2, "MAX_UINT112", 1 << 112)
    assert certify.run(5000, seed=1).mismatches
