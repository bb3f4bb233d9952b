"""A system measured in a process of its own, so that none leaves memory or threads to the next.

Contract: `python -m MODULE ARGUMENTS...` prints one JSON object on its last line; whatever else the
libraries say is shown only where the child fails (SystemExit with the end of it).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from denizen.project import atomic_write_text


def start(module: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a module of the benchmarks to its end."""
    return subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "TOKENIZERS_PARALLELISM": "false"},
        check=False,
    )


def told(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """What a finished child printed; SystemExit if it failed."""
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def measured(module: str, *arguments: object) -> dict[str, Any]:
    """Both."""
    return told(start(module, *arguments))


def recorded(record: Path, module: str, *arguments: object) -> dict[str, Any]:
    """The same, once: what `record` holds, or a new measurement put there."""
    if not record.exists():
        print(f"  {record.stem} ...", file=sys.stderr)
        atomic_write_text(record, json.dumps(measured(module, *arguments)))
    found: dict[str, Any] = json.loads(record.read_text("utf-8"))
    return found


def prepare() -> None:
    """What every child begins with: all cores for torch, and no notices of the libraries."""
    import torch
    import transformers

    from denizen.project.machine import cores

    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(cores())
