"""The command line: verbs are imported only when they are called, errors are one line.

Contract: `denizen --help` imports no heavy library; a DenizenError prints one line and exits 2,
Ctrl-C says how to resume and exits 130, anything unexpected names the file with its traceback and
exits 1.
"""

from __future__ import annotations

import importlib
import json
import sys
import traceback
from pathlib import Path
from typing import Any

import click
import typer
from typer.core import TyperGroup

from denizen.project.errors import DenizenError, from_os_error

VERBS = {
    "quickstart": "From real swaps to a proven specialist, in one command.",
    "init": "Write a commented denizen.yaml.",
    "doctor": "Check this machine and say what to do.",
    "models": "Base models: list and pull.",
    "protocols": "Exact Uniswap figures from the engine.",
    "tasks": "Task families: list, sample, verify.",
    "data": "Training rows: build, scan against the holdout, card.",
    "train": "Run the main line up to a trained adapter.",
    "eval": "Score base and specialist on the frozen holdout.",
    "export": "Merge, quantise and prove the GGUF.",
    "gate": "Pass, fail or inconclusive: exit code 0, 1 or 3.",
    "ask": "Ask the released specialist.",
    "serve": "Serve the release: OpenAI-compatible, on loopback.",
    "runs": "Runs: list, show, diff.",
}


class LazyVerbs(TyperGroup):
    """Imports `denizen.cli.<verb>` when the verb is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> Any:
        if cmd_name not in VERBS:
            return None
        if ctx.resilient_parsing or _only_listing(ctx):
            return click.Command(cmd_name, help=VERBS[cmd_name])
        module = importlib.import_module(f"denizen.cli.{cmd_name}")
        command = typer.main.get_command(module.app)
        command.name, command.help = cmd_name, VERBS[cmd_name]
        return command


def _only_listing(ctx: click.Context) -> bool:
    return not ctx.protected_args and not ctx.args and not getattr(ctx, "_protected_args", [])


app = typer.Typer(
    cls=LazyVerbs,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Denizen turns a small open model into a DeFi native, and proves it.",
)


def _version(value: bool) -> None:
    if value:
        from denizen import __version__

        print(f"denizen {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Show the version."
    ),
) -> None:
    """Denizen turns a small open model into a DeFi native, and proves it."""


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        code = app(given, prog_name="denizen", standalone_mode=False)
        return int(code or 0)
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return 2
    except (KeyboardInterrupt, click.exceptions.Abort):
        print("interrupted; the same command goes on where it stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 0
    except DenizenError as error:
        return _say(error, "--json" in given)
    except OSError as error:
        typed = from_os_error(error, Path(error.filename or "."))
        return _say(typed, "--json" in given) if typed else _unexpected(error)
    except Exception as error:  # the last net: one line, the traceback in a file
        return _unexpected(error)


def _say(error: DenizenError, as_json: bool) -> int:
    if as_json:
        print(json.dumps(error.to_json()))
    else:
        print(f"error: {error}", file=sys.stderr)
    return error.exit_code


def _unexpected(error: BaseException) -> int:
    import tempfile

    with tempfile.NamedTemporaryFile(
        "w", prefix="denizen-", suffix=".log", delete=False, encoding="utf-8"
    ) as file:
        traceback.print_exception(error, file=file)
    print(
        f"error: unexpected {type(error).__name__}: {str(error)[:200]} "
        f"(traceback in {file.name}): please report it",
        file=sys.stderr,
    )
    return 1
