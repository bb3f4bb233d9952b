"""`denizen bakeoff`: two or three bases on the same small budget, ranked."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from denizen.cli._common import (
    ConfigOption,
    JsonOption,
    WorkspaceOption,
    config_of,
    emit,
    quiet_libraries,
    say,
    workspace_of,
)

app = typer.Typer()


@app.command()
def bakeoff(
    models: Annotated[str, typer.Option(help="Registry ids, joined by commas.")],
    rows: Annotated[int, typer.Option(help="Training rows for each.", min=1)] = 480,
    sample: Annotated[int, typer.Option(help="Dev items for each.", min=8)] = 96,
    workspace: WorkspaceOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Tune each candidate on the same budget and rank them, on the dev split."""
    from denizen.improve import bakeoff as bake

    settings = config_of(config)
    data = settings.data.model_copy(update={"rows": rows, "sample": sample})
    quiet_libraries()
    found = bake.run_bakeoff(
        workspace_of(workspace),
        settings.model_copy(update={"data": data}),
        [name.strip() for name in models.split(",") if name.strip()],
        say=(lambda _: None) if json else say,
    )
    emit([asdict(c) for c in found], json, bake.table(found))
