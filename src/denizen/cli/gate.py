"""`denizen gate`: the verdict as text and as an exit code (0 pass, 1 fail, 3 inconclusive)."""

from __future__ import annotations

from typing import Annotated

import typer

from denizen.cli._common import (
    ConfigOption,
    FullOption,
    JsonOption,
    WorkspaceOption,
    emit,
    run_line,
)

app = typer.Typer()


@app.command()
def gate(
    workspace: WorkspaceOption = None,
    config: ConfigOption = None,
    full: FullOption = False,
    gguf: Annotated[
        str | None, typer.Option(help="Judge this GGUF of the workspace: its path or hash.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Run (or resume) the whole main line and exit with its verdict."""
    outcome = run_line("gate", workspace, config, full, json, candidate=gguf or "")
    checks = [f"{c.status.value:<13} {c.name}: {c.sentence}" for c in outcome.verdict.checks]
    text = "\n".join([f"{outcome.verdict.status.value}: {outcome.verdict.sentence}", *checks])
    emit(outcome.verdict.to_dict(), json, text)
    raise typer.Exit(outcome.verdict.exit_code)
