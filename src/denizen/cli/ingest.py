"""`denizen ingest`: outside data into the workspace: events of a chain, documents, traces."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from denizen.cli._common import JsonOption, WorkspaceOption, emit, say, workspace_of
from denizen.cli.ingest_docs import docs
from denizen.cli.ingest_traces import traces

if TYPE_CHECKING:
    from denizen.evm.chain.ingest import Summary
    from denizen.evm.chain.rebuild import Report

app = typer.Typer(no_args_is_help=True)


@app.callback()
def main() -> None:
    """Outside data, checked on the way in."""


app.command("docs")(docs)
app.command("traces")(traces)


@app.command()
def chain(
    rpc: Annotated[
        str,
        typer.Option(
            help="JSON-RPC URL of a node; its key is neither shown nor stored.",
            envvar="DENIZEN_RPC_URL",
        ),
    ],
    pool: Annotated[str, typer.Option(help="Pool address; on v4 the pool id.")],
    version: Annotated[str, typer.Option(help="v2, v3, v4 or aave.")],
    manager: Annotated[str | None, typer.Option(help="PoolManager address, on v4.")] = None,
    start: Annotated[
        int | None,
        typer.Option("--from", min=0, help="First block (default 0; the creation block is best)."),
    ] = None,
    stop: Annotated[
        int | None, typer.Option("--to", min=0, help="Last block (default the newest final one).")
    ] = None,
    confirmations: Annotated[
        int, typer.Option(min=0, help="Blocks on top that make a block final.")
    ] = 64,
    out: Annotated[
        Path | None, typer.Option(help="JSON lines file (default in the workspace).")
    ] = None,
    skip_malformed: Annotated[
        bool, typer.Option("--skip-malformed", help="Set malformed logs aside and count them.")
    ] = False,
    recompute: Annotated[
        bool,
        typer.Option("--rebuild/--no-rebuild", help="Recompute every swap with the engine."),
    ] = True,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Fetch a pool's events from a node and recompute its swaps; run again to go on."""
    from denizen.evm.chain.event_file import load_events, load_state
    from denizen.evm.chain.events import Source
    from denizen.evm.chain.ingest import Job, ingest
    from denizen.evm.chain.rebuild import rebuild
    from denizen.evm.chain.rpc import Rpc

    source = Source.of(version, pool, manager)
    name = f"{version}-{source.pool_id or source.address}.jsonl"
    out = out or workspace_of(workspace).path("chain", name)
    job = Job(source, out, start, stop, confirmations, skip_malformed)
    with Rpc(rpc) as node:
        summary = ingest(node, job, say=(lambda _: None) if json else say, quiet=json)
    report = rebuild(version, load_events(out), load_state(out).facts) if recompute else None
    value = {**vars(summary), "rebuild": report.to_json() if report else None}
    emit(value, json, "\n".join(_lines(summary, report)))


def _lines(summary: Summary, report: Report | None) -> list[str]:
    if summary.last < summary.first:
        lines = ["no block is final yet"]
    else:
        lines = [f"blocks {summary.first} to {summary.last} are in {summary.out}"]
    lines.append(f"{summary.new_events} new events, {summary.malformed} of them malformed")
    if report is None:
        return lines
    lines.append(f"events: {_counts(report.events)}")
    if report.swaps:
        lines.append(
            f"swaps reproduced exactly: {report.reproduced} of {report.swaps} "
            f"({_percent(report)}): {_counts(report.kinds)}"
        )
    for title, counts in (("not reproduced", report.reasons), ("faults", report.faults)):
        if counts:
            lines.append(f"{title}: {_counts(counts)}")
    return lines + ([f"first: {report.first_failure}"] if report.first_failure else [])


def _percent(report: Report) -> str:
    """Rounded down: 100% means every one."""
    return f"{report.reproduced * 10_000 // report.swaps / 100:.2f}%"


def _counts(counts: Any) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.most_common()) or "none"
