"""`denizen traces`: what the server remembers: list, show, export, delete, purge."""

from __future__ import annotations

import time
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from denizen.cli._common import JsonOption, WorkspaceOption, emit, workspace_of

if TYPE_CHECKING:
    from denizen.serve.traces.reader import TraceReader
    from denizen.serve.traces.store import TraceStore

app = typer.Typer(no_args_is_help=True)
TraceId = Annotated[str, typer.Argument(help="Trace id, or the beginning of one.")]


class Form(StrEnum):
    """How traces are written."""

    jsonl = "jsonl"
    otlp = "otlp"


@app.callback()
def main() -> None:
    """What the server remembers of every request."""


def _reader(workspace: Path | None) -> TraceReader:
    from denizen.serve.traces.reader import TraceReader
    from denizen.serve.traces.store import FILE

    return TraceReader(workspace_of(workspace).path(FILE))


def _store(workspace: Path | None, name: str = "") -> TraceStore:
    from denizen.project import ArtefactError
    from denizen.serve.traces.store import FILE, TraceStore

    path = workspace_of(workspace).path(name or FILE)
    if not path.exists():
        raise ArtefactError("no traces here", where=str(path), fix="run `denizen serve` first")
    return TraceStore(path)


@app.command("list")
def list_traces(
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many, newest first.")] = 20,
    eligible: Annotated[
        bool, typer.Option("--eligible", help="Only what may be trained on.")
    ] = False,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Turns, newest first, without their content."""
    from denizen.serve.traces.views import summary

    found = _reader(workspace).turns(limit=limit, eligible=eligible)
    values = [summary(one) for one in found]
    rows = [
        f"{v['at'][:19]}  {v['trace_id'][:12]}  {v['origin'] or '-':<10}{v['seconds']:>8.3f} s"
        f"{v['completion_tokens']:>6} tokens  {'eligible' if v['eligible'] else '':<9}"
        f"{v['error'] or v['model']}"
        for v in values
    ]
    emit(values, json, _printable("\n".join(rows) or "no traces yet"))


@app.command()
def show(trace: TraceId, workspace: WorkspaceOption = None, json: JsonOption = False) -> None:
    """One trace: its turns, stages with their times, and feedback."""
    from denizen.serve.traces.views import full

    value = full(_reader(workspace), trace)
    emit(value, json, _printable("\n".join(_lines(value))))


@app.command()
def export(
    out: Annotated[Path, typer.Argument(help="File to write.")],
    form: Annotated[
        Form, typer.Option("--format", help="jsonl: ours, read back by ingest; otlp: OTLP JSON.")
    ] = Form.jsonl,
    eligible: Annotated[
        bool, typer.Option("--eligible", help="Only what may be trained on (jsonl).")
    ] = False,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Write all traces to a file, with whatever content was kept."""
    from denizen.project import ConfigError
    from denizen.serve.traces.views import exported

    if eligible and form is Form.otlp:
        raise ConfigError("OTLP knows no eligibility", where="--eligible", fix="use --format jsonl")
    lines = exported(_reader(workspace), out, form.value, eligible=eligible)
    emit({"out": str(out), "lines": lines}, json, f"{lines} lines written to {out}")


@app.command()
def delete(trace: TraceId, workspace: WorkspaceOption = None, json: JsonOption = False) -> None:
    """Forget one trace with all that belongs to it."""
    from denizen.serve.traces.ingesting import forget
    from denizen.serve.traces.views import resolve

    store = _store(workspace)
    try:
        key = resolve(store, trace)
        forget(workspace_of(workspace).root, [key])
        count = store.delete([key])
    finally:
        store.close()
    emit({"deleted": count, "trace_id": key}, json, f"trace {key} is deleted")


@app.command()
def purge(
    days: Annotated[float, typer.Option(min=0, max=36_500, help="Forget what is older than this.")],
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Forget what came in more than some days ago, also what waits for an exporter."""
    from denizen.serve.traces.ingesting import forget
    from denizen.serve.traces.store import FILE, SPOOL

    place, count = workspace_of(workspace), 0
    until = time.time_ns() - int(days * 86_400 * 10**9)
    for name in [name for name in (FILE, SPOOL) if place.path(name).exists()] or [FILE]:
        with closing(_store(workspace, name)) as store:
            before = store.origins().keys()
            count += store.purge(until)
            forget(place.root, before - store.origins().keys())
    emit({"deleted": count}, json, f"{count} turns deleted")


def _lines(value: dict[str, Any]) -> list[str]:
    lines = [f"trace {value['trace_id']}"]
    for turn in value["turns"]:
        state = turn["error"] or turn["origin"]
        lines.append(f"{turn['at']}  {state}  {turn['seconds']:.3f} s  {turn['model']}")
        lines += [f"  flags: {', '.join(turn['flags'])}"] if turn["flags"] else []
        lines += [f"  asked: {turn['question']}"] if turn["question"] else []
        lines += [f"  said: {turn['answer']}"] if turn["answer"] else []
    depth: dict[str, int] = {}
    for span in value["spans"]:
        depth[span["span_id"]] = depth.get(span["parent"], -1) + 1
        indent = "  " * (depth[span["span_id"]] + 1)
        lines.append(f"{indent}{span['name']:<40}{span['seconds'] * 1000:>10.2f} ms")
    for one in value["feedback"]:
        lines.append(f"  feedback {one['score']:+g} {one['comment']}".rstrip())
    return lines


def _printable(text: str) -> str:
    """What others wrote must not steer the terminal."""
    return "".join(c if c == "\n" or c.isprintable() else "\ufffd" for c in text)
