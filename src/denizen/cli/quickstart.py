"""`denizen quickstart`: the whole main line, then five lines that say what was proven."""

from __future__ import annotations

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
QUESTION = '"Is a position from 2,400 to 3,100 in range at 2,655?"'


@app.command()
def quickstart(
    workspace: WorkspaceOption = None,
    config: ConfigOption = None,
    full: FullOption = False,
    json: JsonOption = False,
) -> None:
    """From real swaps to a proven specialist. Run it again to resume."""
    outcome = run_line("quickstart", workspace, config, full, json)
    value = {
        "run": outcome.run_id,
        "verdict": outcome.verdict.to_dict(),
        "report": str(outcome.report),
        "gguf": str(outcome.gguf),
        "seconds": round(outcome.seconds, 1),
        "lines": list(outcome.lines),
    }
    text = "\n".join(["", *outcome.lines, "", f"Report: {outcome.report}"])
    if outcome.verdict.exit_code == 0:
        text += f"\nTry:    denizen ask {QUESTION}"
    else:
        text += f"\nNot released. To try it: denizen ask --gguf {outcome.gguf} {QUESTION}"
    emit(value, json, text)
