"""The transaction tools: exact decoding of hex, one value per class, sound advice in words."""

from __future__ import annotations

import pytest
from eth_abi.abi import encode
from eth_hash.auto import keccak

from denizen.protocols.calldata_table import LABELS
from denizen.tasks.calculator import parse_call
from denizen.tasks.families import signature_risk, transaction
from denizen.tasks.quantities import find_spans, parse_quantity
from denizen.tasks.reading import names_label
from denizen.tasks.signature_rules import PATTERNS
from denizen.tasks.tools.transactions import (
    TRANSACTION_TOOLS,
    allowance,
    assess,
    decode,
    lookalike,
    risk,
    tx,
)

ME, YOU = "0x" + "11" * 20, "0x" + "22" * 20


def hex_of(signature: str, types: list[str], values: list[object]) -> str:
    return f"0x{(keccak(signature.encode())[:4] + encode(types, values)).hex()}"


@pytest.mark.parametrize("label", LABELS)
def test_every_class_is_said_without_naming_another(label: str) -> None:
    found = tx(label)
    assert dict(found.values) == {"kind": label}
    assert names_label(found, found.text) == (True, "label")
    assert not names_label(found, "no idea")[0]
    other = "approve" if label != "approve" else "permit"
    assert not names_label(found, f"{label} or {other}")[0]


def test_calldata_selector_and_topic_give_what_is_named() -> None:
    supply = hex_of(
        "supply(address,uint256,address,uint16)",
        ["address", "uint256", "address", "uint16"], [ME, 5, YOU, 0],
    )  # fmt: skip
    topic = f"0x{keccak(b'Supply(address,address,address,uint256,uint16)').hex()}"
    for data in (supply, supply[:10], topic):
        assert decode(parse_quantity(data)).values == tx("supply").values
    told = decode(parse_quantity(supply)).derivation[0]
    assert told.startswith("supply(asset=0x1111") and "amount=5" in told


def test_a_batch_is_told_call_by_call() -> None:
    unwrap = keccak(b"unwrapWETH9(uint256,address)")[:4] + encode(["uint256", "address"], [1, ME])
    burn = keccak(b"burn(uint256)")[:4] + encode(["uint256"], [7])
    found = decode(parse_quantity(hex_of("multicall(bytes[])", ["bytes[]"], [[burn, unwrap]])))
    assert found.values["kind"] == "remove liquidity"
    assert [line.strip().partition("(")[0] for line in found.derivation] == [
        "multicall", "burn", "unwrapWETH9",
    ]  # fmt: skip
    assert "2 calls" in found.derivation[0] and "tokenId=7" in found.derivation[1]


@pytest.mark.parametrize(
    "data",
    [
        "0x00000000",
        "0x617ba03700",
        "0xac9650d8",
        "0x5a6bcfda",
        "0x1c411e9a51967edec1f60d8fa7fd5a6c3b8a7f4b",
        ME,
        "0x" + "11" * 32,
    ],
)
def test_what_cannot_be_told_is_refused(data: str) -> None:
    with pytest.raises(ValueError):
        decode(parse_quantity(data))


def test_housekeeping_alone_has_no_class() -> None:
    plan = encode(["bytes", "bytes[]"], [bytes.fromhex("0e"), [encode(["address"] * 3, [ME] * 3)]])
    data = keccak(b"execute(bytes,bytes[])")[:4] + plan
    with pytest.raises(ValueError, match="settle"):
        decode(parse_quantity(f"0x{data.hex()}"))


def test_an_allowance_is_judged_by_size_and_spender() -> None:
    for amount, spender, pattern, level in (
        ("250 USDC", "known", "exact approval", "none"),
        ("250 USDC", "unknown", "limited to unknown spender", "medium"),
        ("1M USDC", "unknown", "limited to unknown spender", "medium"),
        ("1,000,001 USDC", "unknown", "unlimited approval", "high"),
        (f"{2**256 - 1} WETH", "known", "unlimited to known spender", "medium"),
        ("0 WETH", "unknown", "revocation", "none"),
    ):
        found = allowance(parse_quantity(amount), spender)
        assert dict(found.values) == {"pattern": pattern, "level": level}
        assert found.values == risk(pattern).values


def test_a_pending_call_is_judged_by_its_data() -> None:
    approve = hex_of("approve(address,uint256)", ["address", "uint256"], [YOU, 2**256 - 1])
    found = assess(parse_quantity(approve), "unknown")
    assert found.values == risk("unlimited approval").values
    assert assess(parse_quantity(approve), "known").values["level"] == "medium"
    with pytest.raises(ValueError, match="no rule"):
        assess(parse_quantity(hex_of("burn(uint256)", ["uint256"], [7])), "unknown")


def test_addresses_are_compared_digit_by_digit() -> None:
    saved = "0x1234567890abcdef1234567890abcdef12345678"
    for shown, pattern in (
        (saved.upper().replace("0X", "0x"), "same address"),
        ("0x1234" + "0" * 32 + "5678", "address poisoning"),
        ("0x1234" + "0" * 32 + "5679", "different address"),
        ("0x1235" + "0" * 32 + "5678", "different address"),
    ):
        found = lookalike(parse_quantity(saved), parse_quantity(shown))
        assert found.values == risk(pattern).values


@pytest.mark.parametrize("name", PATTERNS)
def test_no_dangerous_request_is_waved_through(name: str) -> None:
    found = risk(name)
    assert names_label(found, found.text) == (True, "label")
    if found.values["level"] == "none":
        assert not names_label(found, f"{name}: this is a scam")[0]
    else:
        for words in ("safe to sign", "no risk", "it is safe", "harmless"):
            assert not names_label(found, f"{name}, {words}")[0]
        assert names_label(found, f"{name}, not safe to sign")[0]


def test_tools_say_what_they_return() -> None:
    assert len({t.draft for t in TRANSACTION_TOOLS}) == len(TRANSACTION_TOOLS) == 6
    for tool in TRANSACTION_TOOLS:
        assert set(tool.returns) in ({"kind"}, {"pattern", "level"})
    assert set(transaction.FAMILY.tools) | set(signature_risk.FAMILY.tools) == {
        t.name for t in TRANSACTION_TOOLS
    }


# The default training length is 512 tokens, and hex has hardly more characters than tokens.
LONGEST = 620


def test_whole_calldata_of_a_question_decodes_to_its_class() -> None:
    compared = 0
    for seed in range(600):
        item = transaction.generate(seed, "train")
        given = dict(parse_call(item.gold).arguments)
        data = given.get("data")
        kind = given.get("kind") or decode(parse_quantity(str(data))).values["kind"]
        assert data is None or len(data) <= 2 + 2 * transaction.MAX_COPIED
        assert len(item.prompt) < LONGEST
        for span in find_spans(item.prompt) if item.kind == "calldata" else ():
            if span.startswith("0x") and f"{span}..." not in item.prompt:
                assert decode(parse_quantity(span)).values["kind"] == kind
                compared += 1
    assert compared > 150


def test_whole_calldata_of_a_signature_is_judged_as_its_gold() -> None:
    compared = 0
    for seed in range(600):
        item = signature_risk.generate(seed, "dev")
        call = parse_call(item.gold)
        assert len(item.prompt) < LONGEST
        if item.kind != "calldata" or call.tool != "risk":
            continue
        pattern = dict(call.arguments)["pattern"]
        data = max(find_spans(item.prompt), key=len)
        if f"{data}..." not in item.prompt:
            judged = [assess(parse_quantity(data), w).values for w in ("known", "unknown")]
            assert risk(pattern).values in judged
            # The party that the words name is the one that the data empower.
            assert data[34:74] in item.prompt.replace(data, "").lower()
            compared += 1
    assert compared > 50
