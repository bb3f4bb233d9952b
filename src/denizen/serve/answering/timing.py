"""The clock of one answer: nothing waits longer than `serve.request_seconds` in all.

Contract: `within` and `bounded` raise Fault 504 when the deadline (of the event loop's clock) has
passed, and what was waited for is cancelled; leaving `bounded` early closes what is behind it.
`aside` keeps the event loop free of what reads long texts.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any, ParamSpec, TypeVar

from denizen.serve.exchange import Fault, Piece

P = ParamSpec("P")
T = TypeVar("T")
# Characters from which reading a text takes more than some milliseconds.
LARGE = 20_000


def deadline(seconds: float) -> float:
    """The moment by which an answer must be there."""
    return asyncio.get_running_loop().time() + seconds


async def within(until: float, work: Awaitable[T]) -> T:
    """The work's result; raises Fault 504 at the deadline."""
    try:
        async with asyncio.timeout_at(until):
            return await work
    except TimeoutError as error:
        raise Fault(
            504,
            "the answer took longer than this server allows",
            kind="server_error",
            code="timeout",
        ) from error


async def aside(size: int, work: Callable[P, T], *args: P.args, **more: P.kwargs) -> T:
    """Do what reads `size` characters; in a thread where that would hold up other callers."""
    if size < LARGE:
        return work(*args, **more)
    return await asyncio.to_thread(work, *args, **more)


async def bounded(pieces: AsyncIterator[Piece], until: float) -> AsyncGenerator[Piece, None]:
    """The pieces of a backend, up to the deadline."""
    try:
        while (piece := await within(until, _next(pieces))) is not None:
            yield piece
    finally:
        await close(pieces)


async def close(pieces: AsyncIterator[Any]) -> None:
    """End an iterator's work now, where it can be ended."""
    aclose = getattr(pieces, "aclose", None)
    if aclose is not None:
        await aclose()


async def _next(pieces: AsyncIterator[Piece]) -> Piece | None:
    return await anext(pieces, None)
