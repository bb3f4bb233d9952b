"""Does the gate keep its promises? Its false-PASS rate under true nulls, and its power.

Contract: every verdict is by the real `denizen.evaluate.gate` with its own 10,000 resamples, on
simulated holdouts of 600 items in 100 uneven clusters (see `denizen.evaluate.simulation`); rates
carry 95% Wilson intervals. Trials are numbered, so figures do not depend on how many processes
ran them. Theory is Connor's power at the effective sample size. `workspace` is not used.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from denizen.evaluate.gate import Status
from denizen.evaluate.simulation import (
    Design,
    Study,
    Trial,
    family_trial,
    floor_trial,
    looks_trial,
    margin_trial,
    study,
    summary,
    superiority_trial,
    uneven,
)
from denizen.evaluate.spending import Schedule

ALPHA = 0.05
GATES, POWER_GATES, CHUNK = 10_000, 2_000, 250
SEED = 20_261_122
EFFECTS = (0.02, 0.04, 0.05, 0.06, 0.08, 0.10)
# The exact test is a little stricter than theory's normal form.
TOLERANCE = 0.05
LOOKS = 5

HOLDOUT = uneven(100, 600)
CLUSTERED = Design(HOLDOUT)
SMALL = Design(uneven(30, 240), discordance=0.4)
INDEPENDENT = Design((1,) * 600)
QUANT = Design(HOLDOUT, discordance=0.06)
FAMILIES = Design(HOLDOUT, discordance=0.4, families=4)

Make = Callable[[], Trial]
NULLS: dict[str, Make] = {
    "no difference": partial(superiority_trial, CLUSTERED),
    "no difference, 240 items in 30 clusters": partial(superiority_trial, SMALL),
    "one family of four gained nothing": partial(family_trial, FAMILIES, 0.3),
    "a quant exactly at its margin of 3 points": partial(margin_trial, QUANT, 0.03),
    "accuracy exactly at its floor of 70%": partial(floor_trial, CLUSTERED, 0.7),
    f"any of {LOOKS} looks, no plan": partial(looks_trial, CLUSTERED, LOOKS, Schedule(ALPHA)),
    f"any of {LOOKS} looks, planned": partial(
        looks_trial, CLUSTERED, LOOKS, Schedule(ALPHA, LOOKS)
    ),
}


def measure(workspace: Path, gates: int = GATES, power_gates: int = POWER_GATES) -> dict[str, Any]:
    """False-PASS rates under every null, and power at several effects against theory."""
    began = time.perf_counter()
    with _processes() as pool:
        nulls = {name: _told(_run(pool, make, gates)) for name, make in NULLS.items()}
        curves = {
            "clustered": _curve(pool, CLUSTERED, power_gates),
            "independent": _curve(pool, INDEPENDENT, power_gates),
        }
    points = [point for curve in curves.values() for point in curve]
    return {
        "alpha": ALPHA,
        "gates_per_null": gates,
        "false_pass": nulls,
        "worst_false_pass": max(null["rate"] for null in nulls.values()),
        "power": curves,
        "largest_gap_to_theory": max(abs(p["power"] - p["theory"]) for p in points),
        "target": {"false_pass": ALPHA, "gap_to_theory": TOLERANCE},
        "reached": all(null["rate"] <= ALPHA for null in nulls.values())
        and all(abs(p["power"] - p["theory"]) <= TOLERANCE for p in points),
        "seconds": round(time.perf_counter() - began),
    }


def _curve(pool: ProcessPoolExecutor, design: Design, gates: int) -> list[dict[str, float]]:
    curve = []
    for effect in EFFECTS:
        found = _run(pool, partial(superiority_trial, design, effect), gates).passed
        curve.append(
            {
                "difference": effect,
                "power": round(found.value, 4),
                "low": round(found.low, 4),
                "high": round(found.high, 4),
                "theory": round(design.power(effect, ALPHA), 4),
            }
        )
    return curve


def _told(found: Study) -> dict[str, Any]:
    rate = found.passed
    return {
        "gates": found.gates,
        "passes": rate.successes,
        "rate": round(rate.value, 4),
        "interval": [round(rate.low, 4), round(rate.high, 4)],
        "failed": found.failed,
        "inconclusive": found.inconclusive,
        "milliseconds_per_trial": round(1000 * found.seconds / found.gates, 1),
    }


def _run(pool: ProcessPoolExecutor, make: Make, gates: int) -> Study:
    """All trials of one study, in chunks over the processes."""
    chunks = [range(start, min(start + CHUNK, gates)) for start in range(0, gates, CHUNK)]
    counts, seconds = dict.fromkeys(Status, 0), 0.0
    for part in pool.map(partial(_chunk, make), chunks):
        counts[Status.PASS] += part.passed.successes
        counts[Status.FAIL] += part.failed
        counts[Status.INCONCLUSIVE] += part.inconclusive
        seconds += part.seconds
    return summary(counts, seconds)


def _chunk(make: Make, numbers: range) -> Study:
    return study(make(), numbers, SEED)


@contextmanager
def _processes() -> Iterator[ProcessPoolExecutor]:
    """A process a core, each with one thread: more would only wait for each other."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        # Spawned, not forked: a library reads these when it is first imported.
        with ProcessPoolExecutor(os.cpu_count() or 1, get_context("spawn")) as pool:
            yield pool
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
