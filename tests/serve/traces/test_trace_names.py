"""Names of attributes stand in one module; ids and traceparent are W3C's."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from denizen.serve.traces import context, names

ROOM = Path(names.__file__).parent
SPELLED = re.compile(
    r"^(gen_ai|denizen|langfuse|openinference|llm|input|output|retrieval|document|message|tool|tag"
    r"|service|session|user|error|http)\.[a-z_]+(\.[a-z_]+)*\.?$"
)
LOGGERS = {"denizen.traces", "denizen.serve.traces"}


def strings(path: Path) -> list[str]:
    return [
        node.value
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]


@pytest.mark.parametrize("path", sorted(ROOM.glob("*.py")), ids=lambda p: p.name)
def test_no_other_module_spells_a_name_out(path: Path) -> None:
    if path.name == "names.py":
        return
    found = {text for text in strings(path) if SPELLED.match(text)} - LOGGERS
    assert not found, f"{path.name} spells out {found}"


def test_the_search_finds_a_spelled_name() -> None:
    assert SPELLED.match("gen_ai.usage.input_tokens") and SPELLED.match("denizen.signal.")
    assert "gen_ai.usage.input_tokens" in strings(ROOM / "names.py")


def test_no_name_is_given_twice() -> None:
    values = [v for k, v in vars(names).items() if k.isupper() and isinstance(v, str)]
    assert not {value for value in values if values.count(value) > 1}


def test_every_word_of_a_stage_has_a_known_name() -> None:
    values = {v for k, v in vars(names).items() if k.isupper() and isinstance(v, str)}
    assert set(names.WORDS.values()) | set(names.OPERATIONS.values()) <= values


def test_a_traceparent_is_honoured() -> None:
    found = context.parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    assert found == ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", 1)


def test_a_later_version_may_have_more_fields() -> None:
    assert context.parse("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00-what") is not None


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\n",
        "00-" + "a" * 5000,
    ],
)
def test_a_wrong_traceparent_begins_a_new_trace(header: str) -> None:
    assert context.parse(header) is None or header.endswith("\n")


def test_ids_are_random_and_whole() -> None:
    ids = {context.new_trace_id() for _ in range(1000)}
    assert len(ids) == 1000 and all(map(context.is_trace_id, ids))
    assert context.is_span_id(context.new_span_id())
    parent = context.parse(context.header(ids.pop(), context.new_span_id()))
    assert parent is not None and parent.flags == 1
