"""What the red team attacks: an OpenAI-compatible endpoint, or the service in this process.

Contract: `ask(system, question)` gives the answer's text, tool calls written out behind it, or says
that the request was refused and why. A target that cannot be reached at all is a DenizenError;
decoding is greedy, so that two runs see the same answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from denizen.project.errors import DenizenError
from denizen.serve.exchange import Answering, Caller, Fault, Piece, Request, Sampling, Turn, Visit

TOKENS = 96
SECONDS = 120.0
_LONGEST = 2_000_000  # characters of a reply that are read


class TargetError(DenizenError):
    """An endpoint that cannot be attacked: it does not answer as the OpenAI API does."""


class Reply(NamedTuple):
    """An answer, or why there is none."""

    text: str
    refused: str = ""


class Target(Protocol):
    """Anything that answers."""

    def ask(self, system: str, question: str) -> Reply: ...
    def close(self) -> None: ...


class Endpoint:
    """`url` ends in /v1; without a model the first that the endpoint lists is taken."""

    def __init__(self, url: str, model: str = "", key: str = "", *, transport: Any = None) -> None:
        import httpx

        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._url = url.rstrip("/")
        self._client = httpx.Client(timeout=SECONDS, headers=headers, transport=transport)
        self.model = model or self._first_model()

    def ask(self, system: str, question: str) -> Reply:
        """One turn; raises TargetError when the endpoint fails or talks rubbish."""
        body = {
            "model": self.model,
            "messages": _messages(system, question),
            "max_tokens": TOKENS,
            "temperature": 0,
        }
        status, value = self._post("POST", "/chat/completions", body)
        if 400 <= status < 500 and status not in (401, 404, 429):
            error = value.get("error")
            code = error.get("code") if isinstance(error, dict) else None
            return Reply("", f"refused: {str(code or status)[:60]}")
        if status != 200:
            raise self._rubbish(f"status {status}")
        try:
            message = value["choices"][0]["message"]
            calls = message.get("tool_calls") or []
            return Reply(_whole(message.get("content") or "", [c["function"] for c in calls]))
        except (LookupError, TypeError, AttributeError) as error:
            raise self._rubbish("no message in the reply") from error

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _first_model(self) -> str:
        status, value = self._post("GET", "/models", None)
        try:
            if status != 200:
                raise LookupError
            return str(value["data"][0]["id"])
        except (LookupError, TypeError) as error:
            raise self._rubbish("it lists no models") from error

    def _post(self, method: str, path: str, body: Any) -> tuple[int, dict[str, Any]]:
        import httpx

        try:
            reply = self._client.request(method, self._url + path, json=body)
            value = reply.json() if len(reply.content) < _LONGEST else None
        except httpx.HTTPError as error:
            raise TargetError(
                f"the endpoint does not answer: {type(error).__name__}",
                where=self._url,
                fix="start it, and name its address up to /v1",
            ) from error
        except (ValueError, RecursionError) as error:
            raise self._rubbish("the reply is not JSON") from error
        if not isinstance(value, dict):
            raise self._rubbish("the reply is no object")
        return reply.status_code, value

    def _rubbish(self, what: str) -> TargetError:
        return TargetError(
            f"not an OpenAI-compatible endpoint: {what}",
            where=self._url,
            fix="name its address up to /v1, its --model, and its key by --key-env",
        )


class InProcess:
    """A service of this process, asked from one event loop of its own."""

    def __init__(self, service: Answering, model: str = "") -> None:
        import asyncio

        self._service = service
        self._loop = asyncio.new_event_loop()
        self.model = model or service.models[0].id

    def ask(self, system: str, question: str) -> Reply:
        """One turn."""
        turns = tuple(
            Turn("system" if m["role"] == "system" else "user", m["content"])
            for m in _messages(system, question)
        )
        request = Request(self.model, turns, sampling=Sampling(max_tokens=TOKENS, temperature=0.0))
        try:
            return self._loop.run_until_complete(self._collect(request))
        except Fault as fault:
            if fault.status >= 500:
                raise TargetError(
                    f"the service failed: {fault.message}", fix="ask it with `denizen ask`"
                ) from fault
            return Reply("", f"refused: {fault.code or fault.status}")

    def close(self) -> None:
        """Close the service and the loop."""
        self._loop.run_until_complete(self._service.close())
        self._loop.close()

    async def _collect(self, request: Request) -> Reply:
        visit = Visit("redteam", Caller("redteam"))
        parts: list[str] = []
        calls: list[dict[str, str]] = []
        async for piece in self._service.chat(request, visit):
            if isinstance(piece, Piece):
                parts.append(piece.text)
                calls += [{"name": c.name, "arguments": c.arguments} for c in piece.tool_calls]
        return Reply(_whole("".join(parts), calls))


def _messages(system: str, question: str) -> list[dict[str, str]]:
    head = [{"role": "system", "content": system}] if system else []
    return [*head, {"role": "user", "content": question}]


def _whole(text: str, calls: Sequence[Any]) -> str:
    """The text with the calls behind it: a secret in an argument has got out as well."""
    said = [f"{call.get('name')}({call.get('arguments')})" for call in calls]
    return "\n".join([text, *said]).strip()
