"""The outermost layer of the server: what is true of every request, whichever route it takes.

Contract: an ASGI app around another. It knows the requests in progress (so they can be waited for
and cancelled), gives a body so many seconds to arrive (Fault 408), closes connections whose body
nobody read and all of them while the server drains, and writes the access log.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from denizen.serve.api.ollama.answer import envelope as ollama_envelope
from denizen.serve.api.openai.errors import envelope
from denizen.serve.api.rendering import dump
from denizen.serve.exchange import Fault
from denizen.serve.operations.access import Access, recorded
from denizen.serve.operations.admission import closing
from denizen.serve.operations.operations import Operations

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

BODY_SECONDS = 30.0
_LINGER = 0.05  # seconds to take in a body that is refused unread, so the refusal is heard
_QUIET = frozenset({"/readyz", "/healthz"})  # a probe that went well is no news
_LOG = logging.getLogger("denizen.serve")


class Gate:
    """Around `app`; a body has `body_seconds` to arrive."""

    def __init__(
        self, app: App, operations: Operations, *, body_seconds: float = BODY_SECONDS
    ) -> None:
        self._app, self._operations = app, operations
        self._body_seconds = body_seconds
        self._running: set[asyncio.Task[Any]] = set()
        self._ending = False

    @property
    def active(self) -> int:
        """Requests in progress."""
        return len(self._running)

    async def idle(self) -> None:
        """Wait until no request is in progress."""
        while self._running:
            await asyncio.wait(set(self._running))

    def cancel(self) -> None:
        """Cancel every request in progress; one that did not begin to answer gets a 503."""
        self._ending = True
        for task in self._running:
            task.cancel()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """ASGI 3."""
        task = asyncio.current_task()
        if scope["type"] != "http" or task is None:
            await self._app(scope, receive, send)
            return
        self._running.add(task)
        access = Access(method=scope["method"], path=scope["path"])
        exchange = _Exchange(scope, receive, send, access, self._operations, self._body_seconds)
        try:
            with recorded(access):
                await self._answer(scope, exchange)
        finally:
            self._running.discard(task)
            if access.path not in _QUIET or not 200 <= access.status < 400:
                _LOG.info("", extra={"fields": access.line()})

    async def _answer(self, scope: MutableMapping[str, Any], exchange: _Exchange) -> None:
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except asyncio.CancelledError:
            if not self._ending:
                raise
            await exchange.refuse(closing())
        except Exception:
            if exchange.late is None:
                raise
            await exchange.refuse(exchange.late)


class _Exchange:
    """One request's messages on their way in and out."""

    def __init__(
        self,
        scope: MutableMapping[str, Any],
        receive: Receive,
        send: Send,
        access: Access,
        operations: Operations,
        body_seconds: float,
    ) -> None:
        self._receive, self._send = receive, send
        self._access, self._operations = access, operations
        names = {name for name, value in scope["headers"] if value != b"0"}
        self._read = not names & {b"content-length", b"transfer-encoding"}
        self._seconds = body_seconds
        self._until = asyncio.get_running_loop().time() + body_seconds
        self._started = False
        self.late: Fault | None = None

    async def receive(self) -> Message:
        """The next part of the body, in time or never; after it, the news that the client left."""
        if self._read:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._until):
                return self._seen(await self._receive())
        except TimeoutError:
            self.late = Fault(
                408,
                f"the body did not arrive within {self._seconds:g} s",
                code="request_timeout",
            )
            raise self.late from None

    async def send(self, message: Message) -> None:
        """Pass on; the head of the answer says whether the connection goes on."""
        if message["type"] == "http.response.start":
            self._started = True
            self._access.status = message["status"]
            headers = list(message.get("headers", ()))
            for name, value in headers:
                if bytes(name).lower() == b"x-request-id":
                    self._access.request_id = bytes(value).decode("latin-1")
            if not self._read:
                await self._linger()
            if not self._read or self._operations.draining:
                headers = [h for h in headers if bytes(h[0]).lower() != b"connection"]
                headers.append((b"connection", b"close"))
            message = {**message, "headers": headers}
        await self._send(message)

    async def refuse(self, fault: Fault) -> None:
        """Answer with an error, unless an answer has begun: then it just stops, visibly."""
        if self._started:
            return
        ollama = self._access.path.startswith("/api/")
        body = dump(ollama_envelope(fault) if ollama else envelope(fault))
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ]
        if fault.retry_after is not None:
            headers.append((b"retry-after", str(max(1, math.ceil(fault.retry_after))).encode()))
        await self.send({"type": "http.response.start", "status": fault.status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

    async def _linger(self) -> None:
        # What was refused before it was read would be cut off by a reset, and so might the answer.
        try:
            async with asyncio.timeout(_LINGER):
                while not self._read:
                    self._seen(await self._receive())
        except TimeoutError:
            pass

    def _seen(self, message: Message) -> Message:
        if message["type"] != "http.request" or not message.get("more_body", False):
            self._read = True
        return message
