"""Spans, traces and feedback to rows of the file and back; nothing is lost on the way.

Contract: `put_*` run inside the writer's transaction. What is there already stays as it is: a span
that comes twice is one span, and nobody can overwrite another's. `read_*` take a WHERE clause of
ours with its parameters, never text from outside.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from denizen.serve.traces.content import clean
from denizen.serve.traces.spans import (
    Arrived,
    Event,
    Feedback,
    Link,
    Source,
    Span,
    Trace,
    pack,
    unpack,
)

_TRACE = (
    "id, root, arrived, received, started, ended, request_id, caller, model, origin, error, flags,"
    " confidence, prompt_tokens, completion_tokens, content, question, answer, consent, injection,"
    " licence, provenance"
)
_SPAN = "trace, id, parent, arrived, received, name, kind, started, ended, status, attributes, rest"


@dataclass(frozen=True, slots=True)
class Stored:
    """A trace as it lies in the file, with what feedback made of it."""

    number: int
    trace: Trace
    received: int
    score: float | None
    eligible: bool


def put_trace(db: sqlite3.Connection, trace: Trace) -> bool:
    """Write a turn; False when it was there."""
    if trace.arrived == "served":
        # What the caller's own spans said of this trace before is known better now.
        db.execute("DELETE FROM traces WHERE id = ? AND arrived = 'otlp'", (trace.id,))
    row = (
        trace.id,
        trace.root,
        trace.arrived,
        time.time_ns(),
        trace.started,
        trace.ended,
        clean(trace.request_id),
        clean(trace.caller),
        clean(trace.model),
        trace.origin,
        clean(trace.error),
        pack([clean(flag) for flag in trace.flags]),
        trace.confidence,
        trace.prompt_tokens,
        trace.completion_tokens,
        trace.content,
        clean(trace.question),
        clean(trace.answer),
        trace.consent,
        trace.injection,
        clean(trace.licence),
        clean(trace.provenance),
    )
    marks = ", ".join("?" * len(row))
    done = db.execute(f"INSERT OR IGNORE INTO traces ({_TRACE}) VALUES ({marks})", row)
    return done.rowcount == 1


def put_spans(db: sqlite3.Connection, spans: Sequence[Span], arrived: Arrived) -> int:
    """Write spans with their events; returns how many were new."""
    now, new = time.time_ns(), 0
    for span in spans:
        rest: dict[str, Any] = {}
        if span.message:
            rest["message"] = span.message
        if span.links:
            rest["links"] = [asdict(link) for link in span.links]
        if span.state:
            rest["state"] = span.state
        if span.flags:
            rest["flags"] = span.flags
        if any(span.dropped):
            rest["dropped"] = span.dropped
        if span.source is not None:
            rest["source"] = asdict(span.source)
        row = (
            span.trace_id,
            span.span_id,
            span.parent,
            arrived,
            now,
            clean(span.name),
            span.kind,
            span.start,
            span.end,
            span.status,
            pack(span.attributes),
            pack(rest),
        )
        marks = ", ".join("?" * len(row))
        done = db.execute(f"INSERT OR IGNORE INTO spans ({_SPAN}) VALUES ({marks})", row)
        if done.rowcount != 1:
            continue
        new += 1
        db.executemany(
            "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)",
            [
                (done.lastrowid, place, clean(e.name), e.at, pack(e.attributes), e.dropped)
                for place, e in enumerate(span.events)
            ],
        )
    return new


def put_feedback(db: sqlite3.Connection, feedback: Feedback, arrived: Arrived) -> bool:
    """Write feedback; False when it was there."""
    row = (
        feedback.id,
        feedback.trace_id,
        arrived,
        feedback.score,
        clean(feedback.comment),
        clean(feedback.caller),
        feedback.at,
    )
    done = db.execute(
        "INSERT OR IGNORE INTO feedback (id, trace, arrived, score, comment, caller, at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        row,
    )
    return done.rowcount == 1


def known(db: sqlite3.Connection, trace_id: str) -> bool:
    """Whether anything of a trace is stored."""
    query = "SELECT 1 FROM traces WHERE id = ? UNION ALL SELECT 1 FROM spans WHERE trace = ?"
    return db.execute(f"{query} LIMIT 1", (trace_id, trace_id)).fetchone() is not None


def turns_of(db: sqlite3.Connection, trace_id: str) -> list[Arrived]:
    """How the turns of a trace came here."""
    found = db.execute("SELECT arrived FROM traces WHERE id = ?", (trace_id,))
    return [arrived for (arrived,) in found]


def merge(db: sqlite3.Connection, trace: Trace) -> None:
    """A trace that was received before, described anew; it stays the turn it was."""
    db.execute(
        "UPDATE traces SET started = ?, ended = ?, model = ?, error = ?, flags = ?, injection = ?,"
        " prompt_tokens = ?, completion_tokens = ?, content = ?, question = ?, answer = ?"
        " WHERE id = ? AND arrived = 'otlp'",
        (
            trace.started,
            trace.ended,
            clean(trace.model),
            clean(trace.error),
            pack([clean(flag) for flag in trace.flags]),
            trace.injection,
            trace.prompt_tokens,
            trace.completion_tokens,
            trace.content,
            clean(trace.question),
            clean(trace.answer),
            trace.id,
        ),
    )


def read_traces(
    db: sqlite3.Connection, where: str, parameters: Sequence[Any] = ()
) -> Iterator[Stored]:
    """Turns that `where` (and its order and limit) finds."""
    query = f"SELECT number, score, eligible, {_TRACE} FROM judged WHERE {where}"
    for number, score, eligible, *row in db.execute(query, parameters):
        (id_, root, arrived, received, *times) = row[:6]
        (request_id, caller, model, origin, error, flags, confidence) = row[6:13]
        (prompt, completion, content, question, answer, consent, _, licence, provenance) = row[13:]
        trace = Trace(
            id=id_,
            root=root,
            arrived=arrived,
            started=times[0],
            ended=times[1],
            request_id=request_id,
            caller=caller,
            model=model,
            origin=origin,
            error=error,
            flags=tuple(unpack(flags)),
            confidence=confidence,
            prompt_tokens=prompt,
            completion_tokens=completion,
            content=content,
            question=question,
            answer=answer,
            consent=bool(consent),
            licence=licence,
            provenance=provenance,
        )
        yield Stored(number, trace, received, score, bool(eligible))


def read_spans(
    db: sqlite3.Connection, where: str, parameters: Sequence[Any] = (), most: int = 0
) -> list[tuple[int, Span]]:
    """Spans that `where` finds, each with its number; no more once they have `most` characters."""
    found, length = [], 0
    query = f"SELECT number, {_SPAN} FROM spans WHERE {where}"
    for number, trace, id_, parent, _, _, name, kind, *more in db.execute(query, parameters):
        started, ended, status, attributes, packed = more
        rest = unpack(packed)
        events = db.execute(
            "SELECT name, at, attributes, dropped FROM events WHERE span = ? ORDER BY position",
            (number,),
        ).fetchall()
        length += len(attributes) + len(packed) + sum(len(event[2]) for event in events)
        source = rest.get("source")
        span = Span(
            trace_id=trace,
            span_id=id_,
            parent=parent,
            name=name,
            kind=kind,
            start=started,
            end=ended,
            status=status,
            message=rest.get("message", ""),
            attributes=unpack(attributes),
            events=tuple(Event(n, at, unpack(a), dropped) for n, at, a, dropped in events),
            links=tuple(Link(**link) for link in rest.get("links", ())),
            state=rest.get("state", ""),
            flags=rest.get("flags", 0),
            dropped=tuple(rest.get("dropped", (0, 0, 0))),
            source=Source(**source) if source is not None else None,
        )
        found.append((number, span))
        if 0 < most <= length:
            break
    return found


def read_feedback(
    db: sqlite3.Connection, where: str, parameters: Sequence[Any] = ()
) -> list[tuple[int, Feedback]]:
    """Feedback that `where` finds, each with its number."""
    query = f"SELECT number, id, trace, score, comment, caller, at FROM feedback WHERE {where}"
    return [(number, Feedback(*row)) for number, *row in db.execute(query, parameters)]
