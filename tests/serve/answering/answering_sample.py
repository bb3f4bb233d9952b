"""A scripted backend and the other fakes of the Analyst's tests: no model, no network, no files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from denizen.serve.answering.ports import NullShield, Unchecked
from denizen.serve.exchange import (
    BackendFacts,
    Caller,
    Choice,
    Fault,
    Guided,
    Outcome,
    Piece,
    Request,
    Turn,
    Usage,
    Visit,
)
from denizen.serve.route.reply import UpstreamFailed
from denizen.serve.service import Service

QUESTION = "Is a position from 2,400 to 3,100 in range at 2,655?"
ANSWER = "in or out of range. <calc>range(now=2,655; lower=2,400; upper=3,100)</calc>"
VISIT = Visit("req-1", Caller("local", frozenset({"chat", "logprobs"}), "127.0.0.1"))


class FakeBackend:
    """Writes `scripts` one after the other; remembers what it was asked and what was closed."""

    def __init__(
        self,
        *scripts: str,
        adapters: tuple[str, ...] = (),
        context: int = 2048,
        parameters: int = 135_000_000,
        delay: float = 0.0,
        finish: str = "stop",
    ) -> None:
        self.scripts = list(scripts)
        self.facts = BackendFacts("fake", context, adapters, parameters=parameters)
        self.delay, self.finish = delay, finish
        self.asked: list[Request] = []
        self.adapters: list[str] = []
        self.grammars: list[str] = []
        self.turns: list[tuple[Turn, ...]] = []
        self.streams_closed = 0
        self.closed = False

    def _next(self) -> str:
        return self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]

    async def guided(
        self, turns: tuple[Turn, ...], grammar: str, max_tokens: int, adapter: str = ""
    ) -> Guided:
        self.turns.append(turns)
        self.grammars.append(grammar)
        self.adapters.append(adapter)
        await asyncio.sleep(self.delay)
        return Guided(self._next(), (Choice("x", 3.0, 0.9),), "stop", Usage(40, 12))

    async def stream(self, request: Request, adapter: str = "") -> AsyncIterator[Piece]:
        self.asked.append(request)
        self.adapters.append(adapter)
        try:
            texts = [self._next() for _ in range(request.n)]
            for index, text in enumerate(texts):
                for at in range(0, len(text), 3):
                    await asyncio.sleep(self.delay)
                    yield Piece(index, text[at : at + 3])
                last = index == request.n - 1
                yield Piece(index, finish=self.finish, usage=Usage(9, 5) if last else None)
        finally:
            self.streams_closed += 1

    async def count(self, request: Request) -> int:
        text = request.text or "".join(turn.content for turn in request.turns)
        return len(text.split())

    async def ready(self) -> bool:
        return not self.closed

    async def close(self) -> None:
        self.closed = True


class FreeBackend(FakeBackend):
    """One without grammars, such as a server elsewhere."""

    guided = None  # type: ignore[assignment]


@dataclass
class FakeRecording:
    """Remembers the stages and how it ended."""

    trace_id: str = "trace-1"
    stages: list[str] = field(default_factory=list)
    ends: list[tuple[Outcome | None, str, Fault | None]] = field(default_factory=list)

    @contextmanager
    def span(self, name: str, **attributes: Any) -> Any:
        self.stages.append(name)
        yield None

    def finish(self, outcome: Outcome | None, text: str, fault: Fault | None) -> None:
        self.ends.append((outcome, text, fault))


class FakeTracer:
    """Keeps its recordings in a list."""

    def __init__(self) -> None:
        self.recordings: list[FakeRecording] = []
        self.closed = False

    def start(self, visit: Visit, request: Request) -> FakeRecording:
        self.recordings.append(FakeRecording())
        return self.recordings[-1]

    def feedback(self, trace_id: str, score: float, comment: str, visit: Visit) -> None:
        if trace_id != "trace-1":
            raise Fault(404, "no such trace")

    def close(self) -> None:
        self.closed = True


@dataclass(frozen=True)
class FakeDecision:
    """What a router says."""

    local: bool
    confidence: float | None = 0.8
    threshold: float | None = 0.7
    reason: str = "low confidence"


class FakeRouter:
    """Says the same of every answer, and remembers the signals."""

    def __init__(self, local: bool, kinds: Collection[str] = ("question",)) -> None:
        self.local, self.kinds = local, kinds
        self.seen: list[tuple[Mapping[str, float], str]] = []

    def covers(self, kind: str) -> bool:
        return kind in self.kinds

    def decide(self, signals: Mapping[str, float], group: str) -> FakeDecision:
        self.seen.append((signals, group))
        return FakeDecision(self.local)


@dataclass(frozen=True)
class FakeReply:
    """An upstream's reply."""

    text: str
    usage: Usage = field(default_factory=lambda: Usage(100, 20))


class FakeUpstream:
    """Replies with a text, or fails with a reason."""

    def __init__(self, text: str = "", fails: str = "") -> None:
        self.text, self.fails = text, fails
        self.asked: list[Request] = []

    async def ask(self, request: Request, visit: Visit) -> FakeReply:
        self.asked.append(request)
        if self.fails:
            raise UpstreamFailed(self.fails)
        return FakeReply(self.text)


class FakeAuditor:
    """Picks every request and keeps what is recorded."""

    def __init__(self) -> None:
        self.records: list[tuple[str, bool | None]] = []

    def pick(self, request_id: str) -> bool:
        return True

    def record(self, request_id: str, agreed: bool | None, **_: Any) -> None:
        self.records.append((request_id, agreed))


class HidingShield(NullShield):
    """Hides the word SECRET; blocks the word attack."""

    def check_input(self, request: Request) -> Unchecked:
        if any("attack" in turn.content for turn in request.turns):
            raise Fault(400, "this looks like an injection", code="prompt_injection")
        return Unchecked(flags=("watched",))

    def check_output(self, text: str, known: str) -> Unchecked:
        hidden = "SECRET" in text
        return Unchecked(text.replace("SECRET", "[withheld]"), ("hidden",) if hidden else ())


def ask(question: str, model: str = "denizen", **more: Any) -> Request:
    """A plain chat request of one turn."""
    return Request(model, (Turn("user", question),), **more)


def said(service: Service, request: Request) -> tuple[str, Outcome, list[Piece]]:
    """The text of choice 0, the outcome and all pieces of a request."""

    async def run() -> tuple[str, Outcome, list[Piece]]:
        things = [thing async for thing in service.chat(request, VISIT)]
        pieces = [thing for thing in things if isinstance(thing, Piece)]
        outcomes = [thing for thing in things if isinstance(thing, Outcome)]
        assert len(outcomes) == 1 and things[-1] is outcomes[0]
        return "".join(p.text for p in pieces if p.index == 0), outcomes[0], pieces

    return asyncio.run(run())
