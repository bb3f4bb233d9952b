"""What Langfuse exports: rows of traces, observations and scores, put together by trace.

Contract: pure. Takes one row at a time, as the UI's JSON and CSV, the public API's pages and the
blob storage export have them (camelCase or snake_case), in any order and over any number of files;
`drafts` gives one Draft a trace. A row that is none of these raises NotLangfuse in one line.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from denizen.serve.traces.meaning import answer_of, question_of
from denizen.serve.traces.spans import LAST_NS

_MODELS = ("GENERATION", "AGENT", "CHAIN")


class NotLangfuse(ValueError):
    """A row that is no trace, observation or score."""


@dataclass(slots=True)
class Draft:
    """What was read of one trace so far; times in ns, 0 if unknown."""

    id: str
    file: str
    line: int
    question: str = ""
    answer: str = ""
    model: str = ""
    started: int = 0
    ended: int = 0
    error: str = ""
    tags: tuple[str, ...] = ()
    scores: dict[str, list[tuple[str, float, str]]] = field(default_factory=dict)
    # (is no root, is no model call, start, question, answer): the least is what the user saw
    inner: list[tuple[bool, bool, int, str, str]] = field(default_factory=list)


class Rows:
    """Rows as they come."""

    def __init__(self) -> None:
        self._drafts: dict[str, Draft] = {}

    def add(self, row: Mapping[str, Any], file: str, line: int) -> None:
        """One row; raises NotLangfuse."""
        if isinstance(trace := row.get("trace"), Mapping):
            row = {**trace, **{k: v for k, v in row.items() if k != "trace"}}
        known = {_plain(key): value for key, value in row.items() if value not in (None, "")}
        if "traceid" in known and "value" in known and "name" in known and "input" not in known:
            self._score(self._draft(known["traceid"], file, line), known)
        elif "traceid" in known:
            self._observation(self._draft(known["traceid"], file, line), known)
        elif "id" in known and known.keys() & {"input", "output", "observations", "timestamp"}:
            self._trace(self._draft(known["id"], file, line), known, file, line)
        else:
            raise NotLangfuse("neither a trace, nor an observation, nor a score")

    def drafts(self) -> Iterator[Draft]:
        """Every trace, in the order in which they were first seen."""
        for draft in self._drafts.values():
            for *_, question, answer in sorted(draft.inner):
                draft.question = draft.question or question
                draft.answer = draft.answer or answer
            yield draft

    def _draft(self, key: Any, file: str, line: int) -> Draft:
        if not isinstance(key, str) or len(key) > 256:
            raise NotLangfuse("the id of the trace is no text")
        return self._drafts.setdefault(key, Draft(key, file, line))

    def _trace(self, draft: Draft, row: dict[str, Any], file: str, line: int) -> None:
        # The trace's own words are what the user saw; observations only fill what is missing.
        draft.question = question_of(row.get("input")) or draft.question
        draft.answer = answer_of(row.get("output")) or draft.answer
        draft.file, draft.line = file, line
        _times(draft, when(row.get("timestamp")), 0)
        tags = _list(row.get("tags"))
        draft.tags = tuple(str(tag)[:256] for tag in tags[:32])
        for one in _list(row.get("observations")):
            if isinstance(one, Mapping):
                known = {_plain(k): v for k, v in one.items() if v not in (None, "")}
                self._observation(draft, known)
        self._scores(draft, row.get("scores"))

    def _observation(self, draft: Draft, row: dict[str, Any]) -> None:
        started, ended = when(row.get("starttime")), when(row.get("endtime"))
        _times(draft, started, ended)
        kind = str(row.get("type", "")).upper()
        inner = bool(row.get("parentobservationid"))
        draft.inner.append(
            (
                inner,
                kind not in _MODELS,
                started,
                question_of(row.get("input")),
                answer_of(row.get("output")),
            )
        )
        if kind == "GENERATION" or not draft.model:
            draft.model = str(row.get("providedmodelname") or row.get("model") or draft.model)
        if not inner and str(row.get("level", "")).upper() == "ERROR":
            draft.error = "error"

    def _scores(self, draft: Draft, value: Any) -> None:
        """Objects, or a map of name to one number or several, as tables of the UI have them."""
        if isinstance(value, Mapping):
            for name, inner in value.items():
                for one in inner if isinstance(inner, list) else [inner]:
                    self._score(draft, {"name": name, "value": one})
            return
        for one in _list(value):
            if isinstance(one, Mapping):  # the API's lists may hold ids alone
                self._score(draft, {_plain(key): inner for key, inner in one.items()})

    def _score(self, draft: Draft, row: dict[str, Any]) -> None:
        number = _number(row.get("value"))
        number = math.nan if number is None else number  # a category: told, if it is users' own
        name = _plain(str(row.get("name", "")))[:256]
        key = str(row.get("id") or f"{draft.id}/{name}/{number}")
        draft.scores.setdefault(name, []).append((key, number, str(row.get("comment") or "")))


def when(value: Any) -> int:
    """ISO 8601, or `YYYY-MM-DD HH:MM:SS.ffffff` (UTC), as ns since 1970; 0 when it is neither."""
    if not isinstance(value, str):
        return 0
    try:
        found = datetime.fromisoformat(value.strip())
    except ValueError:
        return 0
    found = found if found.tzinfo else found.replace(tzinfo=UTC)
    return min(max(0, round(found.timestamp() * 1e6) * 1000), LAST_NS)


def _times(draft: Draft, started: int, ended: int) -> None:
    if started:
        draft.started = min(draft.started or started, started)
    draft.ended = max(draft.ended, started, ended)


def _plain(key: str) -> str:
    """`trace_id`, `traceId` and `Trace ID` are one name."""
    return key.lower().replace("_", "").replace("-", "").replace(" ", "")


def _number(value: Any) -> float | None:
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return float(value.strip().lower() == "true")
    if not isinstance(value, str | bool | int | float):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _list(value: Any) -> list[Any]:
    """A list, also as JSON in a cell of CSV."""
    if isinstance(value, str) and value[:1] == "[":
        try:
            value = json.loads(value)
        except ValueError:
            return []
    return value if isinstance(value, list) else []
