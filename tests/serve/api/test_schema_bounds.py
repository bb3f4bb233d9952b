"""Schemas of clients are bounded and reach nowhere; those of the real clients pass."""

from __future__ import annotations

from typing import Any

import pytest

from denizen.serve.api.schemas import check_schema
from denizen.serve.exchange import Fault


def deep(levels: int) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        made = {"type": "object", "properties": {"a": made}}
    return made


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "objekt"}, "'objekt' is not a type"),
        ({"type": ["string", 3]}, "'3' is not a type"),
        ({"type": []}, "is not a type"),
        ({"$ref": "http://localhost:1/schema"}, "itself"),
        ({"$ref": "file:///etc/passwd"}, "itself"),
        ({"properties": {"a": {"$ref": "//x"}}}, "itself"),
        ({"pattern": "a" * 257}, "pattern"),
        ({"pattern": 3}, "pattern"),
        ({"enum": list(range(513))}, "enum"),
        ({"enum": "a"}, "'enum' must be a list"),
        ({"required": [1]}, "required"),
        ({"properties": []}, "'properties' must be an object"),
        ({"anyOf": {}}, "'anyOf' must be a list"),
        ({"items": [1]}, "must be an object"),
        ({"anyOf": [3]}, "must be an object"),
        ({"description": "x" * 5000}, "longer than"),
        ({"x" * 5000: 1}, "longer than"),
        ({"const": [0] * 5000}, "more than 4000"),
        (deep(40), "deeper"),
    ],
)
def test_too_large_or_too_clever(schema: dict[str, Any], words: str) -> None:
    with pytest.raises(Fault, match=words) as caught:
        check_schema(schema, "format")
    assert caught.value.param == "format" and caught.value.status == 400


def test_what_pydantic_writes_passes() -> None:
    from pydantic import BaseModel

    class Leaf(BaseModel):
        name: str
        weight: float | None = None

    class Tree(BaseModel):
        leaves: list[Leaf]
        left: Tree | None = None

    Tree.model_rebuild(_types_namespace={"Tree": Tree, "Leaf": Leaf})
    check_schema(Tree.model_json_schema(), "format")
    check_schema(deep(12), "format")
    check_schema({}, "format")
    check_schema({"type": "object", "additionalProperties": False}, "format")
