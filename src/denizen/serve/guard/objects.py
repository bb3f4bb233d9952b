"""Is a JSON answer an object of its schema?  Checked after the grammar, which knows no bounds.

Contract: `check_object(text, schema)` says why the text is not an object of a JSON Schema, or "".
A pure function of bounded depth; the schema comes from a client and is only read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_DEPTH = 24


def check_object(text: str, schema: Mapping[str, Any]) -> str:
    """Why `text` is not an object of a JSON Schema; "" if it is.

    The keywords that OpenAI's strict mode knows: type, enum, const, properties, required,
    additionalProperties, items, anyOf, minimum, maximum, minItems, maxItems, $ref and $defs.
    A pattern is not looked at: a client's regular expression could run for ever.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return "not JSON"
    return _fault(value, schema, schema, "answer", _DEPTH)


_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "null": (type(None),),
    "integer": (int,),
    "number": (int, float),
}


def _fault(
    value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], where: str, depth: int
) -> str:
    if depth < 0:
        return f"{where} is nested too deep"
    if "$ref" in schema:
        name = str(schema["$ref"]).rsplit("/", 1)[-1]
        inner = root if schema["$ref"] == "#" else root.get("$defs", {}).get(name)
        return "unknown $ref" if inner is None else _fault(value, inner, root, where, depth - 1)
    if "anyOf" in schema:
        faults = [_fault(value, option, root, where, depth - 1) for option in schema["anyOf"]]
        return "" if "" in faults else (faults[0] if faults else f"{where} fits no option")
    kinds = schema.get("type")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(_is(value, kind) for kind in kinds):
        return f"{where} is not of type {' or '.join(kinds)}"
    if "enum" in schema and value not in schema["enum"]:
        return f"{where} is none of the allowed values"
    if "const" in schema and value != schema["const"]:
        return f"{where} is not {schema['const']!r}"
    if isinstance(value, int | float) and not isinstance(value, bool):
        if "minimum" in schema and value < schema["minimum"]:
            return f"{where} is below {schema['minimum']}"
        if "maximum" in schema and value > schema["maximum"]:
            return f"{where} is above {schema['maximum']}"
    return _inside(value, schema, root, where, depth)


def _inside(
    value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], where: str, depth: int
) -> str:
    if isinstance(value, dict):
        known = schema.get("properties", {})
        if missing := [name for name in schema.get("required", ()) if name not in value]:
            return f"{where}.{missing[0]} is missing"
        if schema.get("additionalProperties") is False and (extra := set(value) - set(known)):
            return f"{where}.{min(extra)} is not known"
        inner = ((f"{where}.{k}", v, known[k]) for k, v in value.items() if k in known)
    elif isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            return f"{where} has {len(value)} items"
        items = schema.get("items", {})
        inner = ((f"{where}[{i}]", v, items) for i, v in enumerate(value))
    else:
        return ""
    return next(filter(None, (_fault(v, s, root, w, depth - 1) for w, v, s in inner)), "")


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES.get(kind, ()))
