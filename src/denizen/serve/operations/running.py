"""A server's life: bind, serve, and on a signal let what runs finish before everything is closed.

Contract: `run` returns after SIGTERM or SIGINT (so the process ends with 0): new requests get 503
while the listener stays open, running ones have serve.drain_seconds, then they are cancelled, and
`close` is awaited. A second signal cancels at once and ends with 128 + its number; a third kills.
ConfigError and PortError before anything is served; `check` raises them before a model is loaded.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import ssl
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from denizen.project.errors import DenizenError
from denizen.serve.operations.certificates import tls_context
from denizen.serve.operations.gate import App, Gate
from denizen.serve.operations.listening import listen, notify
from denizen.serve.operations.logs import logging_to
from denizen.serve.operations.operations import Operations

if TYPE_CHECKING:
    import socket

    from denizen.project.config import ServeConfig

KEEP_ALIVE = 65  # seconds; longer than the clients' own, or they meet a closing connection
HEAD_BYTES = 65_536  # of a request's head, at most
_CANCELLING = 5.0  # seconds for cancelled requests to end
_CLOSING, _CLOSING_FAST = 20.0, 3.0
_FILES = 8192
_SOON = 14  # days before a certificate's end from which a start warns
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_LOG = logging.getLogger("denizen.serve")


def run(
    app: App,
    serve: ServeConfig,
    operations: Operations,
    close: Callable[[], Awaitable[None]],
) -> None:
    """Serve `app` until a signal; from the main thread only."""
    tls = tls_context(serve.tls_certificate, serve.tls_key)
    sockets = listen(serve.host, serve.port)
    gate = Gate(app, operations)
    _allow_connections()
    with logging_to():
        if tls is not None and tls.days is not None and tls.days < _SOON:
            _LOG.warning("the certificate expires in %.0f days", tls.days)
        life = _Life(gate, operations, close, serve.drain_seconds)
        asyncio.run(life.lead(sockets, tls.context if tls else None))
    if len(life.signals) > 1:
        raise SystemExit(128 + life.signals[1])


def check(serve: ServeConfig) -> None:
    """Raise what `run` would say of certificate, host and port, before a model is loaded."""
    tls_context(serve.tls_certificate, serve.tls_key)
    for one in listen(serve.host, serve.port):
        one.close()


def _allow_connections() -> None:
    """Raise the soft limit of open files, of which each connection is one (often 1,024)."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class _Life:
    """One server from its start to its end."""

    def __init__(
        self,
        gate: Gate,
        operations: Operations,
        close: Callable[[], Awaitable[None]],
        drain_seconds: float,
    ) -> None:
        self._gate, self._operations = gate, operations
        self._close, self._drain_seconds = close, drain_seconds
        self.signals: list[int] = []
        self._asked, self._hurried = asyncio.Event(), asyncio.Event()
        self._server: Any = None

    async def lead(self, sockets: list[socket.socket], tls: ssl.SSLContext | None) -> None:
        """Serve, drain, close."""
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._signalled, number)
        try:
            server = self._server = _server(self._gate, tls)
            serving = asyncio.create_task(_served(server, sockets))
            await self._until(self._started(server, serving))
            if not serving.done() and not self._asked.is_set():
                notify("READY=1")
            await self._first(serving, self._asked.wait())
            notify("STOPPING=1")
            self._operations.drain()
            if not serving.done():
                await self._drain()
            server.should_exit = True
            await serving
        finally:
            await self._end()
            for one in sockets:
                one.close()
            for number in _SIGNALS:
                loop.remove_signal_handler(number)

    async def _drain(self) -> None:
        """Let what runs finish; then cancel it."""
        seconds = self._drain_seconds
        await self._first(self._gate.idle(), self._hurried.wait(), asyncio.sleep(seconds))
        if not self._gate.active:
            return
        if not self._hurried.is_set():
            _LOG.warning("%d requests did not end in %g s", self._gate.active, seconds)
        self._operations.queue.refuse_waiting()
        await asyncio.sleep(0)  # those that waited answer by themselves
        self._gate.cancel()
        await self._first(self._gate.idle(), asyncio.sleep(_CANCELLING))

    async def _end(self) -> None:
        seconds = _CLOSING_FAST if self._hurried.is_set() else _CLOSING
        try:
            async with asyncio.timeout(seconds):
                await self._close()
        except TimeoutError:
            _LOG.error("closing took more than %g s and was given up", seconds)
        finally:
            self._operations.close()

    async def _started(self, server: Any, serving: asyncio.Task[None]) -> None:
        while not server.started and not serving.done():
            await asyncio.sleep(0.01)

    async def _until(self, work: Coroutine[Any, Any, None]) -> None:
        await self._first(work, self._hurried.wait())

    async def _first(self, *awaited: Awaitable[Any]) -> None:
        """Wait for one of them; stop waiting for the others (a task that was given goes on)."""
        tasks = [asyncio.ensure_future(one) for one in awaited]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task, one in zip(tasks, awaited, strict=True):
            if task is not one:
                task.cancel()

    def _signalled(self, number: int) -> None:
        self.signals.append(number)
        if len(self.signals) > 2:
            os._exit(128 + number)
        if self._asked.is_set():
            self._hurried.set()
            if self._server is not None:
                self._server.force_exit = True
        self._asked.set()
        self._operations.drain()


def _server(gate: Gate, tls: ssl.SSLContext | None) -> Any:
    import uvicorn

    from denizen.serve.operations.protocol import PatientProtocol

    config = uvicorn.Config(
        gate,
        http=PatientProtocol,
        ws="none",
        loop="asyncio",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # an address in a header is whatever a client says it is
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=5,
        h11_max_incomplete_event_size=HEAD_BYTES,
    )
    config.load()
    config.ssl = tls
    server = uvicorn.Server(config)
    server.capture_signals = nullcontext  # signals are ours: uvicorn's stop the listener at once
    return server


async def _served(server: Any, sockets: list[socket.socket]) -> None:
    try:
        await server.serve(sockets=sockets)
    except SystemExit as error:  # uvicorn's word for an app that failed to start
        raise DenizenError(
            "the server could not start", where="app", fix="see the lines above"
        ) from error
