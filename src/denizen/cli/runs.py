"""`denizen runs`: what was run, from what, with what result."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from denizen.cli._common import JsonOption, WorkspaceOption, emit, workspace_of

app = typer.Typer(no_args_is_help=True)
RunId = Annotated[str, typer.Argument(help="Run id, its start or end, or 'last'.")]


@app.command("list")
def list_all(workspace: WorkspaceOption = None, json: JsonOption = False) -> None:
    """All runs, newest first."""
    from denizen.project import list_runs

    runs = list_runs(workspace_of(workspace))
    rows = [
        f"{r.id}  {r.status:<12}{len(r.stages):>2} stages "
        f"{sum(s.seconds for s in r.stages if not s.reused):>7.0f} s  {r.command}"
        for r in runs
    ]
    emit([asdict(r) for r in runs], json, "\n".join(rows) or "no runs yet: denizen quickstart")


@app.command()
def show(run: RunId, workspace: WorkspaceOption = None, json: JsonOption = False) -> None:
    """One run: stages, hashes, figures and the lineage of what it made last."""
    from denizen.project import Store, find_run

    place = workspace_of(workspace)
    record = find_run(place, run)
    lines = [f"{record.id}  {record.status}  {record.command}", ""]
    for stage in record.stages:
        made = " ".join(f"{k}={v[:12]}" for k, v in stage.outputs.items())
        reused = " (reused)" if stage.reused else ""
        lines.append(f"{stage.name:<16}{stage.seconds:>8.1f} s  {made}{reused}")
    outputs = [h for s in record.stages for h in s.outputs.values()]
    lineage = Store(place).lineage(outputs[-1]) if outputs else []
    if lineage:
        lines += ["", "lineage"] + [f"  {a.kind:<12}{a.hash[:12]}" for a in lineage]
    chain = [{"kind": a.kind, "hash": a.hash} for a in lineage]
    emit({**asdict(record), "lineage": chain}, json, "\n".join(lines))


@app.command()
def diff(
    first: RunId, second: RunId, workspace: WorkspaceOption = None, json: JsonOption = False
) -> None:
    """What differs between two runs: configuration, inputs, outputs, figures."""
    from denizen.project import find_run

    place = workspace_of(workspace)
    one, two = (_flat(find_run(place, r)) for r in (first, second))
    keys = [k for k in dict.fromkeys([*one, *two]) if one.get(k) != two.get(k)]
    value = {k: [one.get(k), two.get(k)] for k in keys}
    rows = [f"{k}\n  - {_short(a)}\n  + {_short(b)}" for k, (a, b) in value.items()]
    emit(value, json, "\n".join(rows) or "no difference")


def _flat(record: Any) -> dict[str, Any]:
    flat: dict[str, Any] = {}

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(f"{prefix}.{key}" if prefix else str(key), inner)
        elif not isinstance(value, list):
            flat[prefix] = value

    walk("config", record.config)
    for stage in record.stages:
        walk(f"{stage.name}.inputs", stage.inputs)
        walk(f"{stage.name}.outputs", stage.outputs)
        walk(f"{stage.name}.figures", stage.figures)
    return flat


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
