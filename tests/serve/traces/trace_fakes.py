"""What tests of traces share: requests, outcomes, a redactor, and a receiver on loopback."""

from __future__ import annotations

import gzip
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from denizen.serve.exchange import Caller, Outcome, Request, Turn, Usage, Visit
from denizen.serve.traces.spans import Span, Trace

ADDRESS = "0x" + "a1" * 20
KEY = "sk-live-" + "Zx9" * 8


def redact(text: str) -> str:
    """Hides addresses and keys, as the server's own redactor does."""
    return re.sub(r"0x[0-9a-fA-F]{40}", "[address]", re.sub(r"sk-[\w-]+", "[key]", text))


def asked(text: str = "What does Uniswap v3 charge?", **more: Any) -> Request:
    turns = (Turn("system", "Be exact."), Turn("user", text))
    return Request("denizen", turns, **more)


def visit(traceparent: str = "", request_id: str = "req_1") -> Visit:
    return Visit(request_id, Caller("key_7"), traceparent)


def outcome(**more: Any) -> Outcome:
    return Outcome(**{"model": "denizen-1", "usage": Usage(12, 5), "exact": True, **more})


def trace(number: int = 1, **more: Any) -> Trace:
    """A turn that was served; all of it may be trained on."""
    values = {
        "id": f"{number:032x}",
        "root": f"{number:016x}",
        "started": 10**18 + number,
        "ended": 10**18 + number + 5,
        "request_id": f"req_{number}",
        "content": "full",
        "question": f"question {number}",
        "answer": f"answer {number}",
        "consent": True,
        "origin": "local",
    }
    return Trace(**{**values, **more})


def span(number: int = 1, **more: Any) -> Span:
    values = {
        "trace_id": f"{number:032x}",
        "span_id": f"{number:016x}",
        "name": "chat",
        "start": 10**18,
        "end": 10**18 + 7,
    }
    return Span(**{**values, **more})


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def running(
    command: Sequence[str], folder: Path, health: str, environment: Mapping[str, str]
) -> Iterator[None]:
    """A foreign server, from when `health` answers; all it started ends with it."""
    with (folder / "log.txt").open("wb") as log:
        child = subprocess.Popen(
            command,
            env={**os.environ, **environment},
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            deadline = time.monotonic() + 240
            while not _answers(health):
                told = (folder / "log.txt").read_text("utf-8", "replace")[-2000:]
                assert child.poll() is None and time.monotonic() < deadline, told
                time.sleep(0.5)
            yield
        finally:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait(30)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).is_success
    except httpx.HTTPError:
        return False


@dataclass
class Received:
    """What a receiver was sent; `statuses` are its next answers, then 200."""

    calls: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    refuse: Any = None
    url: str = ""

    def bodies(self, path: str) -> list[bytes]:
        return [body for where, _, body in self.calls if where == path]


@contextmanager
def receiving() -> Iterator[Received]:
    """An HTTP server on loopback that remembers what it gets."""
    got = Received()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {key.lower(): value for key, value in self.headers.items()}
            if headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            status = got.statuses.pop(0) if got.statuses else 200
            if status == 200 and got.refuse is not None and got.refuse(body):
                status = 400
            if status == 200:
                got.calls.append((self.path, headers, body))
            self.send_response(status)
            for key, value in got.headers.items():
                self.send_header(key, value)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    got.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield got
    finally:
        server.shutdown()
        server.server_close()
