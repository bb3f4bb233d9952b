"""Traces out of files: Langfuse's exports, OTLP in JSON or protobuf, and our own.

Contract: every record is either Found or a Reject with its file, line and reason; nothing is passed
over silently. A file that is none of these, or cannot be read, raises DataError in one line. Files
are read whole (`LONGEST` bytes at most, gzip allowed); JSON lines and CSV record by record.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, get_args

from denizen.project.errors import DataError
from denizen.serve.traces import context, otlp
from denizen.serve.traces.content import clean
from denizen.serve.traces.langfuse_files import Draft, NotLangfuse, Rows
from denizen.serve.traces.otlp_json import Malformed
from denizen.serve.traces.spans import LAST_NS, Content, Feedback, Span, Trace
from denizen.serve.traces.views import FORMAT, VERSION

LONGEST = 2**30
_CELL = 16 * 2**20  # characters of one cell of CSV
_SUFFIXES = (".json", ".jsonl", ".ndjson", ".csv", ".pb", ".otlp", ".bin", ".gz")
_LIMITS = otlp.Limits(spans=1_000_000)
# What the fields of our own lines may hold, by how they are declared; any other is text.
_TYPES: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "bool": (bool,),
    "float": (int, float),
    "float | None": (int, float, type(None)),
    "tuple[str, ...]": (tuple,),
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stood."""

    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that could not be taken."""

    place: Place
    reason: str


@dataclass(slots=True)
class Read:
    """All that was read. `own` are traces of our own export, `spans` are OTLP's."""

    drafts: list[Draft] = field(default_factory=list)
    own: list[tuple[Trace, list[Span], list[Feedback], Place]] = field(default_factory=list)
    spans: list[tuple[list[Span], Place]] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    records: int = 0


def read(paths: Sequence[Path], said: Callable[[int], None] = lambda size: None) -> Read:
    """Read files and folders; `said` is told the bytes of every file that is done."""
    result, rows = Read(), Rows()
    for path in files_of(paths):
        data = _bytes(path)
        before = result.records
        _read_one(path, data, result, rows)
        if result.records == before:
            raise DataError(
                "no traces in this file", where=str(path), fix="give an export of traces"
            )
        said(len(data))
    result.drafts = list(rows.drafts())
    return result


def files_of(paths: Sequence[Path]) -> list[Path]:
    """The files, those of a folder sorted; raises DataError for what is not there."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.is_file() and p.suffix in _SUFFIXES)
            if not inside:
                raise DataError("no traces in this folder", where=str(path), fix="name a file")
            found += inside
        else:
            found.append(path)
    return found


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > LONGEST:
            raise DataError("the file is too long", where=str(path), fix="split it by lines")
        data = path.read_bytes()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise DataError(
            f"cannot read traces, {reason}", where=str(path), fix="name a readable file"
        ) from error
    if data[:2] != b"\x1f\x8b":
        return data
    inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        data = inflate.decompress(data, LONGEST)
    except zlib.error as error:
        raise DataError("not valid gzip", where=str(path), fix="export it again") from error
    if inflate.unconsumed_tail or not inflate.eof or inflate.unused_data:
        raise DataError("gzip too long, cut or joined", where=str(path), fix="unpack it first")
    return data


def _read_one(path: Path, data: bytes, result: Read, rows: Rows) -> None:
    if data[:1] == b"\n":  # how OTLP begins; the length after it may look like a bracket
        with contextlib.suppress(Malformed):
            _read_binary(path, data, result)
            return
    start = data[:4096].lstrip(b"\xef\xbb\xbf \t\r\n")
    try:
        if start[:1] not in (b"{", b"[") and path.suffix.removesuffix(".gz") != ".csv":
            _read_binary(path, data, result)
            return
        text = data.decode("utf-8-sig")
    except (UnicodeDecodeError, Malformed) as error:
        if _looks_like_text(data):
            _read_csv(path, data.decode("utf-8-sig"), result, rows)
            return
        raise DataError(
            "neither JSON, nor CSV, nor OTLP", where=str(path), fix="give an export of traces"
        ) from error
    if start[:1] in (b"{", b"["):
        for place, value in _values(path, text, result):
            _take(value, place, result, rows)
    else:
        _read_csv(path, text, result, rows)


def _looks_like_text(data: bytes) -> bool:
    try:
        return b"," in data and b"\x00" not in data and bool(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return False


def _read_binary(path: Path, data: bytes, result: Read) -> None:
    decoded = otlp.decode(data, otlp.PROTOBUF, _LIMITS)
    if not decoded.spans and not decoded.rejected:
        raise Malformed("no spans")
    _take_spans(decoded, Place(clean(path.name), 1), result)


def _take_spans(decoded: otlp.Decoded, place: Place, result: Read) -> None:
    result.records += 1
    if decoded.spans:
        result.spans.append((list(decoded.spans), place))
    if decoded.rejected:
        result.rejects.append(Reject(place, f"{decoded.rejected} spans: {decoded.reason}"))


def _values(path: Path, text: str, result: Read) -> Iterator[tuple[Place, Any]]:
    """The records of JSON: lines, one after the other, or the items of an array, with their line.

    A line that is broken is rejected and the next is read; in an array all after it is lost.
    """
    decoder, position, line, counted = json.JSONDecoder(), 0, 1, 0
    array = text.lstrip()[:1] == "["
    position = text.index("[") + 1 if array else 0
    while True:
        while position < len(text) and text[position] in " \t\r\n,":
            position += 1
        if position >= len(text) or (array and text[position] == "]"):
            return
        line += text.count("\n", counted, position)
        counted = position
        place = Place(clean(path.name), line)
        try:
            value, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError) as error:
            result.records += 1
            reason = error.msg if isinstance(error, json.JSONDecodeError) else "nested too deeply"
            following = text.find("\n", position)
            if array or following < 0:
                more = " (nothing after it could be read)" if array else ""
                result.rejects.append(Reject(place, f"not valid JSON: {reason}{more}"))
                return
            result.rejects.append(Reject(place, f"not valid JSON: {reason}"))
            position = following
            continue
        yield place, value


def _read_csv(path: Path, text: str, result: Read, rows: Rows) -> None:
    before, line = csv.field_size_limit(_CELL), 1
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        line = 1 + bool(reader.fieldnames) * reader.line_num
        for row in reader:
            known = {key: value for key, value in row.items() if key is not None}
            _take(known, Place(clean(path.name), line), result, rows)
            line = reader.line_num + 1
    except csv.Error as error:
        result.records += 1
        result.rejects.append(Reject(Place(clean(path.name), line), f"not valid CSV: {error}"))
    finally:
        csv.field_size_limit(before)


def _take(value: Any, place: Place, result: Read, rows: Rows, *, page: bool = True) -> None:
    """One record: ours, OTLP's, a page of an API, or a row of Langfuse's."""
    if not isinstance(value, dict):
        result.records += 1
        result.rejects.append(Reject(place, "not an object"))
        return
    if "resourceSpans" in value:
        try:
            _take_spans(otlp.decode(json.dumps(value).encode(), otlp.JSON, _LIMITS), place, result)
        except Malformed as error:
            result.records += 1
            result.rejects.append(Reject(place, str(error)))
        return
    pages = [value[k] for k in ("data", "traces", "observations", "scores") if k in value]
    alone = pages and not value.keys() & {"id", "trace"}
    if page and alone and all(isinstance(found, list) for found in pages):
        for found in pages:
            for one in found:
                _take(one, place, result, rows, page=False)
        return
    result.records += 1
    try:
        if FORMAT in value:
            result.own.append((*_own(value), place))
        else:
            rows.add(value, place.file, place.line)
    except (NotLangfuse, Malformed) as error:
        result.rejects.append(Reject(place, str(error)))
    except (KeyError, TypeError, ValueError, AttributeError):
        result.rejects.append(Reject(place, "not as `denizen traces export` writes it"))


def _own(value: dict[str, Any]) -> tuple[Trace, list[Span], list[Feedback]]:
    if value[FORMAT] != VERSION:
        raise NotLangfuse(f"version {value[FORMAT]!r}, this Denizen knows {VERSION}")
    given = dict(value["trace"])
    trace = Trace(**{**given, "flags": tuple(map(str, given["flags"])), "arrived": "file"})
    if not _typed(trace) or not context.is_trace_id(trace.id):
        raise ValueError("wrong types")
    if not 0 < trace.started <= trace.ended or trace.content not in get_args(Content):
        raise ValueError("wrong times")
    spans: list[Span] = []
    if value.get("otlp"):
        body = json.dumps(value["otlp"]).encode()
        spans = list(otlp.decode(body, otlp.JSON, _LIMITS).spans)
    feedback = [Feedback(**one) for one in value.get("feedback") or ()]
    if not all(_typed(one) and one.trace_id == trace.id and -1 <= one.score <= 1
               for one in feedback):  # fmt: skip
        raise ValueError("feedback of another trace")
    return trace, spans, feedback


def _typed(made: Trace | Feedback) -> bool:
    """Whether every field is of its declared type, and no number beyond what is stored."""
    for one in fields(made):
        value, kind = getattr(made, one.name), _TYPES.get(str(one.type), (str,))
        if type(value) not in kind:
            return False
        if isinstance(value, int | float) and not abs(value) <= LAST_NS:
            return False
    return True
