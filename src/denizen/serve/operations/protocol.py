"""uvicorn's HTTP/1.1 with the patience it lacks: for slow heads, stalled readers and crowds.

Contract: a connection has HEAD_SECONDS from its first byte (or from its beginning) to a whole
request head, and STALL_SECONDS to take what is waiting for it; then it is dropped. Connections
above CONNECTIONS are dropped at once. Bodies are timed by the gate, and how long a connection may
lie still between requests is uvicorn's own timeout_keep_alive.
"""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10.0
STALL_SECONDS = 30.0
CONNECTIONS = 2048


class PatientProtocol(H11Protocol):  # type: ignore[misc]
    """One connection."""

    _head_timer: asyncio.TimerHandle | None = None
    _stall_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Begin to wait for the first request."""
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS:
            transport.abort()
            return
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Read on; the head's time runs while no whole head has come."""
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:
            self._await_head()
        elif self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def pause_writing(self) -> None:
        """The client does not read fast enough."""
        super().pause_writing()
        if self._stall_timer is None:
            self._stall_timer = self.loop.call_later(STALL_SECONDS, self._drop)

    def resume_writing(self) -> None:
        """It read."""
        super().resume_writing()
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timers."""
        for timer in (self._head_timer, self._stall_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self._drop)

    def _drop(self) -> None:
        # Not close(): that waits until everything was sent, to one who may never read it.
        self.transport.abort()
