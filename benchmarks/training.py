"""A training step of ours against TRL 1.16 with the settings that serve it best on a CPU.

Contract: the same base, rows, adapter, learning rate and optimiser, each system in a process of
its own, one after another on an otherwise idle machine.  A step is the whole of Trainer's step.
Rows are conversations whose earlier turns are context and whose last answer is learnt: a fifth of
the tokens, lengths mixed.  Two orders of the same rows: as drawn, and grouped by length; TRL runs
each padded and padding-free, and its best counts.  The first step warms up; losses are compared.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from benchmarks.training_run import BATCHES, ROWS, Run

TARGETS = {"smollm2-135m-instruct": 2.5, "qwen2.5-coder-0.5b-instruct": 2.0}
# Steps of the larger model take TRL a minute each.
STEPS = {"smollm2-135m-instruct": BATCHES, "qwen2.5-coder-0.5b-instruct": BATCHES // 2}
EFFICIENCY = 0.6
MEMORY = 0.7
RIVALS = {
    "padded": {"bf16": False, "gradient_checkpointing": False},
    "padding-free": {"bf16": False, "gradient_checkpointing": False, "padding_free": True},
}
ORDERS = ("drawn", "grouped")


def measure() -> dict[str, Any]:
    """Seconds a step, ratios, share of the GEMM peak and memory, for both models."""
    models = {name: _compare(name, target) for name, target in TARGETS.items()}
    # bf16 and checkpointing, as TRL has them unless told otherwise: minutes a step.
    defaults = _run(Run("smollm2-135m-instruct", "trl", "drawn", {}, batches=1))
    first = models["smollm2-135m-instruct"]["ours"]["drawn"]["steps"][0]
    return {
        "rows_a_step": ROWS,
        "steps": STEPS,
        "models": models,
        "trl_defaults": defaults,
        "ratio_defaults": round(defaults["steps"][0] / first, 2),
        "targets": {"ratio": TARGETS, "share_of_peak": EFFICIENCY, "memory": MEMORY},
    }


def _compare(model: str, target: float) -> dict[str, Any]:
    steps = STEPS[model]
    ours = {order: _run(Run(model, "ours", order, {}, steps)) for order in ORDERS}
    rivals = {
        f"{name}, {order}": _run(Run(model, "trl", order, settings, steps))
        for name, settings in RIVALS.items()
        for order in ORDERS
    }
    best = min(rivals, key=lambda name: rivals[name]["seconds"])
    fastest = min(ours.values(), key=lambda run: run["seconds"])
    gaps = {
        name: max(
            abs(a - b) for a, b in zip(run["losses"], ours[run["order"]]["losses"], strict=True)
        )
        for name, run in rivals.items()
    }
    ratio = rivals[best]["seconds"] / fastest["seconds"]
    memory = fastest["peak_memory_gib"] / rivals[best]["peak_memory_gib"]
    return {
        "ours": ours,
        "trl": rivals,
        "trl_best": best,
        "ratio_best": round(ratio, 2),
        "ratio_as_drawn": round(
            min(r["seconds"] for r in rivals.values() if r["order"] == "drawn")
            / ours["drawn"]["seconds"],
            2,
        ),
        "memory_of_best": round(memory, 3),
        "largest_loss_difference": gaps,
        "reached": {
            "ratio": ratio >= target,
            "share_of_peak": fastest["share_of_peak"] >= EFFICIENCY,
            "memory": memory <= MEMORY,
            "loss_to_4_decimals": gaps[best] < 5e-5,
        },
    }


def _run(run: Run) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.training_run", json.dumps(run._asdict())],
        capture_output=True,
        text=True,
        env={**os.environ, "TOKENIZERS_PARALLELISM": "false"},
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    said = f"{run.model} {run.system} {run.order} {run.settings}: {found['seconds']:.2f} s a step"
    print(f"  {said}", file=sys.stderr)
    return found
