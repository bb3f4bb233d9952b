"""Grammars of constrained answers: a JSON object, an object of a JSON Schema, a tool call.

Contract: llguidance's own language, which llama.cpp follows token by token; unlike llama.cpp's own
converter it keeps number bounds and patterns, yet what it does not know it lets through, so the
service validates again.  A schema that cannot be followed is a Fault before anything is written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from denizen.serve.backend.tools import Dialect, call_schema, must_call
from denizen.serve.exchange import Fault, Request

MAX_SCHEMA = 65_536  # characters of JSON
MAX_DEPTH, MAX_VALUES = 64, 16_384  # of the JSON that a schema is
MAX_REPEAT = 65_536  # times that a schema may ask for something, nested repetitions multiplied
_COUNTS = ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")
_REPEAT = re.compile(r"\{(\d+)(?:,(\d*))?\}")
# One way of spacing: a small model left free to indent may never stop.
_SPACING = {
    "whitespace_flexible": False,
    "item_separator": ", ",
    "key_separator": ": ",
    "lenient": True,
}


def grammar_of(request: Request, dialect: Dialect) -> str:
    """The grammar an answer must follow; empty if it is free. Raises Fault."""
    if request.tools and (functions := must_call(request.tool_choice, request.tools)):
        one = _json(call_schema(functions, dialect), "tools")
        opening, closing = json.dumps(dialect.opening), json.dumps(dialect.closing)
        start = f"{opening} call {closing}" if dialect.opening else "call"
        return _checked(f"start: {start}\ncall: {one}", "tools")
    if request.format.kind == "text":
        return ""
    schema = request.format.schema if request.format.kind == "json_schema" else None
    written = _json(schema if schema is not None else {"type": "object"}, "response_format")
    return _checked(f"start: {written}", "response_format")


def _bounded(schema: Any, param: str) -> None:
    """Refuse what would make a grammar of unreasonable size, before anything reads it."""
    level, seen = [schema], 0
    for _ in range(MAX_DEPTH):
        seen += len(level)
        if seen > MAX_VALUES:
            raise _refused(f"it has more than {MAX_VALUES} values", param)
        for node in level:
            if isinstance(node, Mapping):
                _countable(node, param)
        level = [part for node in level for part in _parts(node)]
        if not level:
            return
    raise _refused(f"it is nested deeper than {MAX_DEPTH} levels", param)


def _parts(node: Any) -> list[Any]:
    if isinstance(node, Mapping):
        return list(node.values())
    return list(node) if isinstance(node, list | tuple) else []


def _countable(node: Mapping[str, Any], param: str) -> None:
    for key in _COUNTS:
        count = node.get(key)
        if isinstance(count, int | float) and count > MAX_REPEAT:
            raise _refused(f"{key} is more than {MAX_REPEAT}", param)
    pattern = node.get("pattern")
    if isinstance(pattern, str):
        times = 1
        for low, high in _REPEAT.findall(pattern):
            times *= max(1, int((high or low)[:9]))
            if times > MAX_REPEAT:
                raise _refused(f"its pattern repeats more than {MAX_REPEAT} times", param)


def _json(schema: Mapping[str, Any], param: str) -> str:
    _bounded(schema, param)
    try:
        text = json.dumps({**schema, "x-guidance": _SPACING})
    except (TypeError, ValueError, RecursionError) as error:
        raise _refused("it is no JSON", param) from error
    if len(text) > MAX_SCHEMA:
        raise _refused(f"it is longer than {MAX_SCHEMA} characters", param)
    return f"%json {text}"


def _checked(grammar: str, param: str) -> str:
    from llguidance import LLMatcher

    # llama.cpp itself would go on without the grammar, or end the process, on one it cannot read.
    if problem := LLMatcher.validate_grammar(f"%llguidance {{}}\n{grammar}"):
        raise _refused(" ".join(problem.split())[:200], param)
    return f"%llguidance {{}}\n{grammar}"


def _refused(why: str, param: str) -> Fault:
    return Fault(400, f"the schema cannot be followed: {why}", code="invalid_schema", param=param)
