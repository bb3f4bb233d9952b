"""`denizen train`: the main line up to the train stage."""

from __future__ import annotations

import typer

from denizen.cli._common import (
    ConfigOption,
    JsonOption,
    WorkspaceOption,
    emit,
    run_line,
    workspace_of,
)

app = typer.Typer()


@app.command()
def train(
    workspace: WorkspaceOption = None, config: ConfigOption = None, json: JsonOption = False
) -> None:
    """Run (or resume) the main line up to this stage."""
    from denizen.project import Store, list_runs

    run_line("train", workspace, config, False, json, until="train")
    place = workspace_of(workspace)
    stage = list_runs(place)[0].stages[-1]
    artefact = Store(place).get(stage.outputs["adapter"])
    value = {"hash": artefact.hash, "path": str(artefact.path), "figures": stage.figures}
    emit(value, json, f"adapter {artefact.hash[:12]}: {artefact.path}")
