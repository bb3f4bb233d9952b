"""Server-sent events of a foreign server, read with bounds (WHATWG HTML, section 9.2).

Contract: yields the data of each event; comments, other fields and unended last lines are passed
over.  A reply or a line that is longer than allowed raises TooMuch before it is held in memory.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator

MAX_REPLY, MAX_LINE = 16 * 2**20, 2**20


class TooMuch(ValueError):
    """More bytes than any honest reply has."""


async def until(deadline: float, chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """The chunks, until time.monotonic() is past the deadline: then TimeoutError."""
    async for chunk in chunks:
        if time.monotonic() > deadline:
            raise TimeoutError
        yield chunk


async def whole(chunks: AsyncIterator[bytes], most: int = MAX_REPLY) -> bytes:
    """All of a reply of at most so many bytes."""
    found = bytearray()
    async for chunk in chunks:
        found += chunk
        if len(found) > most:
            raise TooMuch(f"more than {most} bytes")
    return bytes(found)


async def events(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """The data of each line of data."""
    rest, seen = b"", 0
    async for chunk in chunks:
        seen += len(chunk)
        *lines, rest = (rest + chunk).split(b"\n")
        if seen > MAX_REPLY or len(rest) > MAX_LINE:
            raise TooMuch(f"more than {MAX_REPLY} bytes, or {MAX_LINE} in a line")
        for line in lines:
            if line.startswith(b"data:"):
                yield line[5:].strip()
