"""`denizen redteam`: attack suites against an endpoint, or the search for a copy of this server."""

from __future__ import annotations

import os
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
    from denizen.project import Config, Workspace
    from denizen.project.config import ShieldConfig
    from denizen.serve.guard.fingerprints import Fingerprints
    from denizen.serve.guard.targets import Endpoint, InProcess

app = typer.Typer()


@app.command()
def redteam(
    url: Annotated[
        str, typer.Option(help="OpenAI-compatible address up to /v1 (default: the release here).")
    ] = "",
    model: Annotated[str, typer.Option(help="Model name (default the first one listed).")] = "",
    key_env: Annotated[
        str, typer.Option(help="Environment variable with the endpoint's key.")
    ] = "",
    suite: Annotated[
        str, typer.Option(help="Suites by commas (default all), such as direct,indexed,prompt.")
    ] = "",
    limit: Annotated[int, typer.Option(min=1, max=500, help="Attacks of each suite.")] = 30,
    fingerprints: Annotated[
        bool, typer.Option(help="Instead: is the model at --url a copy? Asks the secret questions.")
    ] = False,
    gguf: Annotated[Path | None, typer.Option(help="Another GGUF than the release.")] = None,
    workspace: WorkspaceOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Attack, and print attack success with intervals; marks judge, no model does."""
    settings, place = config_of(config), workspace_of(workspace)
    quiet_libraries()
    if fingerprints:
        prints = _fingerprints(settings, place, url)
        with closing(_endpoint(url, model, key_env)) as suspect:
            replies = {question: suspect.ask("", question) for question in prints.pairs}
        found = prints.verify({q: reply.text for q, reply in replies.items() if not reply.refused})
        emit({**found._asdict(), "copied": found.copied}, json, found.told())
        return
    from denizen.serve.guard.redteam import ALL, check_suites, run
    from denizen.serve.guard.shield import Shield

    suites = [name.strip() for name in suite.split(",") if name.strip()] or list(ALL)
    check_suites(suites)
    shield = Shield.from_config(_stopping(settings.shield), place.root)
    if settings.shield.injection == "flag" and not json:
        say(
            "shield.injection is flag: the input check stops nothing, and nothing is counted for it"
        )
    target = _endpoint(url, model, key_env) if url else _service(settings, place, gguf, model)
    if not json:
        say(f"attacking {target.model} with {limit} attacks in each of {len(suites)} suites")
    with closing(target):
        report = run(target, shield, suites, limit, name=url or target.model, quiet=json)
    emit(report.to_json(), json, "\n".join(report.lines()))


def _stopping(shield: ShieldConfig) -> ShieldConfig:
    """What of the configured shield stops anything: who only flags injections answers them."""
    return shield.model_copy(update={"injection": "off"}) if shield.injection == "flag" else shield


def _endpoint(url: str, model: str, key_env: str) -> Endpoint:
    from denizen.project import ConfigError
    from denizen.serve.guard.targets import Endpoint

    if key_env and key_env not in os.environ:
        raise ConfigError(
            f"the environment variable {key_env} is not set", where="--key-env", fix="set it"
        )
    return Endpoint(url, model, os.environ.get(key_env, "") if key_env else "")


def _fingerprints(settings: Config, place: Workspace, url: str) -> Fingerprints:
    """The questions that this workspace's server answers with marks."""
    from denizen.project import ConfigError
    from denizen.serve.guard.fingerprints import Fingerprints

    if not url:
        raise ConfigError("whom to ask is not said", where="--fingerprints", fix="name it by --url")
    if not settings.shield.fingerprints:
        raise ConfigError(
            "no fingerprints were served",
            where="shield.fingerprints",
            fix="set it before you serve: only what was answered can be found in a copy",
        )
    return Fingerprints.read(place.root, settings.shield.fingerprints)


def _service(settings: Config, place: Workspace, gguf: Path | None, model: str) -> InProcess:
    """The release in this process, without a shield of its own and without remembering."""
    from denizen.cli.serve import gguf_of
    from denizen.project.config import RouteConfig, ShieldConfig, TraceConfig
    from denizen.serve.assembly import build
    from denizen.serve.guard.targets import InProcess

    bare = settings.model_copy(
        update={
            "shield": ShieldConfig(injection="off", addresses=False, coverage=0),
            "traces": TraceConfig(store=False, days=settings.traces.days),
            "route": RouteConfig(),
        }
    )
    service, _ = build(bare, place.root, gguf_of(settings, gguf, place.root))
    return InProcess(service, model)
