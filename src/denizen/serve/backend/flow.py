"""Events of worker threads as an async iterator: what carries tokens from llama.cpp to a request.

Contract: events come in order for each choice, and an exception of a worker is raised by the
iterator.  The event loop is woken once for all events that are waiting, which keeps the cost of a
token to some microseconds; with a `pause` it sleeps so long between two wakings, for the threads
that write have the same cores.  `cancel` makes every later `put` answer True: stop.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator
from typing import NamedTuple


class Event(NamedTuple):
    """Data of one choice; None: that choice has ended."""

    choice: int
    data: bytes | None


class Flow:
    """A queue from threads into one event loop, for one reader; `pause` in seconds.

    The first event, the end of a choice and an exception wake the reader at once.
    """

    def __init__(self, pause: float = 0.0) -> None:
        self._pause, self._woken = pause, 0.0
        self._loop = asyncio.get_running_loop()
        self._events: deque[Event | BaseException] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self.cancelled = False

    def put(self, event: Event | BaseException) -> bool:
        """From any thread; True if nobody wants more."""
        if self.cancelled:
            return True
        self._events.append(event)
        if self._pause and isinstance(event, Event) and event.data is not None:
            now = time.monotonic()
            if now < self._woken + self._pause:
                return False
            self._woken = now
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            try:
                self._loop.call_soon_threadsafe(_wake, waiter)
            except RuntimeError:  # the loop is closed
                return True
        return False

    def end(self, error: BaseException) -> None:
        """Nothing more is wanted, and whoever reads is told why."""
        self.put(error)
        self.cancelled = True

    def cancel(self) -> None:
        """Nothing more is wanted."""
        self.cancelled = True
        self._events.clear()

    @property
    def waiting(self) -> tuple[Event, ...]:
        """What nobody has read yet, without exceptions."""
        return tuple(event for event in tuple(self._events) if isinstance(event, Event))

    async def events(self, choices: int) -> AsyncGenerator[Event, None]:
        """Events until all choices have ended."""
        while choices:
            while self._events:
                event = self._events.popleft()
                if isinstance(event, BaseException):
                    raise event
                choices -= event.data is None
                yield event
            if choices:
                await self._wait()

    async def _wait(self) -> None:
        waiter = self._waiter = self._loop.create_future()
        # An event may have come before the waiter stood; put() sees either it or the events.
        if not self._events:
            await waiter
        self._waiter = None


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
