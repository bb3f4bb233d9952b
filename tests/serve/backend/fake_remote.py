"""A loopback server that answers with whatever bytes a test wants, well-formed or not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Heard:
    """What the server was asked, and whether the client hung up on it."""

    path: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    left: bool = False
    asked: list[str] = field(default_factory=list)


Script = Callable[[str], list[bytes | float]]


def reply(
    body: bytes, *, status: int = 200, kind: str = "application/json", **headers: str
) -> list[bytes | float]:
    """One whole HTTP reply."""
    lines = [f"HTTP/1.1 {status} X", f"content-type: {kind}", f"content-length: {len(body)}"]
    lines += [f"{key.replace('_', '-')}: {value}" for key, value in headers.items()]
    return ["\r\n".join([*lines, "connection: close", "", ""]).encode() + body]


def stream(*events: Any, done: bool = True) -> list[bytes | float]:
    """A streamed reply; numbers are seconds to wait."""
    parts: list[bytes | float] = [
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
        b"connection: close\r\n\r\n"
    ]
    for event in events:
        if isinstance(event, bytes | float):
            parts.append(event)
        else:
            parts.append(f"data: {json.dumps(event)}\n\n".encode())
    return [*parts, b"data: [DONE]\n\n"] if done else parts


@asynccontextmanager
async def fake(script: Script) -> AsyncIterator[tuple[str, Heard]]:
    """The address (ends in /v1) of a server that plays `script(path)`, and what it heard."""
    heard = Heard()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            heard.path = head[0].split()[1]
            heard.asked.append(heard.path)
            heard.headers = dict(
                (k.lower(), v) for k, v in (line.split(": ", 1) for line in head[1:] if line)
            )
            length = int(heard.headers.get("content-length", 0))
            heard.body = json.loads(await reader.readexactly(length)) if length else None
            for part in script(heard.path):
                if isinstance(part, float):
                    await asyncio.sleep(part)
                else:
                    writer.write(part)
                    await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            heard.left = True
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        yield f"http://127.0.0.1:{port}/v1", heard
