"""Options every verb shares, and how results are printed."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from denizen.project import Config, Workspace, load_config

WorkspaceOption = Annotated[
    Path | None,
    typer.Option("--workspace", "-w", help="Workspace folder (default ./.denizen)."),
]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", help="Configuration file (default ./denizen.yaml).")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
FullOption = Annotated[bool, typer.Option("--full", help="Score the whole holdout.")]


def config_of(path: Path | None) -> Config:
    """The configuration; a named file must exist."""
    return load_config(path, required=path is not None)


def workspace_of(path: Path | None) -> Workspace:
    """The workspace."""
    return Workspace.open(path)


def emit(value: Any, as_json: bool, text: str) -> None:
    """JSON or text on standard output."""
    print(json.dumps(value, indent=1, default=str) if as_json else text)


def say(line: str) -> None:
    """A line about progress, on standard error."""
    print(f"  {line}", file=sys.stderr)


def run_line(
    verb: str,
    workspace: Path | None,
    config: Path | None,
    full: bool,
    as_json: bool,
    until: str = "gate",
    change: Callable[[Config], Config] = lambda settings: settings,
    candidate: str = "",
) -> Any:
    """Run the main line up to a stage; `change` is what the command line says of the settings."""
    settings = change(config_of(config))
    place = workspace_of(workspace)
    quiet_libraries()
    from denizen.improve import run_mainline

    return run_mainline(
        place,
        settings,
        until=until,
        full=full,
        quiet=as_json,
        command=f"denizen {verb}" + (" --full" if full else ""),
        candidate=candidate,
        say=(lambda _: None) if as_json else say,
    )


def quiet_libraries() -> None:
    """Library notices go nowhere; our own progress is what a user reads.

    By what transformers reads when it is first imported, which a cached verdict never does.
    """
    import os
    import sys
    import warnings

    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    warnings.filterwarnings("ignore", module=r"(torch|transformers|trl|peft|accelerate|datasets)")
    if (transformers := sys.modules.get("transformers")) is not None:
        transformers.logging.set_verbosity_error()
        transformers.utils.logging.disable_progress_bar()
