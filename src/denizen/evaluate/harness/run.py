"""Run lm-eval or Inspect, in the user's own environment, against a served artefact.

Contract: the harness is a child process of another Python (a venv folder or an interpreter), given
as an argument list and never through a shell; it talks to an OpenAI-compatible endpoint (`denizen
serve`), its output goes to `harness.log`, and its whole process group ends at the timeout or at
Ctrl-C. What it wrote is imported, or refused with its own last line. The key travels in the
environment, never on the command line.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from denizen.evaluate.harness.figures import HarnessError, Imported
from denizen.evaluate.harness.importing import import_results

Harness = Literal["lm-eval", "inspect"]
PACKAGES: Mapping[str, str] = {"lm-eval": "lm_eval", "inspect": "inspect_ai"}
# Names become parts of arguments such as model=NAME,base_url=...: no comma, equals or dash first.
_NAME = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_.:/@+-]*")
_URL = re.compile(r"https?://[A-Za-z0-9_.:\[\]-]+(/[A-Za-z0-9_./-]*)?")
# What belongs to our environment must not leak into theirs.
_OURS = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PYTHONSTARTUP")
_ERROR = re.compile(r"[\w.]*(?:Error|Exception)\b")
_GRACE = 5.0


@dataclass(frozen=True, slots=True)
class HarnessJob:
    """What to run: `tasks` of `harness` in the environment `python`, on `model` at `base_url`.

    `python` is an interpreter or a venv folder; `base_url` ends in /v1; `task_folder` holds
    lm-eval tasks of one's own; `arguments` are Inspect's task arguments (-T); `limit` is samples a
    task; `timeout` is seconds for the whole run.
    """

    harness: Harness
    python: Path
    base_url: str
    model: str
    tasks: tuple[str, ...]
    task_folder: Path | None = None
    arguments: Mapping[str, str] = field(default_factory=dict)
    limit: int | None = None
    api_key: str = field(default="none", repr=False)
    timeout: float = 3600.0


def run_harness(job: HarnessJob, folder: Path, *, artefact: str = "") -> Imported:
    """Run the job, its files under `folder` (new or empty), and import what it wrote.

    Raises HarnessError for a job that cannot be run, a harness that is not installed there, a
    timeout, a failed run, or a result that cannot be trusted; the log stays in the folder.
    """
    arguments = command(job, folder)
    if folder.exists() and any(folder.iterdir()):
        raise HarnessError(
            "the folder for the harness's results is not empty",
            where=str(folder),
            fix="choose a new folder: old results must not be taken for new ones",
        )
    version = installed_version(job)
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "harness.log"
    status = _run(arguments, _environment(job), log, job.timeout)
    if status != 0:
        raise HarnessError(
            f"{job.harness} {version} ended with status {status}: {_last_line(log)}",
            where=str(log),
            fix=_advice(log),
        )
    return import_results(folder, system=job.model, artefact=artefact)


def command(job: HarnessJob, folder: Path) -> list[str]:
    """The argument list of a job; HarnessError for names that could be taken for options."""
    for what, text in (("model", job.model), *(("task", task) for task in job.tasks)):
        if not _NAME.fullmatch(text):
            raise HarnessError(
                f"{text!r} cannot be the name of a {what}", where="harness", fix="check the name"
            )
    if not _URL.fullmatch(job.base_url):
        raise HarnessError(
            f"{job.base_url!r} is not a base URL",
            where="harness",
            fix="give one such as http://127.0.0.1:8000/v1",
        )
    if not job.tasks:
        raise HarnessError("no task is named", where="harness", fix="name a task of theirs")
    base, folder = job.base_url.rstrip("/"), folder.absolute()
    start = [str(interpreter(job.python)), "-m", PACKAGES[job.harness]]
    limit = [] if job.limit is None else ["--limit", str(int(job.limit))]
    if job.harness == "lm-eval":
        model = f"model={job.model},base_url={base}/chat/completions,num_concurrent=1"
        include = (
            [] if job.task_folder is None else ["--include_path", str(job.task_folder.absolute())]
        )
        return [
            *(*start, "run", "--model", "local-chat-completions"),
            *("--model_args", f"{model},max_retries=3,tokenizer_backend=None"),
            *("--tasks", ",".join(job.tasks), *include, "--apply_chat_template"),
            *("--output_path", str(folder), "--log_samples", *limit),
        ]
    given = [part for key, value in job.arguments.items() for part in ("-T", f"{key}={value}")]
    return [
        *(*start, "eval", *map(_place, job.tasks), "--model", f"openai-api/denizen/{job.model}"),
        *("--log-dir", str(folder), "--log-format", "json", "--display", "plain"),
        *("--max-connections", "1", "--max-retries", "3", *given, *limit),
    ]


def _place(task: str) -> str:
    """A task file (path.py or path.py@name) by its full path: the child runs in another folder."""
    file, at, name = task.partition("@")
    return f"{Path(file).absolute()}{at}{name}" if Path(file).is_file() else task


def interpreter(python: Path) -> Path:
    """The interpreter of a venv folder, or the file itself; HarnessError when there is none."""
    inside = python / "bin" / "python"
    found = inside if python.is_dir() else python
    if not found.is_file() or not os.access(found, os.X_OK):
        raise HarnessError(
            "no Python here to run the harness with",
            where=str(python),
            fix="give a virtual environment's folder or an interpreter",
        )
    # Not resolved: a venv's python is a link, and its place is what makes it the venv's.
    return found.absolute()


def installed_version(job: HarnessJob) -> str:
    """The harness's version in that environment; HarnessError when it is not installed."""
    package = PACKAGES[job.harness]
    code = f"import importlib.metadata as m; print(m.version({package!r}))"
    try:
        done = subprocess.run(
            [str(interpreter(job.python)), "-c", code],
            capture_output=True,
            text=True,
            timeout=60,
            env=_environment(job),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HarnessError(
            f"this Python does not run: {error}", where=str(job.python), fix="check it by hand"
        ) from error
    if done.returncode != 0:
        raise HarnessError(
            f"{package} is not installed in this environment",
            where=str(job.python),
            fix="install it there: pip install "
            + ("'lm_eval[api]'" if job.harness == "lm-eval" else "inspect-ai openai"),
        )
    return done.stdout.strip()


def _environment(job: HarnessJob) -> dict[str, str]:
    inherited = {key: value for key, value in os.environ.items() if key not in _OURS}
    if job.harness == "lm-eval":
        return {**inherited, "OPENAI_API_KEY": job.api_key}
    return {
        **inherited,
        "DENIZEN_API_KEY": job.api_key,
        "DENIZEN_BASE_URL": job.base_url.rstrip("/"),
    }


def _run(arguments: list[str], environment: dict[str, str], log: Path, timeout: float) -> int:
    with log.open("wb") as output:
        child = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=log.parent,
            start_new_session=True,
        )
        try:
            return child.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise HarnessError(
                f"the harness did not finish within {timeout:g} s: {_last_line(log)}",
                where=str(log),
                fix="allow more time, or limit the samples",
            ) from error
        finally:
            _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the child's whole group, politely first; nothing happens to one that has ended."""
    for step in (signal.SIGTERM, signal.SIGKILL):
        if child.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, step)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(_GRACE)


def _tail(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 20_000))
        return file.read().decode("utf-8", "replace")


def _last_line(log: Path) -> str:
    """The last line that names an error, else the last that is not a progress bar."""
    # Bars and colours of a terminal are no message.
    text = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", _tail(log))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if _ERROR.match(line)]
    plain = [line for line in lines if "it/s" not in line]
    return ((errors or plain or ["it said nothing"])[-1])[:300]


def _advice(log: Path) -> str:
    if "oglikelihood" in _tail(log):
        return "a chat endpoint has no log-likelihoods: choose a generate_until task"
    return "read the log, then run again"
