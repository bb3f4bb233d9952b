"""Ids and the W3C traceparent header (Trace Context, level 1).

Contract: `parse` takes an untrusted header and returns the caller's trace and span, or None: a
wrong header is ignored, as the recommendation demands, and a new trace begins. Ids are random.
"""

from __future__ import annotations

import re
import secrets
from typing import NamedTuple

_HEADER = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.{0,256})?")
_TRACE = re.compile(r"[0-9a-f]{32}")
_SPAN = re.compile(r"[0-9a-f]{16}")


class Parent(NamedTuple):
    """The span that called us; bit 0 of `flags` says whether the caller records it."""

    trace_id: str
    span_id: str
    flags: int


def parse(header: str) -> Parent | None:
    """The caller of a request, None when the header is missing or wrong."""
    found = _HEADER.fullmatch(header.strip()) if len(header) < 400 else None
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == "ff" or (version == "00" and more):
        return None
    if not is_trace_id(trace_id) or not is_span_id(span_id):
        return None
    return Parent(trace_id, span_id, int(flags, 16))


def header(trace_id: str, span_id: str) -> str:
    """What to send on, so that whoever is asked next joins the trace."""
    return f"00-{trace_id}-{span_id}-01"


def new_trace_id() -> str:
    """128 random bits: whoever knows one was told it."""
    return secrets.token_hex(16)


def new_span_id() -> str:
    """64 random bits."""
    return secrets.token_hex(8)


def is_trace_id(text: str) -> bool:
    """32 digits of lower-case hex, not all zero."""
    return bool(_TRACE.fullmatch(text)) and text.strip("0") != ""


def is_span_id(text: str) -> bool:
    """16 digits of lower-case hex, not all zero."""
    return bool(_SPAN.fullmatch(text)) and text.strip("0") != ""
