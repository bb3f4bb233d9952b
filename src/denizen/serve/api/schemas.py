"""JSON Schemas that a client sends: bounded, and nothing in them that reaches outside.

Contract: `check_schema` raises Fault 400 with the parameter for a schema too large or too deep,
with a reference that is not local, an unknown type, or a regular expression too long to trust.
"""

from __future__ import annotations

from typing import Any

from denizen.serve.api import limits
from denizen.serve.api.parsing import shown
from denizen.serve.exchange import Fault

_TYPES = {"object", "array", "string", "number", "integer", "boolean", "null"}
_OF_ONE = (
    "items",
    "additionalProperties",
    "not",
    "contains",
    "propertyNames",
    "if",
    "then",
    "else",
)
_OF_MANY = ("anyOf", "oneOf", "allOf", "prefixItems")
_OF_NAMES = ("properties", "$defs", "definitions", "patternProperties", "dependentSchemas")


def check_schema(schema: dict[str, Any], param: str) -> None:
    """Raise Fault 400 unless `schema` is one the server can take."""
    _check_size(schema, param)
    todo: list[Any] = [schema]
    while todo:
        node = todo.pop()
        if isinstance(node, bool):
            continue
        if not isinstance(node, dict):
            raise _bad("every schema must be an object", param)
        _check_node(node, param)
        todo += [node[key] for key in _OF_ONE if key in node]
        for key in _OF_MANY:
            todo += _expected(node.get(key, []), list, key, param)
        for key in _OF_NAMES:
            todo += _expected(node.get(key, {}), dict, key, param).values()


def _check_size(schema: Any, param: str) -> None:
    level, count = [schema], 0
    # A schema's level is two of JSON (a keyword and the names or places under it), at most.
    for _ in range(2 * limits.SCHEMA_DEPTH):
        level = [part for node in level for part in _parts(node, param)]
        count += len(level)
        if count > limits.SCHEMA_NODES:
            raise _bad(f"the schema has more than {limits.SCHEMA_NODES} values", param)
        if not level:
            return
    raise _bad(f"the schema is nested deeper than {limits.SCHEMA_DEPTH} levels", param)


def _parts(node: Any, param: str) -> list[Any]:
    if isinstance(node, dict):
        return [*node.values(), *node]
    if isinstance(node, list):
        return node
    if isinstance(node, str) and len(node) > limits.SCHEMA_TEXT:
        raise _bad(f"a text in the schema is longer than {limits.SCHEMA_TEXT} characters", param)
    return []


def _check_node(node: dict[str, Any], param: str) -> None:
    named = node.get("type", "object")
    for kind in named if isinstance(named, list) and named else [named]:
        if not isinstance(kind, str) or kind not in _TYPES:
            raise _bad(f"{shown(str(kind))} is not a type of JSON Schema", param)
    for key in ("$ref", "$dynamicRef"):
        if key in node and not str(node[key]).startswith("#"):
            raise _bad(f"{key} may only point into the schema itself ('#/...')", param)
    pattern = node.get("pattern", "")
    if not isinstance(pattern, str) or len(pattern) > limits.PATTERN:
        raise _bad(f"'pattern' must be a text of up to {limits.PATTERN} characters", param)
    values = _expected(node.get("enum", []), list, "enum", param)
    if len(values) > limits.ENUM:
        raise _bad(f"'enum' has more than {limits.ENUM} values", param)
    required = _expected(node.get("required", []), list, "required", param)
    if not all(isinstance(name, str) for name in required):
        raise _bad("'required' must be a list of names", param)


def _expected(value: Any, kind: type, key: str, param: str) -> Any:
    if not isinstance(value, kind):
        raise _bad(f"'{key}' must be {'a list' if kind is list else 'an object'}", param)
    return value


def _bad(message: str, param: str) -> Fault:
    return Fault(
        400, f"Invalid schema in '{param}': {message}.", code="invalid_schema", param=param
    )
