"""Schemas of clients are data: bounded, not fetched, and their patterns cannot run for ever."""

from __future__ import annotations

import time
from typing import Any

import pytest

from denizen.serve.answering.formats import check_format, faults
from denizen.serve.exchange import Fault, Format


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (None, "needs a schema"),
        ({"type": "nothing"}, "not a JSON Schema"),
        ({"patternProperties": {"^(a+)+$": {}}}, "not supported"),
        ({"description": "x" * 200_000}, "longer than"),
        ({"const": float("nan"), "type": 3}, "not a JSON Schema"),
    ],
)
def test_a_schema_that_cannot_be_honoured_is_refused(schema: Any, words: str) -> None:
    with pytest.raises(Fault, match=words) as caught:
        check_format(Format("json_schema", schema))
    assert caught.value.status == 400 and caught.value.param == "response_format"


def test_a_schema_nested_too_deeply_is_refused() -> None:
    schema: dict[str, Any] = {}
    for _ in range(5000):
        schema = {"anyOf": [schema]}
    with pytest.raises(Fault) as caught:
        check_format(Format("json_schema", schema))
    assert caught.value.status == 400


def test_references_are_never_fetched() -> None:
    with pytest.raises(Fault, match="does not hold"):
        faults({}, {"$ref": "http://127.0.0.1:9/schema.json"})
    with pytest.raises(Fault, match="does not hold"):
        faults({}, {"$ref": "#"})
    inside = {"$defs": {"a": {"type": "string"}}, "$ref": "#/$defs/a"}
    assert faults("x", inside) == [] and faults(3, inside)


def test_a_pattern_cannot_run_for_ever() -> None:
    began = time.monotonic()
    found = faults("a" * 5000 + "!", {"type": "string", "pattern": "^(a|aa)+$"})
    assert found and time.monotonic() - began < 3
    assert faults("abc", {"pattern": "^[a-c]+$"}) == []
    assert faults("abd", {"pattern": "^[a-c]+$"})


def test_any_of_null_is_understood() -> None:
    schema = {"properties": {"a": {"anyOf": [{"type": "integer"}, {"type": "null"}]}},
              "required": ["a"]}  # fmt: skip
    assert faults({"a": None}, schema) == [] and faults({"a": "x"}, schema)


def test_other_formats_need_no_schema() -> None:
    check_format(Format())
    check_format(Format("json_object"))


def test_references_cannot_be_followed_for_ever() -> None:
    """Each of forty definitions asks for the next one twice: 2^40 steps in a small schema."""
    twice = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)}
    schema = {"$defs": {**twice, "d40": {"type": "object"}}, "$ref": "#/$defs/d0"}
    began = time.monotonic()
    with pytest.raises(Fault, match="too long") as caught:
        faults({}, schema)
    assert caught.value.status == 400 and time.monotonic() - began < 3
    assert faults({}, {"type": "object"}) == []  # the next check has its own time


def test_what_keeps_no_time_is_refused() -> None:
    schema = {"dependentSchemas": {"a": {}}, "unevaluatedProperties": False}
    with pytest.raises(Fault, match="not supported"):
        check_format(Format("json_schema", schema))
