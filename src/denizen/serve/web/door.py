"""The outermost layer: who may knock, what each request is called, and how failures are told.

Contract: an ASGI middleware.  On loopback, without keys, a Host or Origin of elsewhere is refused
(DNS rebinding, cross-site requests: no page knows a key); every reply bears X-Request-Id; a Fault,
an unknown path and a bug all become the error envelope of the dialect; each request is observed
once.  No CORS headers are ever sent.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from denizen.serve.api import otlp
from denizen.serve.api.ollama.answer import envelope as ollama_envelope
from denizen.serve.api.openai.errors import envelope
from denizen.serve.exchange import Fault
from denizen.serve.web.arrival import JSON, Arrival
from denizen.serve.web.inbox import Left, Receive, Send
from denizen.serve.web.ports import Site

App = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]
_log = logging.getLogger("denizen.serve")
_LEFT = 499  # nginx's number for a client that closed the request; never sent
_CLOSING = 503  # what the server says of requests it cancels when it ends


class Door:
    """The middleware."""

    def __init__(self, app: App, site: Site) -> None:
        self._app, self._site = app, site
        self._hosts = allowed_hosts(site.settings.host)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Serve one connection event."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1003})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        arrival = Arrival(self._site, scope, receive, send)
        scope["denizen"] = arrival
        try:
            try:
                self._knock(arrival)
                await self._app(scope, receive, send)
            except Left:
                arrival.status = _LEFT
            except asyncio.CancelledError:
                if not arrival.opened:
                    arrival.status = _CLOSING
                raise
            except Exception as error:
                await refuse(arrival, fault_of(error, arrival))
        finally:
            took = time.perf_counter() - arrival.clock
            self._site.operations.metrics.observe(
                arrival.route, arrival.status, took, arrival.outcome
            )

    def _knock(self, arrival: Arrival) -> None:
        if self._hosts is None or self._site.operations.keyed:
            return
        if hostname(arrival.header("host")) not in self._hosts:
            raise Fault(
                403,
                "This server answers on loopback only; the Host header names another machine.",
                kind="permission_error",
                code="host_not_allowed",
            )
        origin = arrival.header("origin")
        if origin and hostname(origin.partition("://")[2]) not in self._hosts:
            raise Fault(
                403,
                "Requests from pages of other sites are not served.",
                kind="permission_error",
                code="origin_not_allowed",
            )


async def refuse(arrival: Arrival, fault: Fault) -> None:
    """Tell a fault in the dialect of the path, unless an answer has begun."""
    if arrival.opened:
        return
    headers = {}
    if fault.retry_after is not None:
        headers["retry-after"] = str(max(1, int(-(-fault.retry_after // 1))))
    if fault.status == HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = "Bearer"
    if arrival.allow:
        headers["allow"] = arrival.allow
    body, kind = told(arrival, fault)
    await arrival.reply(fault.status, body, kind=kind, headers=headers)


def told(arrival: Arrival, fault: Fault) -> tuple[Any, str]:
    """The body of an error and its media type."""
    if arrival.path == otlp.PATH:
        return otlp.status(fault, arrival.kind)
    return (ollama_envelope if arrival.path.startswith("/api/") else envelope)(fault), JSON


def fault_of(error: Exception, arrival: Arrival) -> Fault:
    """What a client is told of a failure: a bug's text may hold another's data, so not that."""
    if isinstance(error, Fault):
        return error
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    place = f"{frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}" if frame else "?"
    _log.error("request %s failed: %s at %s", arrival.request_id, type(error).__name__, place)
    return Fault(
        500,
        f"The server failed on this request ({arrival.request_id}).",
        kind="server_error",
        code="internal_error",
    )


def allowed_hosts(host: str) -> frozenset[str] | None:
    """Names a Host header may have for a server bound to `host`; None: any (not on loopback)."""
    name = host.strip("[]").lower()
    if name != "localhost":
        try:
            if not ipaddress.ip_address(name).is_loopback:
                return None
        except ValueError:
            return None
    return frozenset({"localhost", "127.0.0.1", "::1", name})


def hostname(value: str) -> str:
    """The name of a Host header, without its port."""
    value = value.strip().lower()
    if value.startswith("["):
        return value[1:].partition("]")[0]
    return value.rpartition(":")[0] if value.count(":") == 1 else value
