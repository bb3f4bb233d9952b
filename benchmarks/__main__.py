"""`python -m benchmarks [NAME ...] [--workspace DIR]`: each benchmark writes one JSON a run.

Contract: a result names the figure, the peer's figure from the same run, their ratio, the command
and the machine; nothing here is asserted or timed in a test.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import (
    bakeoff,
    engine,
    forecast,
    gate,
    generalist,
    gpu,
    grpo,
    int8,
    methods,
    peers,
    preferences,
    privacy,
    qlora,
    quickstart,
    redteam,
    release,
    retrieval,
    rlvr,
    rollouts,
    routing,
    selective_risk,
    serving,
    soak,
    startup,
    tasks,
    throughput,
    training,
)
from denizen import __version__
from denizen.project import atomic_write_text
from denizen.project.machine import facts

RESULTS = Path(__file__).with_name("results")
BENCHMARKS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "startup": lambda _: startup.measure(),
    "tasks": lambda _: tasks.measure(),
    "engine": lambda _: engine.measure(),
    "training": lambda _: training.measure(),
    "preferences": lambda _: preferences.measure(),
    "rollouts": rollouts.measure,
    "grpo": grpo.measure,
    "forecast": lambda _: forecast.measure(),
    "rlvr": rlvr.measure,
    "qlora": lambda _: qlora.measure(),
    "int8": lambda _: int8.measure(),
    "methods": methods.measure,
    "peers": lambda _: peers.measure(),
    "gpu": lambda _: gpu.measure(),
    "quickstart": quickstart.measure,
    "generalist": generalist.measure,
    "gate": gate.measure,
    "bakeoff": bakeoff.measure,
    "release": release.measure,
    "privacy": privacy.measure,
    "redteam": redteam.measure,
    "retrieval": retrieval.measure,
    "routing": routing.measure,
    "selective_risk": selective_risk.measure,
    "serving": serving.measure,
    "soak": soak.measure,
    "throughput": lambda _: throughput.measure(),
}

# These need what most machines lack (a GPU, other trainers' environments, corpora) or half an hour.
ELSEWHERE = ("bakeoff", "gpu", "peers", "redteam", "retrieval", "routing", "soak", "throughput")


def main(arguments: list[str]) -> int:
    """Run the named benchmarks, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--workspace", type=Path, default=Path("bench-workspace"))
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.names) - set(BENCHMARKS):
        parser.error(f"no benchmark {sorted(unknown)}; known: {', '.join(BENCHMARKS)}")
    for name in chosen.names or [name for name in BENCHMARKS if name not in ELSEWHERE]:
        print(f"> {name}", file=sys.stderr)
        result = {
            "benchmark": name,
            "date": datetime.now(UTC).isoformat("T", "seconds"),
            "command": f"python -m benchmarks {name}",
            "version": __version__,
            "machine": facts(),
            **BENCHMARKS[name](chosen.workspace),
        }
        path = RESULTS / f"{name}.json"
        atomic_write_text(path, json.dumps(result, indent=1) + "\n")
        print(json.dumps({k: v for k, v in result.items() if k != "machine"}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
