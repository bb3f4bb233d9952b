"""The clients of the soak: what they ask, what they expect, and what they remember of it.

Contract: `clients(...)` runs until `until`; every request sends a traceparent of its own and is
remembered as a `Seen`.  Whatever is not within the contract is a `problem`, in words; an exception
of the connection is one, too, unless the client itself hung up.
"""

from __future__ import annotations

import asyncio
import json
import random
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from benchmarks import soak_contract as contract

if TYPE_CHECKING:
    import httpx

LEFT = 499  # what the server counts when a client has gone
SCHEMA = {
    "type": "object",
    "properties": {
        "token": {"enum": ["ETH", "USDC", "DAI"]},
        "share": {"anyOf": [{"type": "number", "minimum": 0, "maximum": 1}, {"type": "null"}]},
    },
    "required": ["token", "share"],
    "additionalProperties": False,
}
TOOL = {
    "type": "function",
    "function": {
        "name": "price",
        "description": "the price of a token",
        "parameters": {
            "type": "object",
            "properties": {"token": {"type": "string", "maxLength": 8}},
            "required": ["token"],
            "additionalProperties": False,
        },
    },
}


@dataclass(frozen=True)
class Seen:
    """One request: what it was, how it ended, its trace, and what was wrong with it."""

    action: str
    route: str
    status: int
    trace: str
    tokens: int = 0
    problem: str = ""

    @property
    def accepted(self) -> bool:
        """Whether the server must have a trace of it."""
        return self.status in (200, LEFT) and self.action in TRACED


@dataclass
class Crowd:
    """Everyone's memory, and what the server offers."""

    client: httpx.AsyncClient
    analyst: str
    base: str
    embedder: str
    questions: list[str]
    max_body: int
    seen: list[Seen] = field(default_factory=list)
    traces: list[str] = field(default_factory=list)
    rng: random.Random = field(default_factory=lambda: random.Random(6))

    def question(self) -> str:
        """One of the questions."""
        return self.rng.choice(self.questions)

    def messages(self) -> list[dict[str, str]]:
        """A conversation of one question."""
        return [{"role": "user", "content": self.question()}]


def parent() -> tuple[str, dict[str, str]]:
    """A trace id of our own, and the header that carries it."""
    trace = secrets.token_hex(16)
    return trace, {"traceparent": f"00-{trace}-{secrets.token_hex(8)}-01"}


async def _post(
    crowd: Crowd,
    action: str,
    route: str,
    body: Any,
    expected: tuple[int, ...] = (200,),
    check: Callable[[dict[str, Any]], str] = lambda told: "",
    **more: Any,
) -> None:
    """A request with a whole reply."""
    trace, headers = parent()
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers |= {"content-type": "application/json", **more.pop("headers", {})}
    method, path = more.get("method", "POST"), more.get("path", route)
    reply = await crowd.client.request(method, path, content=content, headers=headers)
    problem, tokens = "", 0
    if reply.status_code not in (*expected, *contract.BUSY):
        problem = f"status {reply.status_code}, expected {expected}: {reply.content[:160]!r}"
    elif reply.status_code == 200:
        told = contract.parsed(reply.content)
        problem = check(told)
        tokens = (told.get("usage") or {}).get("completion_tokens", 0) or 0
    elif path.startswith("/api/"):
        problem = contract.ollama_error(reply.status_code, reply.headers, reply.content)
    else:
        problem = contract.openai_error(reply.status_code, reply.headers, reply.content)
    crowd.seen.append(Seen(action, route, reply.status_code, trace, tokens, problem))
    if reply.status_code == 200 and action == "chat":
        crowd.traces.append(trace)


async def _lines(
    crowd: Crowd, action: str, route: str, body: Any, check: Callable[[list[str]], str], leave: bool
) -> None:
    """A streamed request, read to its end or left after a few lines."""
    trace, headers = parent()
    lines: list[str] = []
    status = 0
    async with crowd.client.stream("POST", route, json=body, headers=headers) as reply:
        status = reply.status_code
        async for line in reply.aiter_lines():
            lines.append(line)
            if leave and status == 200 and len(lines) > crowd.rng.randint(1, 12):
                break
    problem = ""
    if status != 200:
        bad = contract.ollama_error if route.startswith("/api/") else contract.openai_error
        problem = "" if status in contract.BUSY else f"status {status}"
        problem = problem or bad(status, reply.headers, "\n".join(lines).encode())
    elif not leave:
        problem = check(lines)
    status = LEFT if leave and status == 200 else status
    crowd.seen.append(Seen(action, route, status, trace, 0, problem))


CHAT = "/v1/chat/completions"


async def chat(crowd: Crowd) -> None:
    """The Analyst."""
    body = {"model": crowd.analyst, "messages": crowd.messages()}
    await _post(crowd, "chat", CHAT, body, check=contract.completion)


async def direct(crowd: Crowd) -> None:
    """The bare model, a few tokens."""
    body = {"model": crowd.base, "messages": crowd.messages(), "max_tokens": 12, "n": 2}
    await _post(crowd, "direct", CHAT, body, check=contract.completion)


async def streamed(crowd: Crowd) -> None:
    """Server-sent events to the end."""
    await _lines(crowd, "stream", CHAT, _stream(crowd), contract.stream, False)


async def hung_up(crowd: Crowd) -> None:
    """Server-sent events, left in the middle."""
    await _lines(crowd, "left", CHAT, _stream(crowd, 96), contract.stream, True)


def _stream(crowd: Crowd, tokens: int = 16) -> dict[str, Any]:
    model = crowd.rng.choice([crowd.analyst, crowd.base])
    body = {"model": model, "messages": crowd.messages(), "stream": True, "max_tokens": tokens}
    return {**body, "stream_options": {"include_usage": True}}


async def ollama(crowd: Crowd) -> None:
    """NDJSON."""
    body = {"model": crowd.base, "messages": crowd.messages(), "options": {"num_predict": 12}}
    await _lines(crowd, "ollama", "/api/chat", body, contract.ndjson, False)


async def responses(crowd: Crowd) -> None:
    """OpenAI's responses."""
    body = {"model": crowd.base, "input": crowd.question(), "max_output_tokens": 16}
    await _post(crowd, "responses", "/v1/responses", body)


async def embedded(crowd: Crowd) -> None:
    """Vectors of three texts."""
    texts = [crowd.question() for _ in range(3)]
    body = {"model": crowd.embedder, "input": texts}
    await _post(
        crowd, "embeddings", "/v1/embeddings", body, check=lambda told: contract.vectors(told, 3)
    )


async def structured(crowd: Crowd) -> None:
    """An object of a strict schema; 502 is the declared end where a model cannot keep to it."""
    wanted = {"name": "quote", "strict": True, "schema": SCHEMA}
    body = {
        "model": crowd.base,
        "messages": crowd.messages(),
        "max_tokens": 64,
        "response_format": {"type": "json_schema", "json_schema": wanted},
    }

    def check(told: dict[str, Any]) -> str:
        if problem := contract.completion(told):
            return problem
        choice = told["choices"][0]
        value = contract.parsed(choice["message"]["content"].encode())
        fits = set(value) == {"token", "share"} and value["token"] in ("ETH", "USDC", "DAI")
        return "" if fits or choice["finish_reason"] == "length" else "not of the schema"

    await _post(crowd, "structured", CHAT, body, (200, 502), check)


async def tools(crowd: Crowd) -> None:
    """A tool of the client's own."""
    body = {"model": crowd.base, "messages": crowd.messages(), "tools": [TOOL], "max_tokens": 48}
    await _post(crowd, "tools", CHAT, body, check=contract.completion)


async def feedback(crowd: Crowd) -> None:
    """A thumb for a trace that is there, or for none."""
    known = crowd.rng.choice(crowd.traces) if crowd.traces else ""
    body = {"trace_id": known or secrets.token_hex(16), "thumbs": "up"}
    await _post(crowd, "feedback", "/v1/feedback", body, (200,) if known else (404,))


async def bad(crowd: Crowd) -> None:
    """One of many wrong requests."""
    good = {"model": crowd.base, "messages": crowd.messages()}
    wrong: list[tuple[Any, tuple[int, ...], dict[str, Any]]] = [
        (b"{", (400,), {}),
        (b"\xff\xfe", (400,), {}),
        (b"[]", (400,), {}),
        (b"[" * 20_000, (400,), {}),
        ({**good, "modle": "x"}, (400,), {}),
        ({**good, "temperature": "warm"}, (400,), {}),
        ({**good, "n": 0}, (400,), {}),
        ({**good, "messages": []}, (400,), {}),
        ({**good, "model": "nobody"}, (404,), {}),
        ({**good, "response_format": {"type": "json_schema"}}, (400,), {}),
        (good, (415,), {"headers": {"content-type": "text/plain"}}),
        (good, (405,), {"method": "PUT", "route": "other"}),
        (good, (404,), {"path": "/v1/nothing", "route": "other"}),
        ({**good, "messages": [{"role": "user", "content": "word " * 40_000}]}, (400,), {}),
        (b"x" * (crowd.max_body + 1), (413,), {}),
    ]
    body, status, more = crowd.rng.choice(wrong)
    route = more.pop("route", CHAT)
    await _post(crowd, "bad", route, body, status, path=more.pop("path", CHAT), **more)


ACTIONS: tuple[tuple[Callable[[Crowd], Awaitable[None]], int], ...] = (
    (chat, 6), (direct, 3), (streamed, 5), (hung_up, 4), (ollama, 3), (responses, 2),
    (embedded, 3), (structured, 2), (tools, 1), (feedback, 1), (bad, 5),
)  # fmt: skip
TRACED = {"chat", "direct", "stream", "left", "ollama", "responses", "embeddings", "structured",
          "tools"}  # fmt: skip


async def clients(crowd: Crowd, many: int, until: float) -> None:
    """`many` clients at once until time.monotonic() is `until`."""
    await asyncio.gather(*(_client(crowd, until) for _ in range(many)))


async def _client(crowd: Crowd, until: float) -> None:
    weights = [weight for _, weight in ACTIONS]
    while time.monotonic() < until:
        action = crowd.rng.choices(ACTIONS, weights)[0][0]
        if action is embedded and not crowd.embedder:
            continue
        try:
            await action(crowd)
        except Exception as error:  # a bug of a check is a problem too, not the end of the run
            told = f"{type(error).__name__}: {error}"
            crowd.seen.append(Seen(action.__name__, "?", 0, "", 0, told[:160]))
