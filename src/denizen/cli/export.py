"""`denizen export`: the main line up to the export stage."""

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
def export(
    workspace: WorkspaceOption = None, config: ConfigOption = None, json: JsonOption = False
) -> None:
    """Run (or resume) the main line up to this stage."""
    from denizen.project import Store, list_runs

    run_line("export", workspace, config, False, json, until="export")
    place = workspace_of(workspace)
    stage = list_runs(place)[0].stages[-1]
    artefact = Store(place).get(stage.outputs["gguf"])
    value = {"hash": artefact.hash, "path": str(artefact.path), "figures": stage.figures}
    emit(value, json, f"gguf {artefact.hash[:12]}: {artefact.path}")
