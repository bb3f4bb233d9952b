"""The rules for pending signatures: thresholds, revocations, permits, baits; and their wording."""

from __future__ import annotations

from decimal import Decimal

import pytest
from eth_abi.abi import encode
from eth_hash.auto import keccak

from denizen.protocols.fixed_point import MathError
from denizen.tasks.signature_rules import (
    ALARMS,
    BAIT,
    PATTERNS,
    TRANSFER_OWNERSHIP,
    UNSAFE,
    allowance_pattern,
    call_name,
    call_pattern,
    raw_allowance_pattern,
)

ME, YOU = "0x" + "11" * 20, "0x" + "22" * 20
DETAILS, SIGNED = "(address,uint160,uint48,uint48)", [27, b"\1" * 32, b"\2" * 32]


def call(signature: str, types: list[str], values: list[object]) -> bytes:
    return keccak(signature.encode())[:4] + encode(types, values)


def permit2(amounts: list[int], batch: bool) -> bytes:
    details = [(ME, amount, 9, 0) for amount in amounts]
    kind = f"({DETAILS}{'[]' if batch else ''},address,uint256)"
    values: list[object] = [ME, (details if batch else details[0], YOU, 9), b"\1" * 65]
    return call(f"permit(address,{kind},bytes)", ["address", kind, "bytes"], values)


def test_selectors_are_hashed_from_the_names() -> None:
    for selector, signature in BAIT.items():
        assert keccak(signature.encode())[:4] == selector
    assert keccak(b"transferOwnership(address)")[:4] == TRANSFER_OWNERSHIP


def test_the_thresholds() -> None:
    limit = 10**24  # a million tokens of 18 decimals
    for raw, pattern in (
        (0, "revocation"),
        (1, "limited to unknown spender"),
        (limit, "limited to unknown spender"),
        (limit + 1, "unlimited approval"),
        (2**255, "unlimited approval"),
    ):
        assert raw_allowance_pattern(raw, known=False) == pattern
    assert raw_allowance_pattern(2**159, known=True, bits=160) == "unlimited to known spender"
    assert allowance_pattern(Decimal(10**6), known=True) == "exact approval"
    with pytest.raises(MathError):
        allowance_pattern(Decimal(-1), known=True)


def one(name: str, *types: str) -> tuple[str, list[str]]:
    return f"{name}({','.join(types)})", list(types)


@pytest.mark.parametrize(
    ("data", "unknown", "known"),
    [
        (call(*one("approve", "address", "uint256"), [YOU, 5]),
         "limited to unknown spender", "exact approval"),
        (call(*one("approve", "address", "uint256"), [YOU, 0]), "revocation", "revocation"),
        (call(*one("approve", "address", "uint256"), [YOU, 2**256 - 1]),
         "unlimited approval", "unlimited to known spender"),
        (call(*one("approve", "address", "address", "uint160", "uint48"), [ME, YOU, 2**160 - 1, 9]),
         "unlimited approval", "unlimited to known spender"),
        (call(*one("increaseAllowance", "address", "uint256"), [YOU, 5]),
         "allowance increase", "exact approval"),
        (call(*one("decreaseAllowance", "address", "uint256"), [YOU, 5]),
         "revocation", "revocation"),
        (call(*one("setApprovalForAll", "address", "bool"), [YOU, True]),
         "operator approval", "marketplace operator"),
        (call(*one("setApprovalForAll", "address", "bool"), [YOU, False]),
         "revocation", "revocation"),
        (call(*one("permit", "address", "address", "uint256", "uint256", "uint8", "bytes32",
                   "bytes32"), [ME, YOU, 5, 9, *SIGNED]), "permit phishing", "exact permit"),
        (call(*one("permit", "address", "address", "uint256", "uint256", "uint8", "bytes32",
                   "bytes32"), [ME, YOU, 0, 9, *SIGNED]), "revocation", "revocation"),
        (permit2([5], batch=False), "permit phishing", "exact permit"),
        (permit2([2**160 - 1], batch=False), "permit phishing", "unlimited to known spender"),
        (permit2([5, 2**160 - 1], batch=True), "permit2 batch", "unlimited to known spender"),
        (call(*one("transferFrom", "address", "address", "uint256"), [ME, YOU, 0]),
         "zero-value bait", "zero-value bait"),
        (call(*one("transferOwnership", "address"), [YOU]),
         "ownership transfer", "ownership transfer"),
        (call("claim()", [], []), "fake claim", "known claim"),
    ],
)  # fmt: skip
def test_calls(data: bytes, unknown: str, known: str) -> None:
    assert call_pattern(data, known=False) == unknown
    assert call_pattern(data, known=True) == known
    assert call_name(data)


def test_what_has_no_rule_is_not_called_safe() -> None:
    deposit = call("deposit()", [], [])
    assert call_pattern(deposit, known=True) == "wrapping"
    paid = call(*one("transferFrom", "address", "address", "uint256"), [ME, YOU, 1])
    for data, known in (
        (deposit, False),
        (paid, True),
        (call(*one("transfer", "address", "uint256"), [YOU, 5]), True),
        (TRANSFER_OWNERSHIP + bytes(31), False),
        (call(*one("approve", "address", "uint256"), [YOU, 5])[:-1], True),
        (b"\0" * 36, False),
    ):
        with pytest.raises(MathError):
            call_pattern(data, known)


def test_advice_never_waves_danger_through() -> None:
    assert {p.level for p in PATTERNS.values()} == {"high", "medium", "none"}
    for name, pattern in PATTERNS.items():
        said = f"{name} {pattern.advice} {pattern.why}".lower()
        wrong = UNSAFE if pattern.level != "none" else ALARMS
        assert not [words for words in wrong if words in said and words not in name], name
        if pattern.level == "high":
            assert said.split(name)[1].strip().startswith(("reject", "do not", "ignore")), name
