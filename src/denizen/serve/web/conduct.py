"""One answer from the service to the client: admitted, placed, timed, streamed, accounted for.

Contract: a Fault before the first byte is a plain error; after it, the last event of the stream.
The service's iterator is closed the moment the client leaves, time runs out or the work fails, and
the place in the queue is given back.  What was written is accounted for in every case.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Any

from denizen.serve.api.rendering import Rendering
from denizen.serve.exchange import Fault, Outcome, Piece, Request, Usage
from denizen.serve.metering import Meter, metered
from denizen.serve.web.arrival import JSON, Arrival
from denizen.serve.web.door import fault_of
from denizen.serve.web.inbox import Left, until_left

Vectors = Sequence[Sequence[float]]
_PATIENCE = 5.0  # seconds for the last event of a stream that failed
# The service keeps the time itself, and its trace then says so; this is for one that does not.
_GRACE = 1.0
_ENDING = Fault(503, "The server is closing.", kind="server_error", code="closing")
_STREAM = {"cache-control": "no-store", "x-accel-buffering": "no"}


async def converse(
    arrival: Arrival, request: Request, rendering: Rendering, *, stream: bool
) -> None:
    """Answer `request`; raises Fault before the first byte, or Left."""
    turn = _Turn(arrival, replace(request, streamed=stream), rendering)
    work = turn.streamed() if stream else turn.plain()
    try:
        await until_left(arrival.receive, work, lambda: arrival.closed)
    except asyncio.CancelledError:
        # The server ends and the time for running answers is over: a stream is told so.
        if arrival.opened and not arrival.closed:
            await turn.cut_off(_ENDING)
        raise


class _Turn:
    """The work behind one answer."""

    def __init__(self, arrival: Arrival, request: Request, rendering: Rendering) -> None:
        self._arrival, self._request, self._rendering = arrival, request, rendering
        self._pieces = 0

    async def plain(self) -> None:
        """Gather all, then reply."""
        async with self._answer() as items:
            async for item in items:
                if isinstance(item, Outcome):
                    self._arrival.outcome = item
                else:
                    if not self._pieces:
                        self._first()
                    self._pieces += 1
                    self._rendering.add(item)
        body = self._rendering.whole(self._ended())
        await self._arrival.reply(200, body, kind=JSON, headers=self._headers())

    async def streamed(self) -> None:
        """Send each piece as it comes."""
        arrival = self._arrival
        try:
            async with self._answer() as items:
                render, send, begun = self._rendering.piece, arrival.send, False
                async for item in items:
                    if isinstance(item, Outcome):
                        arrival.outcome = item
                        continue
                    self._pieces += 1
                    before = b""
                    if not begun:
                        begun = True
                        self._first()
                        await self._open()
                        before = self._rendering.opening()
                    data = before + render(item)
                    if data:
                        await send({"type": "http.response.body", "body": data, "more_body": True})
            outcome, before = self._ended(), b""
            if not begun:
                await self._open()
                before = self._rendering.opening()
            last = before + self._rendering.closing(outcome)
        except Exception as error:
            if not arrival.opened:
                raise
            # The status line is out: the failure is told as the last event, and counted as one.
            await self.cut_off(fault_of(error, arrival))
        else:
            await arrival.close(last)

    async def cut_off(self, fault: Fault) -> None:
        """Tell a failure as the last event; raises Left if the client does not read it."""
        self._arrival.status = fault.status
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._arrival.close(self._rendering.broken(fault))
        except TimeoutError:
            raise Left from None

    @asynccontextmanager
    async def _answer(self) -> AsyncIterator[AsyncIterator[Piece | Outcome]]:
        """The service's items, within a place and the time there is."""
        site, arrival = self._arrival.site, self._arrival
        with _charged(arrival) as used:
            async with site.operations.place(arrival.caller):
                items = site.answering.chat(self._request, arrival.visit)
                clock = asyncio.timeout(site.settings.request_seconds + _GRACE)
                try:
                    async with clock:
                        yield items
                except TimeoutError:
                    if not clock.expired():
                        raise
                    raise _late(site.settings.request_seconds) from None
                finally:
                    if (close := getattr(items, "aclose", None)) is not None:
                        await close()
                    if used.usage == Usage():  # a backend that does not count: a piece is a token
                        used.written = self._pieces
                    if arrival.outcome is not None:
                        told = arrival.outcome.usage
                        used.read, used.written = told.prompt_tokens, told.completion_tokens

    async def _open(self) -> None:
        await self._arrival.open(200, self._rendering.media, self._headers() | _STREAM, None)

    def _first(self) -> None:
        since = time.perf_counter() - self._arrival.clock
        self._arrival.site.operations.metrics.first_token(since)

    def _headers(self) -> dict[str, str]:
        outcome = self._arrival.outcome
        trace = (outcome.trace_id if outcome else "") or self._arrival.trace
        told = {"x-denizen-generated": "true"}
        return {**told, "x-denizen-trace": trace} if trace else told

    def _ended(self) -> Outcome:
        if self._arrival.outcome is None:
            raise RuntimeError("the service ended without an outcome")
        return self._arrival.outcome


@contextmanager
def _charged(arrival: Arrival) -> Iterator[Meter]:
    """Charge what is used in the block, however it ends: who leaves early was still worked for."""
    with metered() as used:
        try:
            yield used
        finally:
            if used.usage != Usage():
                arrival.site.operations.spend(arrival.caller, used.usage)


def _late(seconds: float) -> Fault:
    return Fault(
        503,
        f"The answer took longer than {seconds:g} seconds (serve.request_seconds).",
        kind="server_error",
        code="timeout",
        retry_after=1.0,
    )


async def embed(
    arrival: Arrival,
    model: str,
    texts: tuple[str, ...],
    answer: Callable[[Vectors, Usage], dict[str, Any]],
) -> None:
    """Embed `texts` and reply with what `answer` makes of the vectors; raises Fault, or Left."""
    site = arrival.site

    async def work() -> None:
        with _charged(arrival) as used:
            async with site.operations.place(arrival.caller):
                try:
                    async with asyncio.timeout(site.settings.request_seconds + _GRACE) as clock:
                        vectors, usage = await site.answering.embed(model, texts, arrival.visit)
                        used.read, used.written = usage.prompt_tokens, usage.completion_tokens
                except TimeoutError:
                    if not clock.expired():
                        raise
                    raise _late(site.settings.request_seconds) from None
        await arrival.reply(200, answer(vectors, usage))

    await until_left(arrival.receive, work(), lambda: arrival.closed)
