"""`denizen ask`: one question to the released specialist, with its derivation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from denizen.cli._common import (
    ConfigOption,
    JsonOption,
    WorkspaceOption,
    config_of,
    emit,
    workspace_of,
)

app = typer.Typer()


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="The question, in quotes.")],
    gguf: Annotated[Path | None, typer.Option(help="Another GGUF than the release.")] = None,
    workspace: WorkspaceOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Answer from the released GGUF; figures come from the exact engine."""
    from denizen.improve import release_gguf
    from denizen.serve import Analyst, message_text
    from denizen.tasks import suite_of

    settings = config_of(config)
    path = gguf or release_gguf(workspace_of(workspace))
    analyst = Analyst(
        path,
        suite_of(settings.data.families),
        context=settings.export.context,
        max_new_tokens=settings.evaluate.max_new_tokens,
    )
    answer = analyst.ask(question)
    analyst.close()
    emit(answer.to_json(), json, message_text(answer))
