"""`denizen quickstart --full` in a workspace of its own: seconds, memory, accuracy, verdict."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

TARGETS = {"accuracy": 0.80, "seconds": 900, "peak_memory_gib": 6}


def measure(workspace: Path) -> dict[str, Any]:
    """A whole run on the full holdout (its time is longer than the sampled quickstart's).

    In a workspace that a sampled quickstart left, its trained model is scored on all items;
    each stage keeps the seconds it took when it ran.
    """
    program = Path(sys.executable).with_name("denizen")
    command = [str(program), "quickstart", "--full", "--json", "--workspace", str(workspace)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=os.environ, check=False)
    if done.returncode:
        raise SystemExit(done.stdout)
    return summary(workspace, json.loads(done.stdout))


def summary(workspace: Path, outcome: dict[str, Any]) -> dict[str, Any]:
    """The figures of a finished workspace."""
    report = json.loads((workspace / "report.json").read_text("utf-8"))
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    return {
        "run_command": report["command"],
        "seconds": round(sum(s["seconds"] for s in report["stages"]), 1),
        "peak_memory_gib": round(peak, 2),
        "stages": {s["name"]: s["seconds"] for s in report["stages"]},
        "overall": report["overall"],
        "families": report["families"],
        "systems": report["systems"],
        "quantisation": report["quantisation"],
        "forgetting": report["forgetting"],
        "parity": report["parity"],
        "verdict": {k: outcome["verdict"][k] for k in ("status", "sentence", "n")},
        "targets": TARGETS,
    }
