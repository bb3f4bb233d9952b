"""Bytes of a body to a JSON object, refusing what parsers quietly disagree about.

Contract: UTF-8 only; duplicate keys, NaN and infinities, numbers beyond any use, lone surrogates,
NUL characters and deep nesting raise Fault 400, never anything else (RFC 8259, RFC 7493 I-JSON).
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import Any

from denizen.serve.api import limits
from denizen.serve.exchange import Fault

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_LONG = re.compile(rf"[0-9]{{{limits.NUMBER + 1}}}")
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def parse_object(raw: bytes) -> dict[str, Any]:
    """The JSON object of a request body; raises Fault 400."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _bad(f"The body is not valid UTF-8 (byte {error.start})") from None
    if not text.strip():
        raise _bad("The body is empty; a JSON object is expected")
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            # Calling back for every number is slow: only where one may be too long.
            parse_int=_whole if _LONG.search(text) else None,
            parse_float=_real,
            parse_constant=_constant,
        )
    except RecursionError:
        raise _bad("The body is nested too deeply") from None
    except ValueError as error:
        raise _bad(f"The body is not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise _bad("The body must be a JSON object")
    _check_depth(value)
    if "\\u" in text:
        _check_escapes(text, value)
    return value


def _check_depth(value: Any) -> None:
    """So that whatever walks over a part of the body later has stack enough."""
    level = [value]
    for _ in range(limits.DEPTH):
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, dict | list)
        ]
        if not level:
            return
    raise _bad("The body is nested too deeply")


def _check_escapes(text: str, value: Any) -> None:
    if _NUL.search(text):
        raise _bad("The body holds a NUL character (\\u0000), which no text may")
    if _SURROGATE.search(text):
        try:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError:
            raise _bad("The body holds half a surrogate pair, which is no character") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > limits.KEYS:
        raise _bad(f"An object has more than {limits.KEYS} keys")
    made = dict(pairs)
    if len(made) != len(pairs):
        counts = Counter(key for key, _ in pairs)
        raise _bad(f"The key {shown(counts.most_common(1)[0][0])} appears twice in one object")
    return made


def _whole(digits: str) -> int:
    if len(digits) > limits.NUMBER:
        raise _bad(f"A whole number has more than {limits.NUMBER} digits")
    return int(digits)


def _real(digits: str) -> float | int:
    value = float(digits)
    if not math.isfinite(value):
        raise _bad("A number is too large")
    # To JSON and its schemas 5.0 is a whole number (RFC 7493, 2.2: beyond 2^53 none is sure).
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _constant(name: str) -> Any:
    raise _bad(f"{name} is not JSON")


def shown(name: str) -> str:
    """A client's own name for something, safe and short enough for an error message."""
    safe = "".join(c if c.isprintable() else "?" for c in name[:64])
    return f"'{safe}'" if len(name) <= 64 else f"'{safe}...'"


def _bad(message: str) -> Fault:
    return Fault(400, f"{message}.", code="invalid_json")
