"""`denizen eval`: base, merged and shipped model on the frozen holdout."""

from __future__ import annotations

import typer

from denizen.cli._common import (
    ConfigOption,
    FullOption,
    JsonOption,
    WorkspaceOption,
    emit,
    run_line,
    workspace_of,
)

app = typer.Typer()


@app.command("eval")
def evaluate(
    workspace: WorkspaceOption = None,
    config: ConfigOption = None,
    full: FullOption = False,
    json: JsonOption = False,
) -> None:
    """Run (or resume) the main line up to the scores of the shipped GGUF."""
    from denizen.project import list_runs

    run_line("eval", workspace, config, full, json, until="shipped score")
    stages = list_runs(workspace_of(workspace))[0].stages
    value = {s.name: s.figures for s in stages if s.name.endswith("score")}
    rows = [f"{name:<16}{f['accuracy']:>8.1%} of {f['n']}" for name, f in value.items()]
    emit(value, json, "\n".join(rows))
