"""Minutes of mixed load with everything that goes wrong in production, and what must still hold.

Contract: chats, streams, embeddings, Ollama, structured answers, tools, bad and oversize bodies,
clients that hang up, an upstream that is killed and comes back.  Held against: no error outside the
contract, resident memory flat within 5% after warm-up (sampled every 5 s, the samples are in the
result), every accepted request in the trace store, metrics that agree with the clients' counts.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sqlite3
import statistics
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks import servers
from benchmarks.serving import shipped
from benchmarks.soak_clients import LEFT, Crowd, Seen, clients

MINUTES, CLIENTS = 30.0, 8
SAMPLE_SECONDS = 5.0
UP_SECONDS, DOWN_SECONDS = 45.0, 15.0  # of the upstream
WARM_UP = 0.2  # share of the time whose memory is not judged
MAX_BODY = 262_144
TARGETS = {
    "problems": "0",
    "memory_growth": "within 5%",
    "lost_traces": "0",
    "metrics_differences": "none",
}


def measure(
    workspace: Path, minutes: float = MINUTES, gguf: Path | None = None, many: int = CLIENTS
) -> dict[str, Any]:
    """The whole soak."""
    import httpx

    gguf = gguf or shipped(workspace)
    place = workspace / "soak"
    (place / "traces.sqlite").unlink(missing_ok=True)
    upstream = servers.free_port()
    with servers.denizen(gguf, place, settings(upstream)) as server:
        crowd, memory, outages = asyncio.run(_load(server, upstream, minutes * 60, many))
        try:
            counted = scraped(server.address)
        except httpx.HTTPError:  # it died: the rest of the result says when
            counted = {}
        process = server.process
    stored = trace_ids(place / "traces.sqlite")
    sent = {one.trace for one in crowd.seen}
    lost = [one for one in crowd.seen if one.accepted and one.trace not in stored]
    problems = [one for one in crowd.seen if one.problem]
    return {
        "minutes": minutes,
        "clients": many,
        "requests": len(crowd.seen),
        "by_action": dict(Counter(one.action for one in crowd.seen).most_common()),
        "by_status": {str(k): v for k, v in sorted(Counter(o.status for o in crowd.seen).items())},
        "upstream_outages": outages,
        "problems": len(problems),
        "first_problems": [f"{o.action} {o.route} {o.status}: {o.problem}" for o in problems[:20]],
        "memory": judged(memory),
        "accepted": sum(one.accepted for one in crowd.seen),
        "lost_traces": len(lost),
        "first_lost": [f"{one.action} {one.status} {one.trace}" for one in lost[:10]],
        "traces_nobody_sent": len(stored - sent),
        "metrics_differences": differences(crowd.seen, counted),
        "ended_with": process.returncode,
        "targets": TARGETS,
        "memory_mib_by_second": memory,
    }


def settings(upstream: int) -> dict[str, dict[str, Any]]:
    """As it would run, with an upstream, every local answer audited, and traces with content."""
    return {
        "serve": {"parallel": 4, "max_body": MAX_BODY, "queue": 64, "drain_seconds": 20},
        "route": {
            "upstream_url": f"http://127.0.0.1:{upstream}/v1",
            "upstream_model": "soak",
            "timeout": 1.0,
            "budget": 1.0,
            "audit": 0.5,
        },
        "traces": {"store": True, "content": "redacted"},
    }


async def _load(
    server: servers.Running, upstream: int, seconds: float, many: int
) -> tuple[Crowd, list[tuple[float, float]], int]:
    import httpx

    limits = httpx.Limits(max_connections=many * 2, max_keepalive_connections=many)
    async with httpx.AsyncClient(base_url=server.address, timeout=130, limits=limits) as client:
        names = [card["id"] for card in (await client.get("/v1/models")).json()["data"]]
        crowd = Crowd(
            client,
            names[0],
            next(name for name in names if name.endswith("-base")),
            next((name for name in names if name.startswith("all-minilm")), ""),
            questions(),
            MAX_BODY,
        )
        began = time.monotonic()
        until = began + seconds
        memory: list[tuple[float, float]] = []
        side = [
            asyncio.create_task(_sampled(server, began, memory)),
            asyncio.create_task(_upstream(upstream)),
            asyncio.create_task(_told(crowd, began, seconds)),
        ]
        try:
            await clients(crowd, many, until)
        finally:
            for task in side:
                task.cancel()
            _, outages, _ = await asyncio.gather(*side, return_exceptions=True)
    return crowd, memory, outages if isinstance(outages, int) else 0


async def _sampled(
    server: servers.Running, began: float, memory: list[tuple[float, float]]
) -> None:
    while True:
        used = server.memory() / 2**20
        memory.append((round(time.monotonic() - began, 1), round(used, 1)))
        await asyncio.sleep(SAMPLE_SECONDS)


async def _upstream(port: int) -> int:
    """Alive, killed, alive again; how often it was killed."""
    outages = 0
    while True:
        command = [sys.executable, "-m", "benchmarks.soak_upstream", str(port)]
        process = subprocess.Popen(command)
        try:
            await asyncio.sleep(UP_SECONDS)
        except asyncio.CancelledError:
            return outages
        finally:
            process.kill()
            process.wait(10)
        outages += 1
        try:
            await asyncio.sleep(DOWN_SECONDS)
        except asyncio.CancelledError:
            return outages


async def _told(crowd: Crowd, began: float, seconds: float) -> None:
    while True:
        await asyncio.sleep(30)
        wrong = sum(bool(one.problem) for one in crowd.seen)
        spent = time.monotonic() - began
        print(
            f"  {spent:.0f} of {seconds:.0f} s: {len(crowd.seen)} requests, {wrong} problems",
            file=sys.stderr,
        )


def questions() -> list[str]:
    """Questions of the training split, and some the calculator cannot serve."""
    from denizen.tasks import suite_of

    families = suite_of("core").families.values()
    made = [family.generate(seed, "train").prompt for family in families for seed in range(20)]
    return [*made, "Who wrote Pride and Prejudice?", "Tell me about liquidity.", "Hello there."]


def trace_ids(path: Path) -> set[str]:
    """The traces that are stored."""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        return {str(row[0]) for row in db.execute("SELECT id FROM traces")}


def judged(memory: list[tuple[float, float]]) -> dict[str, Any]:
    """Growth after warm-up: the last quarter's median over the first one's, and the trend."""
    kept = memory[int(len(memory) * WARM_UP) :]
    quarter = max(len(kept) // 4, 1)
    first = statistics.median(used for _, used in kept[:quarter])
    last = statistics.median(used for _, used in kept[-quarter:])
    trend = statistics.linear_regression(*zip(*kept, strict=True)).slope if len(kept) > 2 else 0.0
    return {
        "first_mib": round(first, 1),
        "last_mib": round(last, 1),
        "growth": round(last / first - 1, 4),
        "trend_mib_an_hour": round(3600 * trend, 1),
        "most_mib": max(used for _, used in memory),
        "samples": len(memory),
    }


def scraped(address: str) -> dict[tuple[str, str], int]:
    """denizen_requests_total by route and status."""
    import httpx
    from prometheus_client.parser import text_string_to_metric_families

    text = httpx.get(f"{address}/metrics", timeout=30).text
    return {
        (sample.labels["route"], sample.labels["status"]): int(sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "denizen_requests_total"
    }


def differences(seen: list[Seen], counted: dict[tuple[str, str], int]) -> list[str]:
    """Where the server's counts are not the clients'.

    A client that hangs up may do so when all was sent: those count as 200 or as 499.
    """
    mine: Counter[tuple[str, str]] = Counter()
    for one in seen:
        mine[one.route, str(200 if one.status == LEFT else one.status)] += 1
    theirs: Counter[tuple[str, str]] = Counter()
    for (route, status), count in counted.items():
        if any(route == known for known, _ in mine):
            theirs[route, "200" if status == str(LEFT) else status] += count
    found = []
    for key in sorted(mine.keys() | theirs.keys()):
        if mine[key] != theirs[key]:
            found.append(f"{key[0]} {key[1]}: clients {mine[key]}, server {theirs[key]}")
    return found


def main() -> None:
    """Soak for other lengths of time, and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak")
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("--gguf", type=Path)
    parser.add_argument("--workspace", type=Path, default=Path("bench-workspace"))
    chosen = parser.parse_args()
    found = measure(chosen.workspace, chosen.minutes, chosen.gguf, chosen.clients)
    print(json.dumps({k: v for k, v in found.items() if k != "memory_mib_by_second"}, indent=1))


if __name__ == "__main__":
    main()
