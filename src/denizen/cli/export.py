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
    """Write every file that `export` in the configuration names, and prove the GGUFs' tokens."""
    from denizen.project import Store, list_runs

    run_line("export", workspace, config, False, json, until="export")
    place = workspace_of(workspace)
    store, value, lines = Store(place), {}, []
    for stage in list_runs(place)[0].stages:
        if not stage.name.startswith("export"):
            continue
        for kind in ("gguf", "lora", "vllm"):
            if kind in stage.outputs:
                artefact = store.get(stage.outputs[kind])
                value[stage.name] = {
                    "hash": artefact.hash,
                    "path": str(artefact.path),
                    "figures": stage.figures,
                }
                lines.append(f"{kind} {artefact.hash[:12]}: {artefact.path}")
    emit(value, json, "\n".join(lines))
