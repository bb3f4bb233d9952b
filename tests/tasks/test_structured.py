"""Objects of a fixed schema: every right spelling is read alike, every wrong one is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from denizen.tasks import Field, Schema, SchemaError

SCHEMA = Schema(
    "transfer",
    "an action",
    (
        Field("action", "what to do", "choice", ("send", "swap exact in")),
        Field("amount", "how much", "quantity", of="amount"),
        Field("limit", "worst slippage", "quantity", of="percent", optional=True),
        Field("to", "whom", "address"),
        Field("flags", "risks", "choices", ("new address", "large")),
        Field("confidence", "0 to 1", "share"),
        Field("title", "words", "text"),
        Field("created", "day", "date"),
        Field("requires", "numbers", "integers"),
    ),
)
ADDRESS = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045"
GOLD = {
    "action": "swap exact in", "amount": "1,200 USDC", "limit": "0.5%", "to": ADDRESS,
    "flags": ["large", "new address"], "confidence": 0.8, "title": "Add a pool",
    "created": "2026-02-03", "requires": [20, 712],
}  # fmt: skip
QUESTION = f"Swap 1,200 USDC with at most 0.5% slippage and send it to {ADDRESS}"


def differs(**changes: object) -> str | None:
    return SCHEMA.difference(
        SCHEMA.parse(json.dumps(GOLD)), SCHEMA.parse(json.dumps({**GOLD, **changes}))
    )


def test_other_spellings_are_the_same() -> None:
    assert differs(action="Swap_Exact-In", amount="1.2k USDC", limit="50 bps") is None
    assert differs(to=ADDRESS.lower()) is None and differs(to="0x" + ADDRESS[2:].upper()) is None
    assert differs(flags=["New Address", "LARGE"], requires=["712", 20]) is None
    assert differs(title="  add  a POOL. ", confidence="0.82") is None
    fenced = SCHEMA.parse(f"Here you are:\n```json\n{json.dumps(GOLD, indent=2)}\n```\nDone.")
    assert fenced == SCHEMA.parse(json.dumps(GOLD))


def test_other_values_are_told_by_field() -> None:
    for field, value in {
        "action": "send", "amount": "1,200 USDT", "limit": "0.05%", "to": "0x" + "11" * 20,
        "flags": ["large"], "confidence": 0.5, "title": "Add two pools", "created": "2026-03-02",
        "requires": [20],
    }.items():  # fmt: skip
        assert (differs(**{field: value}) or "").startswith(field)
    assert (differs(limit=None) or "").startswith("limit")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no object", "no JSON object"),
        ("[1]", "no JSON object"),
        ('{"action": "send"', "no JSON object"),
        ('{"action": "send",}', "not valid JSON"),
        ('{"action": "send", "action": "send"}', "twice"),
        (json.dumps({**GOLD, "extra": 1}), "no field 'extra'"),
        (json.dumps({k: v for k, v in GOLD.items() if k != "to"}), "to is missing"),
        (json.dumps({**GOLD, "to": "0x12"}), "40 hex digits"),
        (json.dumps({**GOLD, "amount": "lots"}), "amount"),
        (json.dumps({**GOLD, "amount": 5}), "amount"),
        (json.dumps({**GOLD, "action": "steal"}), "none of"),
        (json.dumps({**GOLD, "confidence": 1.2}), "between 0 and 1"),
        (json.dumps({**GOLD, "confidence": True}), "truth value"),
        (json.dumps({**GOLD, "confidence": None}), "null"),
        (json.dumps({**GOLD, "confidence": float("nan")}), "NaN"),
        (json.dumps({**GOLD, "created": "03/02/2026"}), "created"),
        (json.dumps({**GOLD, "requires": [1.5]}), "requires"),
        (json.dumps({**GOLD, "flags": "large"}), "list"),
        ("[" * 30_000, "longer than"),
        ("{" + '"a":{' * 2_500 + "}" * 2_501, "JSON"),
    ],
)
def test_bad_objects_are_refused_with_the_field(text: str, said: str) -> None:
    with pytest.raises(SchemaError, match=said):
        SCHEMA.parse(text)


@given(st.text(max_size=200))
def test_no_text_does_more_than_raise(text: str) -> None:
    with pytest.raises(SchemaError):
        SCHEMA.parse(text)


def test_json_schema_is_strict_and_grammar_admits_gold_only_with_spans() -> None:
    made = SCHEMA.json_schema()
    assert made["additionalProperties"] is False and made["required"] == list(GOLD)
    assert SCHEMA.offers(QUESTION, json.dumps(GOLD))
    assert not SCHEMA.offers("Swap 1,300 USDC", json.dumps(GOLD))
    from llguidance import LLMatcher, LLTokenizer
    from llguidance.gbnf_to_lark import any_to_lark

    table = LLTokenizer("byte")
    grammar = "\n".join(["root ::= object", *SCHEMA.grammar(QUESTION, "object")])

    def admits(text: str) -> bool:
        matcher = LLMatcher(table, any_to_lark(grammar))
        return matcher.consume_tokens(table.tokenize_str(text)) and matcher.is_accepting()

    assert admits(SCHEMA.dump(GOLD)) and admits(SCHEMA.dump({**GOLD, "confidence": 0.85}))
    assert not admits(SCHEMA.dump({**GOLD, "amount": "1,300 USDC"}))
    assert not admits(SCHEMA.dump({**GOLD, "to": "0x" + "11" * 20}))
    # A question without an address offers no such object at all.
    assert SCHEMA.grammar("Swap 1,200 USDC", "object") == []
