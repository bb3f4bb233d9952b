"""The command line: verbs are imported only when they are called, errors are one line.

Contract: `denizen --help` imports no heavy library; a DenizenError prints one line and exits 2,
Ctrl-C says how to resume and exits 130 (SIGTERM: 143), anything unexpected names the file with its
traceback and exits 1.
"""

from __future__ import annotations

import difflib
import importlib
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from denizen.project.errors import DenizenError

VERBS = {
    "quickstart": "From real swaps to a proven specialist, in one command.",
    "init": "Write a commented denizen.yaml.",
    "doctor": "Check this machine and say what to do.",
    "models": "Base models: list and pull.",
    "protocols": "The exact engine: quotes, facts, tools, certification.",
    "tasks": "Task families: list, sample, verify.",
    "ingest": "Outside data: events of a chain, documents, traces.",
    "data": "Training rows and your own exam: build, scan, freeze, card.",
    "forecast": "What a training will cost: time, memory, energy, money.",
    "train": "Run the main line up to a trained adapter.",
    "eval": "Score base and specialist on the frozen holdout.",
    "export": "Merge, quantise and prove the GGUF.",
    "gate": "Pass, fail or inconclusive: exit code 0, 1 or 3.",
    "bakeoff": "Two or three bases on one small budget, ranked.",
    "ask": "Ask the released specialist.",
    "serve": "Serve the release as OpenAI and as Ollama, on loopback.",
    "keys": "API keys of the server: create, list, revoke, rotate.",
    "route": "When to ask a stronger model: calibrate, report.",
    "redteam": "Attack suites against an endpoint, with intervals.",
    "traces": "What the server remembers: list, show, export, delete, purge.",
    "runs": "Runs: list, show, diff.",
}


# Understood before the verb too, with how many words each takes.
SHARED = {"--workspace": 2, "-w": 2, "--config": 2, "-c": 2, "--json": 1}
HELP = "Denizen turns a small open model into a DeFi native, and proves it."


class Terminated(KeyboardInterrupt):
    """The process was asked to end."""


def help_text() -> str:
    """The top-level help; written here so that it needs no import."""
    rows = "\n".join(f"  {verb:<12}{text}" for verb, text in VERBS.items())
    return (
        f"Usage: denizen VERB [OPTIONS]\n\n{HELP}\n\nVerbs:\n{rows}\n\n"
        "Options:\n  --version   Show the version.\n  --help      Show this help.\n\n"
        "`denizen VERB --help` tells more. Every verb but serve takes --json; --workspace DIR and\n"
        "--config FILE may stand before the verb or after it."
    )


def entry() -> None:
    """The console script."""
    sys.exit(main())


def main(arguments: list[str] | None = None) -> int:
    """Run a command line; returns the exit code."""
    given = _verb_first(sys.argv[1:] if arguments is None else arguments)
    try:
        with _terminable():
            code = _guarded(given)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt as error:
        print("interrupted; the same command goes on where it stopped", file=sys.stderr)
        return 143 if isinstance(error, Terminated) else 130
    except BrokenPipeError:
        # The reader left (`| head`): what is still buffered must not complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM leaves as Ctrl-C does: children are stopped, the run is closed."""

    def leave(*_: Any) -> None:
        raise Terminated

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _verb_first(given: list[str]) -> list[str]:
    """`--workspace W VERB ...` as `VERB ... --workspace W`."""
    front: list[str] = []
    while given and (width := SHARED.get(given[0]) or given[0].split("=")[0] in SHARED):
        front, given = front + given[:width], given[width:]
    return given + front


def _guarded(given: list[str]) -> int:
    if not given or given[0] in ("--help", "-h", "help"):
        print(help_text())
        return 0 if given else 2
    if given[0] == "--version":
        from denizen import __version__

        print(f"denizen {__version__}")
        return 0
    from denizen.project.errors import DenizenError, from_os_error

    as_json = "--json" in given
    try:
        return _dispatch(given[0], given[1:])
    except BrokenPipeError:
        raise
    except DenizenError as error:
        return _say(error, as_json)
    except OSError as error:
        typed = from_os_error(error, Path(error.filename or "."))
        return _say(typed, as_json) if typed else _unexpected(error, given)
    except Exception as error:  # the last net: one line, the traceback in a file
        return _unexpected(error, given)


def _dispatch(verb: str, arguments: list[str]) -> int:
    from denizen.project.errors import DenizenError

    if verb not in VERBS:
        near = difflib.get_close_matches(verb, VERBS, 1)
        fix = f"did you mean {near[0]!r}?" if near else "see `denizen --help`"
        raise DenizenError(f"no verb {verb!r}", where="command line", fix=fix)
    import typer

    command = command_of(verb)
    try:
        # Not `command(...)`: typer would swallow Ctrl-C and a closed pipe, which main() explains.
        with command.make_context(f"denizen {verb}", arguments) as context:
            code = command.invoke(context)
    except typer.Exit as error:
        return int(error.exit_code)
    except typer.Abort as error:
        raise KeyboardInterrupt from error
    except Exception as error:
        if not hasattr(error, "format_message"):  # a usage error of typer's own
            raise
        message = str(error.format_message()).strip()
        if not message:  # a verb called bare has printed its help
            return 2
        fix = f"see `denizen {verb} --help`"
        raise DenizenError(message.rstrip("."), where=verb, fix=fix) from error
    return int(code) if isinstance(code, int) else 0


def command_of(verb: str) -> Any:
    """The verb's command; imports its module."""
    import typer

    app: typer.Typer = importlib.import_module(f"denizen.cli.{verb}").app
    app._add_completion = False  # completion belongs to a program, not to one of its verbs
    return typer.main.get_command(app)


def _say(error: DenizenError, as_json: bool) -> int:
    if as_json:
        print(json.dumps(error.to_json()))
    else:
        print(f"error: {error}", file=sys.stderr)
    return error.exit_code


def _unexpected(error: BaseException, given: list[str]) -> int:
    import tempfile

    folder = _workspace_of(given)
    try:
        with tempfile.NamedTemporaryFile(
            "w",
            prefix="error-",
            suffix=".log",
            delete=False,
            encoding="utf-8",
            dir=folder if folder.is_dir() else None,
        ) as file:
            traceback.print_exception(error, file=file)
        where = f"traceback in {file.name}"
    except OSError:  # the disk may be what is broken
        traceback.print_exception(error)
        where = "traceback above"
    message = " ".join(str(error).split())[:200]
    print(
        f"error: unexpected {type(error).__name__}: {message} ({where}): please report it",
        file=sys.stderr,
    )
    return 1


def _workspace_of(given: list[str]) -> Path:
    """The workspace as named on the command line; read by hand, for parsing may have failed."""
    for word, following in zip(given, [*given[1:], ""], strict=True):
        if word in ("--workspace", "-w") and following:
            return Path(following)
        if word.startswith("--workspace="):
            return Path(word.partition("=")[2])
    return Path(os.environ.get("DENIZEN_WORKSPACE") or ".denizen")
