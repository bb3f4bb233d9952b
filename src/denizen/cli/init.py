"""`denizen init`: write a commented denizen.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from denizen.cli._common import JsonOption, emit

app = typer.Typer()


@app.command()
def init(
    path: Annotated[Path, typer.Argument(help="File to write.")] = Path("denizen.yaml"),
    force: Annotated[bool, typer.Option(help="Replace an existing file.")] = False,
    json: JsonOption = False,
) -> None:
    """Write every key with its default and its meaning."""
    from denizen.project import ConfigError, atomic_write_text
    from denizen.project.config import commented_yaml

    if path.exists() and not force:
        raise ConfigError("the file exists", where=str(path), fix="--force replaces it")
    atomic_write_text(path, commented_yaml())
    emit({"path": str(path)}, json, f"wrote {path}")
