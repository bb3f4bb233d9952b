"""`denizen serve`: the release behind an OpenAI-compatible endpoint on loopback."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from denizen.cli._common import ConfigOption, WorkspaceOption, config_of, say, workspace_of

app = typer.Typer()


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address (default loopback).")] = None,
    port: Annotated[int | None, typer.Option(help="Port.")] = None,
    gguf: Annotated[Path | None, typer.Option(help="Another GGUF than the release.")] = None,
    workspace: WorkspaceOption = None,
    config: ConfigOption = None,
) -> None:
    """Serve until Ctrl-C."""
    import uvicorn

    from denizen.improve import release_gguf
    from denizen.serve import Analyst, create_app
    from denizen.tasks import suite_of

    settings = config_of(config)
    path = gguf or release_gguf(workspace_of(workspace))
    analyst = Analyst(
        path,
        suite_of(settings.data.families),
        context=settings.export.context,
        max_new_tokens=settings.evaluate.max_new_tokens,
    )
    where = host or settings.serve.host, port or settings.serve.port
    say(f"{path.name} on http://{where[0]}:{where[1]}/v1 (Ctrl-C stops)")
    uvicorn.run(create_app(analyst, path.stem), host=where[0], port=where[1], log_level="warning")
