"""Stand-ins for a server: scripted answers over a fake transport, and a scripted service."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx

from denizen.serve.exchange import Fault, ModelCard, Outcome, Piece, Request, Usage, Visit

GOOD = {
    "yield_assessment": "moderate",
    "apr_sustainable": "low",
    "risk_flags": ["new venue"],
    "recommendations": [{"action": "hold", "rationale": "fees pay", "rationale_by": "rules"}],
    "confidence": 0.75,
}
BAD = {
    **GOOD,
    "recommendations": [{"action": "buy", "rationale": "it rises", "rationale_by": "rules"}],
}
URL = "http://analyst.test/v1"


@dataclass
class Script:
    """A server that says one thing after another; an int is an error's status, the body a dict."""

    says: list[Any]
    meta: dict[str, Any] = field(default_factory=dict)
    seen: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)

    def transport(self) -> httpx.MockTransport:
        """What `make_analyst(transport=)` takes, blocking or not."""
        return httpx.MockTransport(self.answer)

    def answer(self, request: httpx.Request) -> httpx.Response:
        """The next thing it says."""
        self.keys.append(request.headers.get("authorization", ""))
        if request.url.path == "/v1/models":
            return httpx.Response(200, json={"data": [{"id": "rel-1"}, {"id": "rel-1-base"}]})
        assert request.url.path == "/v1/chat/completions"
        self.seen.append(json.loads(request.content))
        said = self.says.pop(0)
        if isinstance(said, Exception):
            raise said
        if isinstance(said, int):
            return httpx.Response(said, json={"error": {"message": "no such luck"}})
        if isinstance(said, bytes):
            return httpx.Response(200, content=said)
        text = said if isinstance(said, str) else json.dumps(said)
        body = {"choices": [{"message": {"content": text}}], "denizen": {**self.meta}}
        return httpx.Response(200, json=body)


@dataclass
class ScriptedService:
    """The same as a service of this process."""

    says: list[Any]
    outcome: Outcome = field(default_factory=lambda: Outcome("rel-1", Usage(3, 5)))
    seen: list[Request] = field(default_factory=list)

    @property
    def models(self) -> tuple[ModelCard, ...]:
        return (ModelCard("rel-1", "analyst"), ModelCard("rel-1-base", "base"))

    async def chat(self, request: Request, visit: Visit) -> AsyncIterator[Piece | Outcome]:
        self.seen.append(request)
        said = self.says.pop(0)
        if isinstance(said, Fault):
            raise said
        text = said if isinstance(said, str) else json.dumps(said)
        for start in range(0, len(text), 7):
            yield Piece(text=text[start : start + 7])
        yield Piece(finish="stop")
        yield self.outcome

    async def embed(self, model: str, texts: tuple[str, ...], visit: Visit) -> Any:
        raise NotImplementedError

    async def feedback(self, trace_id: str, score: float, comment: str, visit: Visit) -> None:
        raise NotImplementedError

    async def ready(self) -> bool:
        return True

    async def close(self) -> None:
        return None
