"""Calls are found in answers however they are cut into pieces; what is no call stays text."""

from __future__ import annotations

import json
from typing import Any

import pytest

from denizen.serve.backend.grammars import grammar_of
from denizen.serve.backend.tools import HERMES, LLAMA, MISTRAL, CallReader, Dialect, must_call
from denizen.serve.exchange import Fault, Format, Request

TOOLS = (
    {
        "type": "function",
        "function": {
            "name": "quote",
            "parameters": {
                "type": "object",
                "properties": {"in": {"type": "string"}},
                "required": ["in"],
                "additionalProperties": False,
            },
        },
    },
    {"type": "function", "function": {"name": "gas", "parameters": {"type": "object"}}},
)


def read(text: str, size: int, dialect: Dialect = HERMES) -> tuple[str, list[tuple[str, str]]]:
    """The text let through and the calls, when the answer comes in pieces of `size`."""
    reader = CallReader(dialect, TOOLS)
    free = "".join(reader.feed(text[n : n + size]) for n in range(0, len(text), size))
    rest, calls = reader.finish()
    return free + rest, [(call.name, call.arguments) for call in calls]


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
@pytest.mark.parametrize(
    ("dialect", "text", "free", "calls"),
    [
        (HERMES, "no call at all", "no call at all", []),
        (HERMES, "less < than <tool and <tool_", "less < than <tool and <tool_", []),
        (
            HERMES,
            'Let me see. <tool_call>\n{"name": "quote", "arguments": {"in": "0.10"}}\n</tool_call>',
            "Let me see. ",
            [("quote", '{"in": "0.10"}')],
        ),
        (
            HERMES,
            '<tool_call>{"name":"quote","arguments":{"in":"1"}}</tool_call>\n'
            '<tool_call>{"name":"gas","arguments":{}}</tool_call>',
            "",
            [("quote", '{"in":"1"}'), ("gas", "{}")],
        ),
        (
            HERMES,
            '<tool_call>{"name": ["gas"], "arguments": {}}</tool_call>',
            '<tool_call>{"name": ["gas"], "arguments": {}}</tool_call>',
            [],
        ),
        (
            MISTRAL,
            '[{"name": "gas", "arguments": {"x": 1.50}}]',
            "",
            [("gas", '{"x": 1.50}')],
        ),
        (LLAMA, ' {"name": "gas", "parameters": {"a": []}}', "", [("gas", '{"a": []}')]),
        (LLAMA, "The gas is 30 gwei {really}.", "The gas is 30 gwei {really}.", []),
    ],
)
def test_calls_are_found(
    size: int, dialect: Dialect, text: str, free: str, calls: list[tuple[str, str]]
) -> None:
    assert read(text, size, dialect) == (free, calls)


@pytest.mark.parametrize(
    "text",
    [
        '<tool_call>{"name": "steal", "arguments": {}}</tool_call>',
        '<tool_call>{"name": "quote", "arguments": "1"}</tool_call>',
        '<tool_call>{"name": "quote", "arguments": {"in"',
        "<tool_call>nothing here</tool_call>",
        "<tool_call>" + '{"a":' * 5000,
    ],
)
def test_what_is_no_call_is_handed_on_as_text(text: str) -> None:
    assert read(text, 5) == (text, [])


def test_every_call_has_an_id_of_its_own() -> None:
    reader = CallReader(HERMES, TOOLS)
    one = '<tool_call>{"name": "gas", "arguments": {}}</tool_call>'
    reader.feed(one * 3)
    assert len({call.id for call in reader.finish()[1]}) == 3


def test_the_choice_of_a_tool_is_checked() -> None:
    assert must_call("auto", TOOLS) == [] == must_call("none", TOOLS)
    assert [one["name"] for one in must_call("required", TOOLS)] == ["quote", "gas"]
    named = {"type": "function", "function": {"name": "gas"}}
    assert [one["name"] for one in must_call(named, TOOLS)] == ["gas"]
    for choice in ("maybe", {"type": "function", "function": {"name": "none such"}}, {}):
        with pytest.raises(Fault):
            must_call(choice, TOOLS)
    with pytest.raises(Fault, match="no tools"):
        must_call("required", ())


def follows(grammar: str, text: str) -> bool:
    """Whether the grammar takes exactly this text (bytes as tokens)."""
    from llguidance import LLMatcher, LLTokenizer

    matcher = LLMatcher(LLTokenizer("byte"), grammar)
    return bool(matcher.try_consume_tokens(list(text.encode())) == len(text.encode())) and bool(
        matcher.is_accepting()
    )


def asked(**how: Any) -> str:
    return grammar_of(Request(model="m", **how), HERMES)


def test_a_forced_call_has_the_tools_schema() -> None:
    grammar = asked(tools=TOOLS, tool_choice="required")
    call = '<tool_call>\n{"name": "quote", "arguments": {"in": "1"}}\n</tool_call>'
    assert follows(grammar, call)
    assert not follows(grammar, call.replace("quote", "steal"))
    assert not follows(grammar, call.replace('"in"', '"out"'))
    assert asked(tools=TOOLS) == "" == asked()
    assert read(call, 4)[1] == [("quote", '{"in": "1"}')]


def test_schemas_are_followed() -> None:
    schema = {
        "type": "object",
        "properties": {
            "risk": {"anyOf": [{"enum": ["low", "high"]}, {"type": "null"}]},
            "share": {"type": "number", "minimum": 0, "maximum": 1},
        },
        "required": ["risk", "share"],
        "additionalProperties": False,
    }
    grammar = asked(format=Format("json_schema", schema, "a", True))
    assert follows(grammar, json.dumps({"risk": None, "share": 0.25}))
    assert follows(grammar, json.dumps({"risk": "low", "share": 1}))
    assert not follows(grammar, json.dumps({"risk": "none", "share": 0.5}))
    assert not follows(grammar, json.dumps({"risk": "low", "share": 7.5}))
    free = asked(format=Format("json_object"))
    assert follows(free, '{"any": [1, {"thing": null}]}') and not follows(free, "[1]")


def deep() -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(500):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nonsense"},
        {"$ref": "https://example.invalid/schema.json"},
        {"type": "string", "pattern": "(["},
        {"description": "x" * 70_000},
        {"type": "object", "properties": {"a": {"type": 7}}},
        deep(),
    ],
    ids=["type", "remote", "pattern", "long", "number", "deep"],
)
def test_schemas_that_cannot_be_followed_are_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(Fault) as caught:
        asked(format=Format("json_schema", schema))
    assert caught.value.status == 400 and caught.value.code == "invalid_schema"
    assert caught.value.param == "response_format" and len(caught.value.message) < 300
