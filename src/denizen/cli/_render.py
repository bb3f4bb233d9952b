"""Pages written from the code itself, so that they cannot go stale (`make docs`).

Contract: `python -m denizen.cli._render FOLDER` writes cli.md (every verb, argument and option) and
calculator.json (the tools as JSON Schema) whole or not at all.  Tests compare the committed ones.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def cli_markdown() -> str:
    """Every verb, subcommand, argument and option; the same text on every machine."""
    from denizen.cli.app import HELP, VERBS, command_of

    lines = ["# The command line", "", HELP, ""]
    lines += ["Written by `make docs` from the commands themselves; do not edit.", ""]
    for verb, text in VERBS.items():
        lines += [f"## denizen {verb}", "", text, ""]
        for name, leaf in _leaves(f"denizen {verb}", command_of(verb)):
            arguments, options = _parameters(leaf)
            lines += ["```", " ".join([name, *arguments, "[OPTIONS]"]), "```", ""]
            help_text = " ".join((leaf.help or "").split())
            lines += [help_text, ""] if help_text else []
            lines += [*options, ""] if options else []
    return "\n".join(lines).rstrip() + "\n"


def _leaves(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", None)
    if not inner or command.invoke_without_command:
        yield name, command
    if not inner:
        return
    for word, child in inner.items():
        yield from _leaves(f"{name} {word}", child)


def _parameters(command: Any) -> tuple[list[str], list[str]]:
    arguments, lines = [], []
    for parameter in command.params:
        if parameter.name == "help" or getattr(parameter, "hidden", False):
            continue
        text = " ".join((getattr(parameter, "help", None) or "").split())
        if parameter.param_type_name == "argument":
            word = parameter.name.upper()
            arguments.append(word if parameter.required else f"[{word}]")
            label = f"`{word}`"
        else:
            names = [*parameter.opts, *parameter.secondary_opts]
            label = ", ".join(f"`{name}`" for name in names)
        default = parameter.default
        shown = default not in (None, False, "") and not callable(default)
        shown = shown and not parameter.required
        lines.append(f"- {label}: {text}" + (f" Default: `{default}`." if shown else ""))
    return arguments, lines


def calculator_json() -> str:
    """The calculator's tools as JSON Schema."""
    from denizen.tasks import catalogue, catalogue_schema

    return json.dumps(catalogue_schema(catalogue()), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    from denizen.project import atomic_write_text

    folder = Path(sys.argv[1])
    atomic_write_text(folder / "cli.md", cli_markdown())
    atomic_write_text(folder / "calculator.json", calculator_json())
