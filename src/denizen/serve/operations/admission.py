"""The admission queue: so many requests at once, so many waiting, first come first served, fair.

Contract: `async with queue.place(caller)` holds one place. Callers take turns: each place that
comes free goes to the caller whose turn it is, and to the request of his that waited longest. A
full queue refuses the newest request of whoever has most waiting. Fault 503 "overloaded" says when
to try again; a waiter that is cancelled leaves no hole. One event loop only.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from denizen.serve.exchange import Fault

_RECENT = 64  # answers whose time the next wait is estimated from
_UNKNOWN = 1.0  # seconds an answer is taken to need before one was timed
_SOONEST, _LATEST = 1.0, 120.0

_Waiting = asyncio.Future[None]


class AdmissionQueue:
    """`places` requests at once, `queue` waiting for `seconds` at most."""

    def __init__(
        self,
        places: int,
        queue: int,
        seconds: float,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.places, self.queue, self.seconds = places, queue, seconds
        self.used = 0
        self.draining = False
        self._clock = clock
        self._times: deque[float] = deque(maxlen=_RECENT)
        # By caller, in the order of their turns; a dict is a queue one can leave anywhere.
        self._turns: OrderedDict[str, dict[_Waiting, None]] = OrderedDict()
        self._waiting = 0

    @property
    def waiting(self) -> int:
        """Requests that wait for a place."""
        return self._waiting

    @asynccontextmanager
    async def place(self, caller: str = "") -> AsyncIterator[None]:
        """Hold a place for the block. Raises Fault 503."""
        await self._enter(caller)
        begun = self._clock()
        try:
            yield
        finally:
            self._times.append(self._clock() - begun)
            self._leave()

    def retry_after(self) -> float:
        """Seconds until a place is likely free for one who joined the end of the queue now."""
        mean = sum(self._times) / len(self._times) if self._times else _UNKNOWN
        return min(max(mean * (self._waiting + 1) / self.places, _SOONEST), _LATEST)

    def drain(self) -> None:
        """Refuse new requests; those that wait keep their turns."""
        self.draining = True

    def refuse_waiting(self) -> None:
        """Refuse those that wait, too: the time to drain is over."""
        self.drain()
        for waiters in self._turns.values():
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_exception(closing())

    async def _enter(self, caller: str) -> None:
        if self.draining:
            raise closing()
        if self.used < self.places:  # nobody waits then: a free place is handed on at once
            self.used += 1
            return
        if self._waiting >= self.queue:
            self._make_room(caller)
        waiter: _Waiting = asyncio.get_running_loop().create_future()
        self._turns.setdefault(caller, {})[waiter] = None
        self._waiting += 1
        try:
            async with asyncio.timeout(self.seconds):
                await waiter
        except BaseException as error:
            self._forget(caller, waiter)
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._leave()  # the place was given in the moment of leaving: hand it on
            if isinstance(error, TimeoutError):
                raise self._overloaded(f"no place came free in {self.seconds:g} s") from None
            raise

    def _make_room(self, caller: str) -> None:
        """Push out the newest request of whoever waits most, if that is not the one who came."""
        most = max(self._turns, key=lambda c: len(self._turns[c]), default=caller)
        mine = len(self._turns.get(caller, {}))
        if len(self._turns.get(most, {})) <= mine + 1:
            raise self._overloaded("all places are taken and the queue is full")
        newest = next(reversed(self._turns[most]))
        self._forget(most, newest)
        if not newest.done():
            newest.set_exception(self._overloaded("the queue is full, and others have fewer"))

    def _forget(self, caller: str, waiter: _Waiting) -> None:
        waiters = self._turns.get(caller)
        if waiters is None or waiter not in waiters:
            return
        del waiters[waiter]
        self._waiting -= 1
        if not waiters:
            del self._turns[caller]

    def _leave(self) -> None:
        """Give the place to whose turn it is, or free it."""
        while self._turns:
            caller, waiters = next(iter(self._turns.items()))
            waiter = next(iter(waiters))
            self._forget(caller, waiter)
            if caller in self._turns:
                self._turns.move_to_end(caller)
            if not waiter.done():  # one that is being cancelled has no use for it
                waiter.set_result(None)
                return
        self.used -= 1

    def _overloaded(self, message: str) -> Fault:
        return Fault(
            503,
            f"the server is overloaded: {message}",
            kind="server_error",
            code="overloaded",
            retry_after=self.retry_after(),
        )


def closing() -> Fault:
    """What a request gets while the server ends."""
    return Fault(
        503,
        "the server is shutting down",
        kind="server_error",
        code="shutting_down",
        retry_after=5.0,
    )
