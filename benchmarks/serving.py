"""What Denizen's server costs over llama.cpp's own: tokens a second, and time added to an answer.

Contract: one GGUF, two servers in processes of their own with the same settings (same library, same
slots, same threads), the same prompts from a load generator in a third, in rounds that change
places.  Denizen answers as `<release>-base`, so that both generate the same greedy text; how many
answers were equal is told.  Targets: >= .95 of the tokens a second, <= 5 ms added at the median.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import servers
from benchmarks.child import measured
from benchmarks.load import Spec, spec_text

CLIENTS = (1, 4, 16)
ROUNDS = 9  # fewer give a median no interval
CONTEXT, PARALLEL = 2048, 4
TARGETS = {"throughput_ratio": ">= 0.95", "added_p50_ms": "<= 5"}


@dataclass(frozen=True)
class Mode:
    """A kind of request: how long the answer is, and whether it is streamed."""

    name: str
    tokens: int
    stream: bool
    least: int  # requests of a round
    each: int  # requests a client, at least

    def count(self, clients: int) -> int:
        """Requests of a round."""
        return max(self.least, self.each * clients)


# One token shows what a request costs beside its writing; the long ones show the writing.
MODES = (
    Mode("stream", 64, True, 8, 2),
    Mode("whole", 64, False, 8, 2),
    Mode("short", 1, False, 40, 6),
)


def measure(
    workspace: Path,
    gguf: Path | None = None,
    clients: Sequence[int] = CLIENTS,
    rounds: int = ROUNDS,
) -> dict[str, Any]:
    """Both servers at every number of clients."""
    from denizen.project.hashing import sha256_file

    gguf, load = gguf or shipped(workspace), os.getloadavg()[0]
    place = workspace / "serving"
    settings = {"serve": {"parallel": PARALLEL}, "export": {"context": CONTEXT}}
    runs: dict[tuple[str, int, str], list[dict[str, Any]]] = defaultdict(list)
    with (
        servers.denizen(gguf, place, settings) as ours,
        servers.raw(gguf, place, context=CONTEXT, parallel=PARALLEL) as peer,
    ):
        sides = {
            "denizen": (ours.address, base_name(ours.address)),
            "llama.cpp": (peer.address, ""),
        }
        for side in sides.values():
            ask(side, Mode("warm-up", 8, True, 4, 1), 4, -1)
        for number in range(rounds):
            for mode in MODES:
                for many in clients:
                    order = list(sides) if number % 2 == 0 else list(sides)[::-1]
                    print(f"  round {number + 1}: {mode.name}, {many} clients", file=sys.stderr)
                    for name in order:
                        runs[mode.name, many, name].append(ask(sides[name], mode, many, number))
        memory = {"denizen": ours.memory(), "llama.cpp": peer.memory()}
    levels = [level(runs, mode, many) for mode in MODES for many in clients]
    return {
        "gguf": sha256_file(gguf),
        "settings": {"context": CONTEXT, "parallel": PARALLEL, "rounds": rounds},
        # Of the minute before: on cores that others use neither server's figures mean anything.
        "load_before": round(load, 2),
        "levels": levels,
        "worst": worst(levels),
        "resident_mib": {name: round(size / 2**20) for name, size in memory.items()},
        "targets": TARGETS,
    }


def shipped(workspace: Path) -> Path:
    """The workspace's release, else the embedded base model."""
    from denizen.improve import release_gguf
    from denizen.models import ensure, find_model
    from denizen.project import Workspace

    if (workspace / "release.json").exists():
        return release_gguf(Workspace(workspace))
    base = ensure(find_model("smollm2-135m-instruct"), say=lambda line: None).gguf
    assert base is not None
    return base


def base_name(address: str) -> str:
    """The bare model's name, as the server tells it."""
    import httpx

    names: list[str] = [card["id"] for card in httpx.get(f"{address}/v1/models").json()["data"]]
    return next(name for name in names if name.endswith("-base"))


def ask(side: tuple[str, str], mode: Mode, clients: int, number: int) -> dict[str, Any]:
    """One round of one server."""
    address, model = side
    prompts = questions(mode.count(clients), f"{mode.name} {clients} {number}")
    spec = Spec(address, model or "m", clients, prompts, mode.tokens, mode.stream)
    return measured("benchmarks.load", spec_text(spec))


def questions(count: int, mark: str) -> tuple[str, ...]:
    """Questions of the training split, marked so that no round finds another's in the cache."""
    from denizen.tasks import suite_of

    families = list(suite_of("core").families.values())
    made = []
    for number in range(count):
        item = families[number % len(families)].generate(number // len(families), "train")
        made.append(f"({mark} {number}) Explain at length, in words: {item.prompt}")
    return tuple(made)


def level(
    runs: dict[tuple[str, int, str], list[dict[str, Any]]], mode: Mode, clients: int
) -> dict[str, Any]:
    """The figures of one mode and number of clients: medians over rounds, all requests pooled."""
    ours, peer = (runs[mode.name, clients, name] for name in ("denizen", "llama.cpp"))
    rates = [[run["tokens"] / run["seconds"] for run in side] for side in (ours, peer)]
    ratios = [a / b for a, b in zip(*rates, strict=True)]
    added = [
        statistics.median(a["total_ms"]) - statistics.median(b["total_ms"])
        for a, b in zip(ours, peer, strict=True)
    ]
    same = [
        one == other
        for a, b in zip(ours, peer, strict=True)
        for one, other in zip(a["answers"], b["answers"], strict=True)
    ]
    return {
        "mode": mode.name,
        "clients": clients,
        "requests": sum(len(run["total_ms"]) for run in ours),
        "tokens_per_second": {
            "denizen": round(statistics.median(rates[0]), 1),
            "llama.cpp": round(statistics.median(rates[1]), 1),
        },
        "throughput_ratio": round(statistics.median(ratios), 4),
        "throughput_ratio_interval": interval(ratios, 4),
        "throughput_ratios": [round(ratio, 4) for ratio in ratios],
        "added_p50_ms": round(statistics.median(added), 2),
        "added_p50_interval_ms": interval(added, 2),
        "added_p50s_ms": [round(value, 2) for value in added],
        "first_token_ms": {
            "denizen": spread(ours, "first_ms"),
            "llama.cpp": spread(peer, "first_ms"),
        },
        "total_ms": {"denizen": spread(ours, "total_ms"), "llama.cpp": spread(peer, "total_ms")},
        "equal_answers": round(sum(same) / len(same), 4),
    }


def spread(side: list[dict[str, Any]], key: str) -> dict[str, float]:
    """Percentiles over all requests of all rounds, in milliseconds."""
    import numpy as np

    every = [value for run in side for value in run[key]]
    p50, p95, p99 = np.percentile(every, [50, 95, 99])
    return {"p50": round(float(p50), 1), "p95": round(float(p95), 1), "p99": round(float(p99), 1)}


def interval(values: list[float], digits: int) -> list[float] | None:
    """At least 95% for the median over rounds, exact for any distribution; needs six of them."""
    from scipy.stats import quantile_test

    found = quantile_test(values, p=0.5).confidence_interval(0.95)
    ends = [round(float(found.low), digits), round(float(found.high), digits)]
    return None if any(map(math.isnan, ends)) else ends


def worst(levels: list[dict[str, Any]]) -> dict[str, float]:
    """The figures that are held against the targets: the least ratio, the most that was added."""
    long = [one["throughput_ratio"] for one in levels if one["mode"] != "short"]
    short = [one["added_p50_ms"] for one in levels if one["mode"] == "short"]
    return {"throughput_ratio": min(long), "added_p50_ms": max(short)}


def main() -> None:
    """Measure with other numbers of clients or rounds, and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving")
    parser.add_argument("--gguf", type=Path)
    parser.add_argument("--clients", type=int, nargs="+", default=list(CLIENTS))
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--workspace", type=Path, default=Path("bench-workspace"))
    chosen = parser.parse_args()
    found = measure(chosen.workspace, chosen.gguf, chosen.clients, chosen.rounds)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
