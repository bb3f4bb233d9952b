"""`denizen serve`: the release behind OpenAI's and Ollama's interfaces, on loopback by default.

`denizen serve adapters` speaks to a server that runs.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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

if TYPE_CHECKING:
    from denizen.project import Config
    from denizen.serve.admin import Admin
    from denizen.serve.operations import Operations
    from denizen.serve.service import Service

app = typer.Typer()
adapters = typer.Typer(no_args_is_help=True)
app.add_typer(adapters, name="adapters")
UrlOption = Annotated[
    str, typer.Option(help="The server's address (default serve.host and serve.port).")
]
KeyOption = Annotated[
    str, typer.Option(help="Environment variable with a key of scope admin, where keys are on.")
]
NameArgument = Annotated[str, typer.Argument(help="The name by which clients ask for it.")]


@app.callback(invoke_without_command=True)
def serve(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="Address (default loopback).")] = None,
    port: Annotated[int | None, typer.Option(help="Port.", min=1, max=65535)] = None,
    gguf: Annotated[Path | None, typer.Option(help="Another GGUF than the release.")] = None,
    workspace: WorkspaceOption = None,
    config: ConfigOption = None,
) -> None:
    """Serve until Ctrl-C or SIGTERM; what is being answered then is finished."""
    if context.invoked_subcommand is not None:
        if any(given is not None for given in (host, port, gguf, workspace, config)):
            raise typer.BadParameter("options go behind `adapters VERB`, the address as --url")
        return
    from denizen import __version__

    settings, place = config_of(config), workspace_of(workspace)
    told = {"host": host, "port": port}
    changed = {key: value for key, value in told.items() if value is not None}
    settings = settings.model_copy(update={"serve": settings.serve.model_copy(update=changed)})
    quiet_libraries()
    from denizen.serve.assembly import build, intake_of
    from denizen.serve.operations.running import check, run
    from denizen.serve.web.app import create_server

    check(settings.serve)
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


@adapters.callback()
def main() -> None:
    """Adapters of a server that runs: taken in and let go without a restart."""


@adapters.command()
def add(
    name: NameArgument,
    path: Annotated[Path, typer.Argument(help="A LoRA-GGUF in the server's artefacts.")],
    family: Annotated[
        list[str] | None,
        typer.Option(help="A task family that it answers from now on; may be given again."),
    ] = None,
    url: UrlOption = "",
    key_env: KeyOption = "",
    workspace: WorkspaceOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Load an adapter until the server ends; one that does not change what is said is refused."""
    if path.is_file():  # what lies in the artefacts is told as the server knows it
        artefacts = workspace_of(workspace).path("artefacts").resolve()
        found = path.resolve()
        path = found.relative_to(artefacts) if found.is_relative_to(artefacts) else path
    with closing(_admin(url, key_env, config)) as admin:
        change = admin.load(name, path.as_posix(), family or ())
    line = f"{name}  changes a probe's logit by {change:.3g}"
    if family:
        line += f"; it answers {', '.join(family)}"
    emit({"name": name, "change": change, "families": family or []}, json, line)


@adapters.command("list")
def list_adapters(
    url: UrlOption = "",
    key_env: KeyOption = "",
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """The adapters that the server speaks with, and the task families they answer."""
    with closing(_admin(url, key_env, config)) as admin:
        found = admin.adapters()
    lines = [f"{name}  {', '.join(families)}".rstrip() for name, families in found.items()]
    told = [{"name": name, "families": families} for name, families in found.items()]
    emit(told, json, "\n".join(lines) or "no adapters")


@adapters.command()
def remove(
    name: NameArgument,
    url: UrlOption = "",
    key_env: KeyOption = "",
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Let an adapter go; answers that speak with it are finished first."""
    with closing(_admin(url, key_env, config)) as admin:
        admin.unload(name)
    emit({"name": name, "unloaded": True}, json, f"{name}  removed")


def _admin(url: str, key_env: str, config: Path | None) -> Admin:
    from denizen.project import ConfigError
    from denizen.serve.admin import Admin

    if key_env and not os.environ.get(key_env):
        raise ConfigError(
            f"the environment variable {key_env} is not set", where="--key-env", fix="set it"
        )
    return Admin(url or address_of(config_of(config)), os.environ.get(key_env, ""))


def address_of(settings: Config) -> str:
    """Where the configured server listens, without a path."""
    config, host = settings.serve, settings.serve.host
    scheme = "https" if config.tls_certificate else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{config.port}"


def gguf_of(settings: Config, gguf: Path | None, workspace: Path) -> Path | None:
    """The file to serve: the one that is named, else the release; None if another server writes."""
    from denizen.project import ConfigError, Workspace

    foreign = settings.serve.backend == "openai"
    if gguf is not None and (foreign or not gguf.is_file()):
        raise ConfigError(
            "serve.backend: openai serves no file of ours" if foreign else "there is no such file",
            where=f"--gguf {gguf}",
            fix="leave it out" if foreign else "name a GGUF, or leave it out for the release",
        )
    if foreign or gguf is not None:
        return gguf
    from denizen.improve import release_gguf

    return release_gguf(Workspace(workspace))


def facts(service: Service, operations: Operations, settings: Config) -> Iterator[str]:
    """What is served, where, and under which promises."""
    config, parts = settings.serve, service.parts
    yield f"{service.names.release} on {address_of(settings)}/v1 (Ctrl-C stops)"
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
