"""Does the promise hold?  1,000 resampled calibrations against the rest of large pools, and drift.

Contract: each calibration is the whole of `denizen route calibrate` but the model (fit, thresholds
by Learn then Test), on questions drawn from a pool; it holds if no group's true risk, in the rest
of the pool, is above the promise.  Pools: one of the real model's answers if the workspace has one
(`python -m benchmarks.selective_risk --pool N` makes it), and synthetic ones whose confidence is
honest, overconfident, or says nothing.  A stream that grows harder shows what the budget allows.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from denizen.evaluate.stats import wilson
from denizen.serve.route.budget import Budget
from denizen.serve.route.fit import columns_of
from denizen.serve.route.learn import Learnt, learn
from denizen.serve.route.scored import Scored, read_scored, write_scored

RISK, DELTA, BUDGET = 0.10, 0.05, 0.05
CALIBRATIONS, ITEMS = 1000, 400
SYNTHETIC = 20_000
POOL = "route-pool.jsonl"
POOL_SEED = 32_452_843  # of this benchmark alone
GROUPS = ("a", "b", "c")
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Pool:
    """Scored answers with their signals by column, for quick evaluation of the rest."""

    scored: Sequence[Scored]
    columns: Mapping[str, Floats]
    right: NDArray[np.bool_]
    groups: NDArray[np.str_]

    @classmethod
    def of(cls, scored: Sequence[Scored]) -> Pool:
        return cls(
            scored,
            columns_of([s.signals for s in scored]),
            np.array([s.ok for s in scored]),
            np.array([s.group for s in scored]),
        )


def synthetic(kind: str, size: int = SYNTHETIC, seed: int = 0) -> list[Scored]:
    """Answers whose margins say how likely they are right: honestly, too boldly, or not at all.

    One group in three is hard, and errors of a wording come together.  "edge" is the hardest case
    for the proof: margins say nothing and 10.5% of all answers are wrong, so whatever is answered
    locally breaks the promise by a little.
    """
    rng = np.random.default_rng(seed)
    group = rng.integers(0, len(GROUPS), size)
    wording = rng.integers(0, 400, size)
    ability = rng.normal(3.4 - 1.8 * (group == 2), 2.2, size) + rng.normal(0, 0.7, 400)[wording]
    right = rng.random(size) < 1 / (1 + np.exp(-ability))
    margin = np.abs(rng.normal(3, 2, size))
    if kind == "honest":
        margin = np.maximum(ability + rng.normal(0, 0.5, size), 0)
    elif kind == "overconfident":
        margin = np.maximum(8 + 0.3 * ability + rng.normal(0, 0.5, size), 0)
    elif kind == "edge":
        right = np.ones(size, bool)
        right[rng.choice(size, round(0.105 * size), replace=False)] = False
    noise = rng.normal(0, 1, size)
    return [
        Scored(
            str(i),
            GROUPS[group[i]],
            f"w{wording[i]}",
            GROUPS[group[i]],
            bool(right[i]),
            {
                "margin_least": float(margin[i]),
                "margin_mean": float(margin[i] + abs(noise[i])),
                "decisions": float(3 + group[i]),
                "schema_failed": 0.0,
                "recompute_failed": 0.0,
            },
        )
        for i in range(size)
    ]


def resampled(pool: Pool, calibrations: int, items: int, seed: int = 1) -> dict[str, Any]:
    """How often the promise held, and what it cost."""
    rng = np.random.default_rng(seed)
    items = min(items, len(pool.scored) // 3)
    held = proven = 0
    away: list[float] = []
    worst: list[float] = []
    for _ in range(calibrations):
        order = rng.permutation(len(pool.scored))
        chosen, rest = order[:items], order[items:]
        drawn = [pool.scored[i] for i in chosen]
        found = learn(drawn[::2], drawn[1::2], risk=RISK, delta=DELTA, budget=BUDGET)
        risks, escalated = true_risks(found, pool, rest)
        held += max(risks, default=0.0) <= RISK
        proven += bool(risks)
        away.append(escalated)
        worst += [max(risks)] if risks else []
    share = wilson(held, calibrations)
    return {
        "calibrations": calibrations,
        "items": items,
        "pool": len(pool.scored),
        "accuracy": round(float(pool.right.mean()), 4),
        "held": round(share.value, 4),
        "held_interval": [round(share.low, 4), round(share.high, 4)],
        "some_answers_stay_local": round(proven / calibrations, 4),
        "mean_share_escalated": round(float(np.mean(away)), 4),
        "mean_true_risk": round(float(np.mean(worst)), 4) if worst else None,
        "met": share.value >= 1 - DELTA,
    }


def true_risks(found: Learnt, pool: Pool, rest: NDArray[np.int64]) -> tuple[list[float], float]:
    """(risk of each threshold's own answers, share escalated) in the rest of the pool."""
    columns = {name: values[rest] for name, values in pool.columns.items()}
    stated = found.model.of_columns(columns, len(rest))
    failed = (columns["schema_failed"] > 0.5) | (columns["recompute_failed"] > 0.5)
    groups, right = pool.groups[rest], pool.right[rest]
    alone = [g.group for g in found.groups if g.group != "*"]
    local_all = np.zeros(len(rest), bool)
    risks = []
    for group in found.groups:
        own = groups == group.group if group.group != "*" else ~np.isin(groups, alone)
        own &= np.isin(groups, found.members)
        if group.threshold is None:
            continue
        local = own & ~failed & (np.maximum(stated, 1e-6) >= group.threshold)
        local_all |= local
        if local.any():
            risks.append(float((~right[local]).mean()))
    return risks, float(1 - local_all.mean())


def drift(requests: int = 50_000, threads: int = 8, seed: int = 2) -> dict[str, Any]:
    """A stream whose share of hard questions grows from 5% to 60%; hard ones want to escalate."""
    rng = np.random.default_rng(seed)
    hard = rng.random(requests) < np.linspace(0.05, 0.60, requests)
    budget = Budget(BUDGET, 20)
    most, taken, tenths = 0.0, 0, []
    for number, wants in enumerate(hard, 1):
        budget.credit()
        taken += bool(wants and budget.take())
        most = max(most, taken - BUDGET * number)
        if number % (requests // 10) == 0:
            tenths.append(round(taken / number, 5))
    shared = Budget(BUDGET, 20)

    def work(part: NDArray[np.bool_]) -> int:
        count = 0
        for wants in part:
            shared.credit()
            count += bool(wants and shared.take())
        return count

    with ThreadPoolExecutor(threads) as workers:
        together = sum(workers.map(work, np.array_split(hard, threads)))
    return {
        "requests": requests,
        "wanted": round(float(hard.mean()), 4),
        "escalated": round(taken / requests, 5),
        "escalated_so_far_by_tenth": tenths,
        "most_above_budget_at_any_time": most,
        "escalated_by_threads": round(together / requests, 5),
        "met": most <= 0 and together <= BUDGET * requests,
    }


def alarms(streams: int = 2000, audits: int = 400, seed: int = 3) -> dict[str, Any]:
    """False alarms at exactly the promised risk, and audits until a broken promise is noticed."""
    from denizen.serve.route.audit import e_value

    rng = np.random.default_rng(seed)

    def first(rate: float) -> list[int]:
        wrong = np.cumsum(rng.random((streams, audits)) < rate, axis=1)
        table: dict[tuple[int, int], bool] = {}
        found = []
        for row in wrong:
            place = 0
            for n, k in enumerate(row.tolist(), 1):
                if (n, k) not in table:
                    table[n, k] = e_value(k, n, RISK) >= 1 / DELTA
                if table[n, k]:
                    place = n
                    break
            found.append(place)
        return found

    false = sum(place > 0 for place in first(RISK))
    noticed = {
        f"{rate:.0%}": {
            "noticed": round(sum(p > 0 for p in places) / streams, 4),
            "median_audits": int(np.median([p for p in places if p])) if any(places) else None,
        }
        for rate in (0.2, 0.3, 0.4)
        if (places := first(rate))
    }
    return {
        "streams": streams,
        "audits": audits,
        "false_alarms": round(false / streams, 4),
        "broken_promise": noticed,
        "met": false / streams <= DELTA,
    }


def measure(workspace: Path, calibrations: int = CALIBRATIONS) -> dict[str, Any]:
    """Every pool, the drifting stream, the audits."""
    pools = {kind: synthetic(kind) for kind in ("honest", "overconfident", "uninformative", "edge")}
    path = workspace / POOL
    found: dict[str, Any] = {}
    if path.exists():
        found["real"] = resampled(Pool.of(read_scored(path)), calibrations, ITEMS)
    for kind, scored in pools.items():
        print(f"  {kind}", flush=True)
        found[kind] = resampled(Pool.of(scored), calibrations, ITEMS)
    return {
        "promise": {"risk": RISK, "delta": DELTA, "budget": BUDGET},
        "selective_risk": found,
        "real_pool": "present" if path.exists() else "none in this workspace",
        "drift": drift(),
        "audit_alarm": alarms(),
        "targets": {"held": f">= {1 - DELTA:.2f}", "drift": "never above the budget"},
    }


def make_pool(workspace: Path, count: int) -> None:
    """Ask the workspace's shipped file `count` dev questions; resumable."""
    from benchmarks.generalist import newest_gguf
    from denizen.data import load_holdout
    from denizen.data.build import draw_items
    from denizen.project import Config
    from denizen.project.hashing import content_hash, sha256_file
    from denizen.serve.backend import LocalBackend
    from denizen.serve.route.scored import Journal, asking, score_all
    from denizen.tasks import suite_of

    suite, gguf = suite_of("core"), newest_gguf(workspace)
    items, _ = draw_items(count, POOL_SEED, load_holdout(suite.names), suite=suite, split="dev")
    key = content_hash([sha256_file(gguf), [item.id for item in items]])
    journal = Journal.open(workspace / "work" / f"route-pool-{key[:16]}.jsonl", key)

    async def run() -> list[Scored]:
        backend = LocalBackend(gguf, context=2048, parallel=8)

        def told(done: int, total: int) -> None:
            if done % 100 == 0:
                print(f"  {done}/{total}", flush=True)

        try:
            ask = asking(backend, suite, Config())
            return await score_all(items, ask, suite, journal, parallel=8, on_done=told)
        finally:
            await backend.close()

    write_scored(workspace / POOL, asyncio.run(run()))


def main() -> None:
    """Make the real model's pool, or print the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.selective_risk")
    parser.add_argument("--pool", type=int, default=0, help="make a pool of N real answers")
    parser.add_argument("--calibrations", type=int, default=CALIBRATIONS)
    parser.add_argument("--workspace", type=Path, default=Path("bench-workspace"))
    chosen = parser.parse_args()
    if chosen.pool:
        make_pool(chosen.workspace, chosen.pool)
    else:
        print(json.dumps(measure(chosen.workspace, chosen.calibrations), indent=1))


if __name__ == "__main__":
    main()
