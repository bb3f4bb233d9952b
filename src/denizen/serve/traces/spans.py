"""What a trace is made of: OTLP's spans with their events, and what is known of a turn as a whole.

Contract: frozen values; times are nanoseconds since 1970, ids lower-case hex (32 and 16 digits, as
W3C has them); attributes hold str, bool, int, float, bytes, lists and maps of these, as OTLP's
AnyValue does. `pack` and `unpack` are their lossless JSON.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Attributes = Mapping[str, Any]
Arrived = Literal["served", "otlp", "file"]
Content = Literal["none", "redacted", "full"]

INTERNAL, SERVER, CLIENT = 1, 2, 3  # kinds of spans (OTLP)
UNSET, OK, ERROR = 0, 1, 2  # states of spans (OTLP)
LAST_NS = 2**63 - 1  # what SQLite can hold; OTLP's own range is twice that


@dataclass(frozen=True, slots=True)
class Event:
    """A moment of a span."""

    name: str
    at: int
    attributes: Attributes = field(default_factory=dict)
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class Link:
    """A span of another trace that this one has to do with."""

    trace_id: str
    span_id: str
    state: str = ""
    attributes: Attributes = field(default_factory=dict)
    dropped: int = 0
    flags: int = 0


@dataclass(frozen=True, slots=True)
class Source:
    """Who wrote a span: the resource and the instrumentation scope, with their schema addresses."""

    attributes: Attributes = field(default_factory=dict)
    schema: str = ""
    scope: str = ""
    version: str = ""
    scope_attributes: Attributes = field(default_factory=dict)
    scope_schema: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of work. `parent` is empty for a root; `source` None means this server."""

    trace_id: str
    span_id: str
    name: str
    start: int
    end: int
    parent: str = ""
    kind: int = INTERNAL
    status: int = UNSET
    message: str = ""
    attributes: Attributes = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    links: tuple[Link, ...] = ()
    state: str = ""
    flags: int = 0
    dropped: tuple[int, int, int] = (0, 0, 0)  # attributes, events, links
    source: Source | None = None


@dataclass(frozen=True, slots=True)
class Trace:
    """One turn: a request that was served here, or a trace that came from elsewhere.

    A caller may send several requests in one W3C trace: `id` and `root` (the span of the request)
    name a turn together. `root` is empty when it came in. `error` is empty when it went well.
    `content` says how question and answer were kept. `provenance` is JSON.
    """

    id: str
    started: int
    ended: int
    root: str = ""
    arrived: Arrived = "served"
    request_id: str = ""
    caller: str = ""
    model: str = ""
    origin: str = ""
    error: str = ""
    flags: tuple[str, ...] = ()
    confidence: float | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    content: Content = "none"
    question: str = ""
    answer: str = ""
    consent: bool = False
    licence: str = ""
    provenance: str = ""

    @property
    def injection(self) -> bool:
        """Whether the guard took it for an injection, or had to go on without its model."""
        return any("injection" in word.lower() for word in (*self.flags, self.error))


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a user thought of a trace: `score` from -1 to 1, at most 0 counts as negative."""

    id: str
    trace_id: str
    score: float
    comment: str = ""
    caller: str = ""
    at: int = 0


def pack(value: Any) -> str:
    """A value as JSON; bytes and numbers that JSON lacks are tagged."""
    return json.dumps(_plain(value), separators=(",", ":"))


def unpack(text: str) -> Any:
    """The inverse of `pack`."""
    return _value(json.loads(text))


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": repr(value)}
    if isinstance(value, Mapping):
        plain = {str(key): _plain(inner) for key, inner in value.items()}
        return {"$map": plain} if any(key.startswith("$") for key in plain) else plain
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    return str(value)


def _value(plain: Any) -> Any:
    if isinstance(plain, list):
        return [_value(inner) for inner in plain]
    if not isinstance(plain, dict):
        return plain
    if len(plain) == 1:
        if "$bytes" in plain:
            return base64.b64decode(plain["$bytes"])
        if "$float" in plain:
            return float(plain["$float"])
        if "$map" in plain:
            plain = plain["$map"]
    return {key: _value(inner) for key, inner in plain.items()}
