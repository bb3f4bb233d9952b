"""`denizen ingest traces`: production traces back in, as candidates for training.

Contract: `traces` is the command; `denizen ingest` registers it. A file that cannot be read is one
line and exit code 2; records that cannot be taken are counted and listed with their lines.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from denizen.cli._common import (
    ConfigOption,
    JsonOption,
    WorkspaceOption,
    config_of,
    emit,
    workspace_of,
)

if TYPE_CHECKING:
    from denizen.serve.traces.ingesting import Ingested

_SHOWN = 10


def traces(
    paths: Annotated[
        list[Path],
        typer.Argument(
            help="Langfuse exports (JSON, JSONL, CSV), OTLP (JSON, protobuf), our own; or folders."
        ),
    ],
    consent: Annotated[
        bool,
        typer.Option("--consent", help="Whoever asked agreed that it may become training data."),
    ] = False,
    licence: Annotated[
        str, typer.Option(help="Licence of these texts, kept with every one.")
    ] = "unknown",
    score: Annotated[
        list[str] | None,
        typer.Option("--score", help="Name of a score that is users' feedback (-1 to 1)."),
    ] = None,
    config: ConfigOption = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Read traces from files into the workspace; run again and only what is new is written."""
    from denizen.project import Bar
    from denizen.serve.operations.redaction import redact
    from denizen.serve.traces.content import Policy
    from denizen.serve.traces.ingesting import ingest
    from denizen.serve.traces.reading import files_of, read
    from denizen.serve.traces.store import FILE, TraceStore

    settings, place = config_of(config), workspace_of(workspace)
    policy = Policy("full" if settings.traces.content == "full" else "redacted", redact)
    size = sum(path.stat().st_size for path in files_of(paths) if path.is_file())
    with Bar("reading traces", size, json).shown() as bar:
        found = read(paths, bar.advance)
    store = TraceStore(place.path(FILE))
    try:
        total = len(found.drafts) + len(found.own) + len(found.spans)
        with Bar("storing traces", total, json).shown() as bar:
            result = ingest(
                found,
                store,
                place.root,
                consent=consent,
                licence=licence,
                policy=policy,
                **({"scores": score} if score else {}),
                said=bar.advance,
            )
    finally:
        store.close()
    emit(result.to_json(), json, "\n".join(_lines(result, consent)))


def _lines(result: Ingested, consent: bool) -> list[str]:
    lines = [
        f"{result.traces} traces from {result.records} records: {result.new} new, "
        f"{result.changed} changed, {result.unchanged} as before, {result.known} of this server",
        f"{result.eligible} may be trained on" + ("" if consent else " (none without --consent)"),
    ]
    lines += [f"written to {result.out}"] if result.new or result.changed else []
    for reject in result.rejects[:_SHOWN]:
        lines.append(f"rejected: {reject.place.file}:{reject.place.line}: {reject.reason}")
    if (more := len(result.rejects) - _SHOWN) > 0:
        lines.append(f"and {more} more; --json lists all")
    return lines
