"""What an upstream may send that is no answer: empty, a web page, broken JSON, endless repeats.

Contract: `why_rubbish` says in a few words of our own why a reply is refused, or None; nothing of
the reply is quoted.  A JSON answer is checked against the schema that was asked for.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from denizen.serve.exchange import Format

LONGEST = 200_000  # characters of an answer
_PAGE = re.compile(r"\s*(?:<!doctype\s+html|<html[\s>]|<\?xml\s)", re.IGNORECASE)
# Text in a loop compresses to almost nothing; tables and lists of records stay above this.
_LOOP, _LEAST = 0.08, 200


def why_rubbish(text: str, wanted: Format) -> str | None:
    """Why a reply's text is no answer, None if it may be one."""
    if not any(c.isprintable() and not c.isspace() for c in text):
        return "an empty answer"
    if len(text) > LONGEST:
        return "an answer without end"
    if _PAGE.match(text):
        return "a web page"
    data = text.encode("utf-8", "replace")
    if len(data) >= _LEAST and len(zlib.compress(data)) < _LOOP * len(data):
        return "an answer that repeats itself"
    if wanted.kind == "text":
        return None
    try:
        value = json.loads(text)
        json.dumps(value, allow_nan=False)  # Python reads NaN and 1e999, no client does
    except (ValueError, RecursionError):
        return "no valid JSON"
    if not isinstance(value, dict):
        return "JSON that is no object"
    if wanted.kind == "json_schema" and wanted.schema is not None:
        return _unlike(value, wanted.schema)
    return None


def _unlike(value: Any, schema: Mapping[str, Any]) -> str | None:
    """Why a value does not fit a schema: checked as our own answers are, nothing is fetched."""
    from denizen.serve.answering.formats import faults
    from denizen.serve.exchange import Fault

    try:
        found = faults(value, schema)
    except Fault:
        return "JSON that cannot be checked against the schema"
    # Where it breaks the schema, and not how: the message would quote the reply.
    return f"JSON against the schema, at {found[0].partition(':')[0][:80]}" if found else None
