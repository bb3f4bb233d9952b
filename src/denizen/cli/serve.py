"""`denizen serve`: the release behind OpenAI's and Ollama's interfaces, on loopback by default."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from denizen.cli._common import (
    ConfigOption,
    WorkspaceOption,
    config_of,
    quiet_libraries,
    say,
    workspace_of,
)

if TYPE_CHECKING:
    from denizen.project import Config
    from denizen.serve.operations import Operations
    from denizen.serve.service import Service

app = typer.Typer()


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address (default loopback).")] = None,
    port: Annotated[int | None, typer.Option(help="Port.", min=1, max=65535)] = None,
    gguf: Annotated[Path | None, typer.Option(help="Another GGUF than the release.")] = None,
    workspace: WorkspaceOption = None,
    config: ConfigOption = None,
) -> None:
    """Serve until Ctrl-C or SIGTERM; what is being answered then is finished."""
    from denizen import __version__

    settings, place = config_of(config), workspace_of(workspace)
    told = {"host": host, "port": port}
    changed = {key: value for key, value in told.items() if value is not None}
    settings = settings.model_copy(update={"serve": settings.serve.model_copy(update=changed)})
    quiet_libraries()
    from denizen.serve.assembly import build, intake_of
    from denizen.serve.operations.running import run
    from denizen.serve.web.app import create_server

    service, operations = build(settings, place.root, gguf_of(settings, gguf, place.root))
    if settings.serve.backend != "openai":
        # A foreign server is not asked for nothing, nor are its connections left to an event loop
        # that has ended: the first request would fail on them.
        asyncio.run(service.warm())
    for line in facts(service, operations, settings):
        say(line)
    server = create_server(
        service,
        operations,
        name=service.names.release,
        version=__version__,
        settings=settings.serve,
        otlp=intake_of(service),
    )
    run(server, settings.serve, operations, service.close)


def gguf_of(settings: Config, gguf: Path | None, workspace: Path) -> Path | None:
    """The file to serve: the one that is named, else the release; None if another server writes."""
    if settings.serve.backend == "openai":
        return None
    if gguf is not None:
        return gguf
    from denizen.improve import release_gguf
    from denizen.project import Workspace

    return release_gguf(Workspace(workspace))


def facts(service: Service, operations: Operations, settings: Config) -> Iterator[str]:
    """What is served, where, and under which promises."""
    config, parts = settings.serve, service.parts
    scheme = "https" if config.tls_certificate else "http"
    shown = f"[{config.host}]" if ":" in config.host else config.host
    yield f"{service.names.release} on {scheme}://{shown}:{config.port}/v1 (Ctrl-C stops)"
    yield f"models: {', '.join(card.id for card in service.models)}"
    yield f"keys: {'on' if operations.keyed else 'off'}"
    if parts.index is not None:
        yield f"documents: {parts.index.store.where}"
    promise = getattr(parts.router, "promise", None)
    why = f"{parts.stale} (route.json in the workspace)" if parts.stale else "not calibrated"
    yield f"router: {promise or f'{why}: run `denizen route calibrate`'}"
    if parts.upstream is not None:
        yield f"escalates to {settings.route.upstream_model}"
    if config.host not in ("127.0.0.1", "::1", "localhost") and not config.tls_certificate:
        yield "warning: answers leave this machine unencrypted (serve.tls_certificate)"
