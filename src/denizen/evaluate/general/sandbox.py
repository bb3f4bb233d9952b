"""Run a program that a model wrote, in a process of its own that may do next to nothing.

Contract: `run_program` never raises for what the program does: it tells whether it came to its end
without an error, or why not.  The process has no environment, an empty folder, no network, little
memory and few seconds (`jail.py` tells how), and is killed with all it started when the time is
up.  Nothing in Denizen calls this unless its user allowed it.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from denizen.evaluate.general.items import GeneralItem
from denizen.evaluate.suites.base import Judgement
from denizen.project.errors import DataError

SECONDS = 8.0
MEMORY = 2**29
_JAIL = Path(__file__).with_name("jail.py")
# What an interpreter may need to start at all.
_KEPT = ("LD_LIBRARY_PATH",)


class Outcome(NamedTuple):
    """`ok` if the program came to its end; `guards` names what held it (see `jail.py`)."""

    ok: bool
    reason: str
    guards: tuple[str, ...]


def run_program(program: str, *, seconds: float = SECONDS, memory: int = MEMORY) -> Outcome:
    """Run Python source; `seconds` of wall time, `memory` bytes of address space.

    Raises DataError only where the sandbox itself cannot start.
    """
    nonce = secrets.token_hex(16)
    order = {"program": program, "nonce": nonce, "seconds": seconds, "memory": memory}
    with tempfile.TemporaryDirectory(prefix="denizen-program-") as folder:
        try:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_JAIL)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=folder,
                env={key: os.environ[key] for key in _KEPT if key in os.environ},
                start_new_session=True,
            )
        except OSError as error:
            raise DataError(
                f"the sandbox cannot start: {error.strerror or error}",
                where=sys.executable,
                fix="leave out the sets whose answers are programs",
            ) from error
        late = False
        try:
            # Programs may hold lone surrogates, as model output may: JSON escapes them.
            out, _ = process.communicate(json.dumps(order).encode(), timeout=seconds)
        except subprocess.TimeoutExpired:
            late = True
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            if late:
                out, _ = process.communicate()
    return _outcome(out.decode("utf-8", "replace"), nonce, late, process.returncode, seconds)


def _outcome(out: str, nonce: str, late: bool, code: int | None, seconds: float) -> Outcome:
    first, _, rest = out.partition("\n")
    try:
        guards = tuple(json.loads(first))
    except ValueError:
        guards = ()
    if late:
        return Outcome(False, f"ran longer than {seconds:g} s", guards)
    if rest.strip() == nonce and code == 0:
        return Outcome(True, "", guards)
    return Outcome(False, f"ended with code {code}", guards)


def judge_code(item: GeneralItem, output: str) -> Judgement:
    """HumanEval: the completed function must pass the set's tests."""
    from denizen.evaluate.general.generation import cut

    body = cut(_unfenced(output), item.of.stop)
    entry = item.facts["entry_point"]
    program = f"{item.prompt}{body}\n{item.facts['test']}\ncheck({entry})\n"
    outcome = run_program(program)
    return Judgement(outcome.ok, float(outcome.ok), outcome.reason, item.expected)


def _unfenced(text: str) -> str:
    """The inside of the first fenced block, if the answer begins with one."""
    if not text.lstrip().startswith("```"):
        return text
    inner = text.lstrip().split("\n", 1)
    return inner[1].split("```", 1)[0] if len(inner) > 1 else ""
