"""Traces for people and for files: a list, one in full, JSON lines and OTLP.

Contract: pure functions over a TraceReader. `exported` writes one JSON object a line that
`denizen ingest traces` reads back without loss; files appear whole or not at all.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from denizen.project.atomic import atomic_path
from denizen.project.errors import DataError, WorkspaceError, from_os_error
from denizen.serve.traces import otlp
from denizen.serve.traces.reader import TraceReader
from denizen.serve.traces.rows import Stored
from denizen.serve.traces.spans import Span, pack

FORMAT = "denizen_trace"
VERSION = 1
_BODY = 200  # spans of one line of OTLP
_TURNS = 1000  # of one trace


def summary(stored: Stored) -> dict[str, Any]:
    """A turn as JSON, without its content."""
    trace = stored.trace
    return {
        "trace_id": trace.id,
        "number": stored.number,
        "at": when(trace.started),
        "arrived": trace.arrived,
        "caller": trace.caller,
        "request_id": trace.request_id,
        "model": trace.model,
        "origin": trace.origin,
        "error": trace.error,
        "flags": list(trace.flags),
        "seconds": round((trace.ended - trace.started) / 1e9, 4),
        "prompt_tokens": trace.prompt_tokens,
        "completion_tokens": trace.completion_tokens,
        "confidence": trace.confidence,
        "content": trace.content,
        "consent": trace.consent,
        "score": stored.score,
        "eligible": stored.eligible,
    }


def full(store: TraceReader, trace_id: str) -> dict[str, Any]:
    """A trace with its turns, spans and feedback; `trace_id` may be its beginning.

    Raises DataError when there is none, or more than one.
    """
    key = resolve(store, trace_id)
    turns = store.turns(trace_id=key, limit=_TURNS, oldest_first=True)
    return {
        "trace_id": key,
        "turns": [
            {**summary(one), "question": one.trace.question, "answer": one.trace.answer}
            for one in turns
        ],
        "spans": [_span(span) for span in store.spans(key)],
        "feedback": [asdict(one) for one in store.feedback(key)],
    }


def resolve(store: TraceReader, trace_id: str) -> str:
    """The whole id of a trace from its beginning."""
    found = store.ids(trace_id.strip().lower(), limit=2)
    if not found:
        raise DataError(
            f"no trace {trace_id!r}", where=str(store.path), fix="see `denizen traces list`"
        )
    if len(found) > 1 and trace_id not in found:
        raise DataError(
            f"more than one trace begins with {trace_id!r}",
            where=str(store.path),
            fix="give more of its id",
        )
    return trace_id if trace_id in found else found[0]


def lines(store: TraceReader, *, eligible: bool = False) -> Iterator[str]:
    """Every turn as a line of JSON; the spans and feedback of a trace come with its first turn.

    With `eligible`, a trace's other turns are left out, and their spans and the caller's, too.
    """
    seen: set[str] = set()
    for stored in store.all_turns(eligible=eligible):
        key = stored.trace.id
        value = {
            FORMAT: VERSION,
            "trace": {**asdict(stored.trace), "flags": list(stored.trace.flags)},
            "score": stored.score,
            "eligible": stored.eligible,
            "feedback": [] if key in seen else [asdict(one) for one in store.feedback(key)],
            "otlp": None,
        }
        if key not in seen:
            spans = store.spans(key)
            if eligible:
                agreed = store.turns(trace_id=key, eligible=True, limit=_TURNS)
                spans = _beneath(spans, {one.trace.root for one in agreed})
            value["otlp"] = json.loads(otlp.encode(spans, otlp.JSON))
        seen.add(key)
        yield json.dumps(value, ensure_ascii=False)


def _beneath(spans: list[Span], roots: set[str]) -> list[Span]:
    """Spans of turns with these roots; a turn that came in from elsewhere has none, and all."""
    if "" in roots:
        return spans
    parents = {span.span_id: span.parent for span in spans}

    def inside(key: str) -> bool:
        walked: set[str] = set()
        while key in parents and key not in roots and key not in walked:
            walked.add(key)
            key = parents[key]
        return key in roots

    return [span for span in spans if inside(span.span_id)]


def otlp_lines(store: TraceReader) -> Iterator[str]:
    """Every span, as lines of OTLP JSON: what a collector's file receiver reads."""
    last = 0
    while page := store.every_span_after(last, _BODY):
        yield otlp.encode([span for _, span in page], otlp.JSON).decode()
        last = page[-1][0]


def exported(
    store: TraceReader, path: Path, form: Literal["jsonl", "otlp"], *, eligible: bool = False
) -> int:
    """Write all to a file; returns the number of lines."""
    count = 0
    source = lines(store, eligible=eligible) if form == "jsonl" else otlp_lines(store)
    try:
        with atomic_path(path) as part:
            part.touch(0o600)
            with part.open("w", encoding="utf-8", errors="replace") as file:
                for line in source:
                    file.write(line + "\n")
                    count += 1
    except OSError as error:
        raise from_os_error(error, path) or WorkspaceError(
            f"cannot write the traces, {(error.strerror or str(error)).lower()}",
            where=str(path),
            fix="name a file in a folder that can be written",
        ) from error
    return count


def when(ns: int) -> str:
    """A time as ISO 8601, UTC."""
    return datetime.fromtimestamp(ns / 1e9, UTC).isoformat("T", "milliseconds")


def _span(span: Span) -> dict[str, Any]:
    """JSON of a span for people: what JSON lacks is tagged."""
    value: dict[str, Any] = json.loads(pack(asdict(span)))
    value["seconds"] = round((span.end - span.start) / 1e9, 6)
    return value
