"""`denizen route`: when a question goes to a stronger model: calibrate, report."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    from collections.abc import Callable

    from denizen.models.embedder import Embeds
    from denizen.project import Config, Workspace
    from denizen.serve.route import Calibration

app = typer.Typer(no_args_is_help=True)


@app.callback()
def main() -> None:
    """When a question goes to a stronger model."""


@app.command()
def calibrate(
    gguf: Annotated[Path | None, typer.Option(help="Another GGUF than the release.")] = None,
    items: Annotated[
        int | None, typer.Option(min=50, help="Questions (default route.items).")
    ] = None,
    workspace: WorkspaceOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Ask the shipped file questions of its own split, and prove a threshold on them."""
    from denizen.improve import release_gguf
    from denizen.serve.assembly import open_sources
    from denizen.serve.route import calibrate as run

    settings, place = config_of(config), workspace_of(workspace)
    if items is not None:
        route = settings.route.model_copy(update={"items": items})
        settings = settings.model_copy(update={"route": route})
    path = gguf or release_gguf(place)
    quiet_libraries()
    tell: Callable[[str], None] = (lambda _: None) if json else say
    with place.locked(), ExitStack() as opened:
        if (index := open_sources(settings, place.root)) is not None:
            opened.callback(index.close)
        made = run(
            place.root,
            settings,
            path,
            lambda: _backend(path, settings),
            embedder=_embedder(place, settings, tell),
            index=index,
            quiet=json,
            say=tell,
        )
    emit(_brief(made), json, _lines(made))


@app.command()
def report(
    out: Annotated[
        Path | None, typer.Option(help="Page to write (default route.html in the workspace).")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the curves to this .png or .svg file, too.")
    ] = None,
    workspace: WorkspaceOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """What the router is worth: cost and quality, risk, money; asks the upstream once."""
    from denizen.serve.route import report_of
    from denizen.serve.route.page import write_page
    from denizen.serve.route.plot import check_target, draw
    from denizen.serve.route.wording import text

    settings, place = config_of(config), workspace_of(workspace)
    if plot is not None:
        check_target(plot)
    quiet_libraries()
    made = report_of(place.root, settings, quiet=json, say=(lambda _: None) if json else say)
    page = write_page(out or place.path("route.html"), made)
    if plot is not None:
        draw(made, plot)
    emit({**made.to_dict(), "page": str(page)}, json, f"{text(made)}\n\npage: {page}")


def _backend(path: Path, settings: Config) -> Any:
    from denizen.serve.backend import LocalBackend

    return LocalBackend(
        path,
        context=settings.export.context,
        parallel=settings.serve.parallel,
        adapters={name: Path(file) for name, file in settings.serve.adapters.items()},
    )


def _embedder(place: Workspace, settings: Config, tell: Callable[[str], None]) -> Embeds | None:
    """The standard embedder with the workspace's cache; None where none is wanted or to be had."""
    from denizen.models.embedder import Embedder
    from denizen.models.embedding_cache import CachedEmbedder
    from denizen.project.errors import ArtefactError

    if not settings.data.embedder:
        return None
    try:
        return CachedEmbedder(Embedder.load(say=tell), place.path("cache", "embeddings.sqlite"))
    except ArtefactError as error:
        tell(f"no embedder, so distance from the training questions is no signal: {error}")
        return None


def _brief(made: Calibration) -> dict[str, Any]:
    return {
        "sentence": made.facts["sentence"],
        "tradeoff": asdict(made.tradeoff),
        "groups": [asdict(group) for group in made.groups],
        "documents": asdict(made.documents.threshold) if made.documents else None,
        "settings": asdict(made.settings),
        "facts": made.facts,
        "confidence": {"curve": made.model.curve, "signals": made.model.weights},
        "gguf": made.gguf,
        "created": made.created,
    }


def _lines(made: Calibration) -> str:
    lines = [f"{made.tradeoff.status}: {made.facts['sentence']}"]
    for group in made.groups:
        name = "all" if group.group == "*" and len(made.groups) == 1 else group.group
        if group.threshold is None:
            lines.append(f"  {name}: no threshold keeps the risk ({group.n} questions)")
        else:
            lines.append(
                f"  {'all others' if name == '*' else name}: from {group.threshold:.3f} on, "
                f"{group.answered} of {group.n} local, {group.errors} of them wrong"
            )
    if made.documents is not None:
        found = made.documents.threshold
        lines.append(
            f"  documents: no threshold keeps the risk ({found.n} answers)"
            if found.threshold is None
            else f"  documents: from {found.threshold:.3f} on, {found.answered} of {found.n} "
            f"local, {found.errors} of them wrong"
        )
    return "\n".join([*lines, "`denizen route report` says what it is worth"])
