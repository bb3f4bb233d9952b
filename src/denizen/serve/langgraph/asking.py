"""How the node reaches the Analyst: over HTTP with httpx, or the service in this process.

Contract: an `Asker` turns messages into a Reply, blocking (`ask`) or not (`aask`).  What is wrong
with one request is a failure of the Reply, so that the graph escalates; what is wrong with the
set-up (a refused key, an unknown model) raises NodeError, for no escalation would mend it.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Coroutine, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from denizen.project.web import fits_header, web_address
from denizen.serve.exchange import (
    Answering,
    Caller,
    Fault,
    Format,
    Outcome,
    Piece,
    Request,
    ToolCall,
    Turn,
    Visit,
)
from denizen.serve.langgraph.contract import Contract, NodeError
from denizen.serve.langgraph.conversation import Message, Reply

if TYPE_CHECKING:
    import httpx

LARGEST = 4 * 2**20  # bytes of a reply
_SET_UP = (401, 403, 404)
_Found = TypeVar("_Found")


class Asker(Protocol):
    """One question to the server, either way."""

    def ask(self, messages: list[Message]) -> Reply: ...
    async def aask(self, messages: list[Message]) -> Reply: ...


@dataclass
class OverHTTP:
    """An OpenAI-compatible address (it ends in /v1); `transport` is for tests.

    Without a `model` it is the first the server names, asked for once, and again when it is gone.
    """

    url: str
    key: str
    model: str
    contract: Contract
    timeout: float
    transport: Any = None
    learnt: bool = False

    def ask(self, messages: list[Message]) -> Reply:
        """Blocking."""
        import httpx

        try:
            with httpx.Client(**self._client()) as client:
                if not self.model and (failed := self._learnt(client.get("models"))):
                    return failed
                with client.stream("POST", **self._request(messages)) as reply:
                    return self._read(reply.status_code, _bounded(reply.iter_bytes()))
        except httpx.HTTPError as error:
            return self._unreached(error)

    async def aask(self, messages: list[Message]) -> Reply:
        """Not blocking."""
        import httpx

        try:
            async with httpx.AsyncClient(**self._client()) as client:
                if not self.model and (failed := self._learnt(await client.get("models"))):
                    return failed
                async with client.stream("POST", **self._request(messages)) as reply:
                    body = b""
                    async for piece in reply.aiter_bytes():
                        body += piece
                        if len(body) > LARGEST:
                            return self._read(reply.status_code, None)
                    return self._read(reply.status_code, body)
        except httpx.HTTPError as error:
            return self._unreached(error)

    def _request(self, messages: list[Message]) -> dict[str, Any]:
        body = {
            "model": self.model,
            "messages": messages,
            "response_format": {
                "type": "json_schema",
                "json_schema": {
                    "name": self.contract.name,
                    "strict": True,
                    "schema": self.contract.schema,
                },
            },
        }
        return {"url": "chat/completions", "json": body}

    def _client(self) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        return {
            "base_url": self.url,
            "headers": headers,
            "timeout": self.timeout,
            "transport": self.transport,
        }

    def _learnt(self, reply: httpx.Response) -> Reply | None:
        """Take the first model the server names (the Analyst stands first), or say why not."""
        told = _object(reply.content)
        if reply.status_code != 200:
            return self._refused(reply.status_code, told)
        named = told.get("data")
        first = named[0] if isinstance(named, list) and named else None
        if not isinstance(first, dict) or not isinstance(first.get("id"), str):
            raise NodeError("the server names no model", where=self.url, fix="give model=...")
        self.model, self.learnt = first["id"], True
        return None

    def _read(self, status: int, body: bytes | None) -> Reply:
        if body is None:
            return Reply("", {}, "the server's answer is too large")
        told = _object(body)
        if status != 200:
            return self._refused(status, told)
        meta = told.get("denizen")
        try:
            text = told["choices"][0]["message"]["content"]
        except (KeyError, IndexError, TypeError):
            text = None
        if not isinstance(text, str):
            return Reply("", {}, "the server's answer is no chat completion")
        return Reply(text, meta if isinstance(meta, dict) else {})

    def _refused(self, status: int, told: Mapping[str, Any]) -> Reply:
        error = told.get("error")
        message = str(error.get("message", "") if isinstance(error, dict) else error or "")
        message = " ".join(message.split())[:200]
        if status == 404 and self.learnt:  # another release is served now
            self.model, self.learnt = "", False
        elif status in _SET_UP:
            raise NodeError(
                f"the server answered {status}: {message or 'no reason given'}",
                where=self.url,
                fix="check url, key and model of make_analyst",
            )
        return Reply("", {}, f"the server answered {status}: {message}".rstrip(": "))

    def _unreached(self, error: httpx.HTTPError) -> Reply:
        import httpx

        if isinstance(error, httpx.TimeoutException):
            return Reply("", {}, f"no answer within {self.timeout:g} s")
        return Reply("", {}, f"the server was not reached ({type(error).__name__})")


def check_address(url: str, key: str) -> None:
    """Raise NodeError for an address that no request reaches, or a key that no header carries."""
    if web_address(url) is None:
        raise NodeError(
            f"{url!r} is no address", where="make_analyst", fix="give one such as http://HOST/v1"
        )
    if not fits_header(key):
        raise NodeError(
            "the key holds what no header can carry",
            where="make_analyst",
            fix="give the key alone, without the end of its line",
        )


def _object(body: bytes) -> dict[str, Any]:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _bounded(pieces: Iterable[bytes]) -> bytes | None:
    body = b""
    for piece in pieces:
        body += piece
        if len(body) > LARGEST:
            return None
    return body


@dataclass(frozen=True)
class InProcess:
    """A service of this process."""

    service: Answering
    model: str
    contract: Contract
    timeout: float

    def ask(self, messages: list[Message]) -> Reply:
        """Blocking: in a thread of its own, for the caller may have a running loop."""
        return run(self.aask(messages))

    async def aask(self, messages: list[Message]) -> Reply:
        """Not blocking."""
        wanted = Format("json_schema", self.contract.schema, self.contract.name, strict=True)
        visit = Visit(f"node-{uuid.uuid4().hex}", Caller("langgraph"), started=time.time())
        try:
            turns = tuple(turn_of(message) for message in messages)
            request = Request(model=self.model, turns=turns, format=wanted)
            async with asyncio.timeout(self.timeout):
                return await self._collect(request, visit)
        except TimeoutError:
            return Reply("", {}, f"no answer within {self.timeout:g} s")
        except Fault as fault:
            if fault.status in _SET_UP:
                raise NodeError(fault.message, fix="check the model of make_analyst") from fault
            return Reply("", {}, f"the service refused: {fault.message}")

    async def _collect(self, request: Request, visit: Visit) -> Reply:
        texts: list[str] = []
        meta: dict[str, Any] = {}
        async for part in self.service.chat(request, visit):
            if isinstance(part, Piece):
                texts += [part.text] if part.index == 0 else []
            elif isinstance(part, Outcome):
                meta = asdict(part)
        return Reply("".join(texts), meta)


def turn_of(message: Message) -> Turn:
    """A message as OpenAI writes it, as a Turn; parts of text are joined, others refused."""
    content = message.get("content") or ""
    if not isinstance(content, str):
        if any(part.get("type") != "text" for part in content):
            raise Fault(400, "a message may hold text only", param="messages")
        content = "".join(str(part.get("text", "")) for part in content)
    calls = tuple(
        ToolCall(str(c.get("id", "")), str(c["function"]["name"]), str(c["function"]["arguments"]))
        for c in message.get("tool_calls") or ()
    )
    return Turn(
        message["role"],
        content,
        calls,
        str(message.get("tool_call_id") or ""),
        str(message.get("name") or ""),
    )


def run(work: Coroutine[Any, Any, _Found]) -> _Found:
    """Wait for a coroutine from blocking code, whether or not a loop runs in this thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()
