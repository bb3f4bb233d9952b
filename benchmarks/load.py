"""The load generator, in a process of its own: so many clients that ask one question after another.

Contract: `python -m benchmarks.load SPEC` (a Spec as JSON) prints one JSON object: tokens, seconds,
milliseconds to the first token and to the end of every request, and a hash of what was answered.
A request that fails ends the run: a rate with errors in it is no rate.  Only one that met a closed
connection is sent again, from the start (llama.cpp's server closes kept ones without a word).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx


RECONNECTS = 4


@dataclass(frozen=True)
class Spec:
    """What is asked of whom: `prompts` are shared out among the clients."""

    address: str
    model: str
    clients: int
    prompts: tuple[str, ...]
    max_tokens: int
    stream: bool


@dataclass
class Done:
    """What one request took, in milliseconds, and what it gave."""

    first: float
    total: float
    tokens: int
    text: str


@dataclass
class Run:
    """Every request of a spec."""

    seconds: float = 0.0
    reconnects: int = 0
    done: list[tuple[int, Done]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Figures; the answers as one hash each, in the order of the prompts."""
        ordered = [done for _, done in sorted(self.done, key=lambda pair: pair[0])]
        return {
            "seconds": self.seconds,
            "tokens": sum(one.tokens for one in ordered),
            "first_ms": [round(one.first, 3) for one in ordered],
            "total_ms": [round(one.total, 3) for one in ordered],
            "reconnects": self.reconnects,
            "answers": [hashlib.sha256(o.text.encode()).hexdigest()[:12] for o in ordered],
        }


async def run(spec: Spec) -> Run:
    """All prompts, `clients` at a time."""
    import httpx

    made, work = Run(), iter(enumerate(spec.prompts))
    limits = httpx.Limits(max_connections=spec.clients, max_keepalive_connections=spec.clients)
    async with httpx.AsyncClient(base_url=spec.address, timeout=300, limits=limits) as client:
        # Connections are opened before the clock starts.
        await asyncio.gather(*(client.get("/v1/models") for _ in range(spec.clients)))
        began = time.perf_counter()
        await asyncio.gather(*(_client(client, spec, work, made) for _ in range(spec.clients)))
        made.seconds = time.perf_counter() - began
    return made


async def _client(
    client: httpx.AsyncClient, spec: Spec, work: Iterator[tuple[int, str]], made: Run
) -> None:
    import httpx

    for number, prompt in work:
        for _ in range(RECONNECTS):
            try:
                made.done.append((number, await _ask(client, spec, prompt)))
                break
            except httpx.RemoteProtocolError:
                made.reconnects += 1
        else:
            raise RuntimeError(f"{spec.address} closes every connection")


async def _ask(client: httpx.AsyncClient, spec: Spec, prompt: str) -> Done:
    body: dict[str, Any] = {
        "model": spec.model,
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": spec.max_tokens,
        "temperature": 0,
        "stream": spec.stream,
    }
    if not spec.stream:
        began = time.perf_counter()
        reply = await client.post("/v1/chat/completions", json=body)
        total = 1000 * (time.perf_counter() - began)
        told = reply.raise_for_status().json()
        text = told["choices"][0]["message"]["content"] or ""
        return Done(total, total, told["usage"]["completion_tokens"], text)
    body["stream_options"] = {"include_usage": True}
    began, first, tokens, texts = time.perf_counter(), 0.0, 0, []
    async with client.stream("POST", "/v1/chat/completions", json=body) as reply:
        reply.raise_for_status()
        async for line in reply.aiter_lines():
            if not line.startswith("data: {"):
                continue
            told = json.loads(line[6:])
            if "error" in told:
                raise RuntimeError(line)
            text = (told["choices"] or [{"delta": {}}])[0]["delta"].get("content")
            if text:
                first = first or 1000 * (time.perf_counter() - began)
                texts.append(text)
            tokens = (told.get("usage") or {}).get("completion_tokens", tokens)
    total = 1000 * (time.perf_counter() - began)
    return Done(first or total, total, tokens, "".join(texts))


def spec_text(spec: Spec) -> str:
    """A spec as the command line takes it."""
    return json.dumps(asdict(spec))


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    print(json.dumps(asyncio.run(run(Spec(**{**given, "prompts": tuple(given["prompts"])})))
                     .to_json()))  # fmt: skip
