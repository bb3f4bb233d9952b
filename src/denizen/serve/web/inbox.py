"""What comes from the client: its body, bounded while it streams in, and its leaving.

Contract: a body over the limit is 413 and never held in memory; one that dawdles is 408; another
media type or a coding is 415.  `until_left` runs work and cancels it the moment the client goes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from contextlib import suppress
from typing import Any

from denizen.serve.exchange import Fault

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_SECONDS = 30.0  # for a whole body to arrive
_SPILL = 8  # bodies of this many times the limit are read on, unseen, so that the 413 arrives
_SPILL_SECONDS = 5.0


class Left(Exception):
    """The client has gone; nothing can be told to it."""


async def read_body(
    receive: Receive, *, kind: str, coding: str, length: str, limit: int, kinds: tuple[str, ...]
) -> bytes:
    """The bytes of a body of media type `kind`; raises Fault 408, 413 or 415, or Left."""
    if kind not in kinds:
        raise Fault(
            415,
            f"The media type must be {kinds[0]}.",
            code="unsupported_media_type",
        )
    if coding.strip().lower() not in ("", "identity"):
        raise Fault(415, "Compressed bodies are not accepted here.", code="unsupported_media_type")
    if length.isdigit() and int(length[:20]) > limit:
        await _spill(receive, 0, limit)
        raise _too_large(limit)
    body = bytearray()
    try:
        async with asyncio.timeout(_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Left
                body += message.get("body", b"")
                if len(body) > limit:
                    break
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        raise Fault(408, "The body did not arrive in time.", code="timeout") from None
    await _spill(receive, len(body), limit)
    raise _too_large(limit)


async def until_left(
    receive: Receive, work: Coroutine[Any, Any, None], answered: Callable[[], bool]
) -> None:
    """Run `work`; if the client leaves before it was `answered`, cancel it and raise Left."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_left(receive))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done() and not answered():
            await _cancel(task)
            raise Left
        await task
    finally:
        # Also when this request itself is cancelled: nothing may go on behind it.
        await _cancel(gone)
        await _cancel(task)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _cancel(task: asyncio.Future[None]) -> None:
    if not task.done():
        task.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await task


async def _spill(receive: Receive, read: int, limit: int) -> None:
    """Read on for a while: a client that is still writing would not see the refusal."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_SPILL_SECONDS):
            while read <= _SPILL * limit:
                message = await receive()
                read += len(message.get("body", b""))
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    return


def _too_large(limit: int) -> Fault:
    return Fault(
        413, f"The body is larger than {limit} bytes (serve.max_body).", code="body_too_large"
    )
