"""One HTTP request on its way through the server: its id, its caller, its reply.

Contract: made by the Door for every request and handed to the route's handler; `reply` sends a
whole answer once.  `opened`: a status line is out, so that no second one can follow; `closed`: the
last byte is on its way, so that the client may leave.
"""

from __future__ import annotations

import re
import secrets
import time
import uuid
from dataclasses import replace
from typing import Any, TypeVar

from denizen.serve.api.parsing import parse_object
from denizen.serve.api.rendering import dump
from denizen.serve.api.shape import Body, read
from denizen.serve.exchange import Caller, Outcome, Visit
from denizen.serve.web.inbox import Receive, Send, read_body
from denizen.serve.web.ports import Site

B = TypeVar("B", bound=Body)
_SANE = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_TRACE = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
JSON = "application/json"


class Arrival:
    """A request and its reply."""

    def __init__(self, site: Site, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        self.site, self.scope, self.receive = site, scope, receive
        self.send = send
        self._headers = {k.lower(): v for k, v in reversed(scope["headers"])}
        self.clock, self.started = time.perf_counter(), time.time()
        given = self.header("x-request-id")
        self.request_id = given if _SANE.fullmatch(given) else f"req_{uuid.uuid4().hex}"
        self.route = "other"
        self.status = 500
        self.opened = self.closed = False
        self.allow = ""  # methods of the path, when another was used
        self._limits: dict[str, str] = {}
        self.outcome: Outcome | None = None
        self.caller = Caller()
        self._trace = secrets.token_hex(16)

    def header(self, name: str) -> str:
        """A request header, or ""."""
        value: bytes = self._headers.get(name.encode(), b"")
        return value.decode("latin-1")

    @property
    def kind(self) -> str:
        """The media type of the body, without its parameters."""
        return self.header("content-type").partition(";")[0].strip().lower()

    @property
    def path(self) -> str:
        """The path that was asked for."""
        return str(self.scope["path"])

    @property
    def visit(self) -> Visit:
        """The surroundings of this request, for the service."""
        given = self.header("traceparent").strip()
        parent = given if _TRACE.fullmatch(given) else ""
        return Visit(self.request_id, self.caller, parent, self._trace, self.started)

    @property
    def trace(self) -> str:
        """The trace that this request belongs to: the caller's, or its own."""
        return self.visit.traceparent[3:35] or self.visit.trace_id

    def admit(self, scope: str | None = None) -> Caller:
        """Ask for the key, and that it may do this; raises Fault 401 or 403."""
        client = self.scope.get("client")
        operations = self.site.operations
        caller = operations.admit(self.header("authorization"), client[0] if client else "")
        self.caller = caller if caller.address or not client else replace(caller, address=client[0])
        if scope:
            operations.need(self.caller, scope)
        return self.caller

    def work(self, scope: str) -> Caller:
        """`admit`, and one request less of the caller's quota; raises also Fault 429."""
        caller = self.admit(scope)
        try:
            self.site.operations.take(caller)
        finally:
            # A refusal bears them, too: they say what there is and when it comes back.
            self._limits = self.site.operations.headers(caller)
        return caller

    async def json(self, model: type[B], *, forms: bool = False) -> B:
        """The body; raises Fault 400, 408, 413 or 415."""
        return read(model, parse_object(await self.raw(forms=forms)))

    async def raw(self, *, forms: bool = False) -> bytes:
        """The bytes of the body; `forms`: also under the media type that curl sends unasked."""
        return await read_body(
            self.receive,
            kind=self.kind,
            coding=self.header("content-encoding"),
            length=self.header("content-length"),
            limit=self.site.settings.max_body,
            kinds=(JSON, "application/x-www-form-urlencoded", "") if forms else (JSON,),
        )

    async def open(self, status: int, kind: str, headers: dict[str, str], size: int | None) -> None:
        """Send the status line and headers."""
        told = {"content-type": kind, "x-request-id": self.request_id, **self._limits, **headers}
        if size is not None:
            told["content-length"] = str(size)
        self.opened, self.status = True, status
        raw = [(k.encode("latin-1"), v.encode("latin-1")) for k, v in told.items()]
        await self.send({"type": "http.response.start", "status": status, "headers": raw})

    async def reply(
        self,
        status: int,
        content: Any,
        *,
        kind: str = JSON,
        headers: dict[str, str] | None = None,
    ) -> None:
        """Send a whole answer: bytes as they are, anything else as JSON."""
        body = content if isinstance(content, bytes) else dump(content)
        await self.open(status, kind, headers or {}, len(body))
        await self.close(body)

    async def close(self, last: bytes) -> None:
        """Send the last bytes."""
        self.closed = True
        await self.send({"type": "http.response.body", "body": last})
