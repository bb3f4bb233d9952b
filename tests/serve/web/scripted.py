"""A service that says what a test wrote down, and operations that refuse what a test wants refused."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx

from denizen.serve.exchange import (
    BackendFacts,
    Caller,
    Cited,
    Fault,
    ModelCard,
    Outcome,
    Piece,
    Request,
    Usage,
    Visit,
)
from denizen.serve.web.app import create_server

FACTS = BackendFacts("tiny", 2048, quant="Q4_1", parameters=134_515_008, family="llama", size=1000)
CARDS = (
    ModelCard("denizen", "analyst", 1_700_000_000, FACTS),
    ModelCard("denizen-yield", "adapter", 1_700_000_000, FACTS),
    ModelCard("minilm", "embedding", 1_700_000_000, BackendFacts("minilm", 256)),
)
OUTCOME = Outcome(
    "denizen",
    Usage(11, 3),
    exact=True,
    confidence=0.93,
    call="swap(a=1)",
    derivation=("1 + 1 = 2",),
    citations=(Cited("eips/20.md", "ERC-20", "eips", 3, 9, "a token"),),
    corrections=(("3", "2"),),
    flags=("low confidence",),
    trace_id="0af7651916cd43dd8448eb211c80319c",
)
HELLO = (Piece(text="Hel"), Piece(text="lo"), Piece(text="", finish="stop"), OUTCOME)
Step = Piece | Outcome | Exception | float


class Scripted:
    """An Answering. A float in the script is a pause in seconds, an exception is raised."""

    def __init__(
        self, script: Sequence[Step] | Callable[[Request], Sequence[Step]] = HELLO
    ) -> None:
        self.script = script
        self.requests: list[Request] = []
        self.visits: list[Visit] = []
        self.embedded: list[tuple[str, ...]] = []
        self.told: list[tuple[str, float, str]] = []
        self.begun, self.closed = threading.Event(), threading.Event()
        self.completed = False
        self.is_ready = True
        self.models = CARDS

    async def chat(self, request: Request, visit: Visit) -> AsyncIterator[Piece | Outcome]:
        self.requests.append(request)
        self.visits.append(visit)
        self.begun.set()
        self.completed = False
        try:
            for step in self.script(request) if callable(self.script) else self.script:
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, float):
                    await asyncio.sleep(step)
                else:
                    yield step
            self.completed = True
        finally:
            self.closed.set()

    async def embed(
        self, model: str, texts: tuple[str, ...], visit: Visit
    ) -> tuple[tuple[tuple[float, ...], ...], Usage]:
        self.embedded.append(texts)
        return tuple((float(len(t)), 0.5, -1.0) for t in texts), Usage(len(texts), 0)

    async def feedback(self, trace_id: str, score: float, comment: str, visit: Visit) -> None:
        if trace_id == "unknown":
            raise Fault(404, "no such trace", code="trace_not_found", param="trace_id")
        self.told.append((trace_id, score, comment))

    async def ready(self) -> bool:
        return self.is_ready

    async def close(self) -> None: ...


class Desk:
    """Operations that let all pass, unless told otherwise, and write down what they see."""

    def __init__(self) -> None:
        self.draining = self.keyed = False
        self.firsts: list[float] = []
        self.metrics = self
        self.refusals: dict[str, Fault] = {}
        self.observed: list[tuple[str, int, Outcome | None]] = []
        self.spent: list[Usage] = []
        self.admitted: list[tuple[str, str]] = []
        self.inside = 0

    def admit(self, authorization: str, address: str) -> Caller:
        self.admitted.append((authorization, address))
        self._maybe("admit")
        return Caller("local", frozenset({"chat"}), address)

    def need(self, caller: Caller, scope: str) -> None:
        self._maybe(scope)

    def take(self, caller: Caller) -> None:
        self._maybe("take")

    def spend(self, caller: Caller, usage: Usage) -> None:
        self.spent.append(usage)

    def headers(self, caller: Caller) -> dict[str, str]:
        return {"x-ratelimit-limit-requests": "60"}

    def first_token(self, seconds: float) -> None:
        self.firsts.append(seconds)

    @asynccontextmanager
    async def place(self, caller: Caller | None = None) -> AsyncIterator[None]:
        assert caller is not None
        self._maybe("place")
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1

    def observe(self, route: str, status: int, seconds: float, outcome: Outcome | None) -> None:
        assert seconds >= 0
        self.observed.append((route, status, outcome))

    def text(self) -> str:
        return "# TYPE x counter\nx 1\n"

    def _maybe(self, name: str) -> None:
        if name in self.refusals:
            raise self.refusals[name]


def server(answering: Scripted | None = None, desk: Desk | None = None, **more: Any) -> Any:
    return create_server(
        answering or Scripted(), desk or Desk(), name="denizen", version="1.2.3", **more
    )


def ask(app: Any, method: str, path: str, **more: Any) -> httpx.Response:
    """One request without a network; failures of the app itself are raised."""

    async def go() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.request(method, path, **more)

    return asyncio.run(go())


def chat_body(**more: Any) -> dict[str, Any]:
    return {"model": "denizen", "messages": [{"role": "user", "content": "Hi"}], **more}
