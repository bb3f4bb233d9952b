"""The gate, in one process: late bodies, closed connections, cancelled requests."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from denizen.project.config import ServeConfig
from denizen.serve.exchange import Fault, Usage
from denizen.serve.operations import KeyStore, Operations
from denizen.serve.operations.gate import Gate, Message, Receive, Send
from denizen.serve.operations.logs import logging_to


@pytest.fixture
def operations(tmp_path: Path) -> Operations:
    return Operations.from_config(ServeConfig(), tmp_path)


async def plain(
    send: Send, status: int = 200, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> None:
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": b"ok"})


async def reading(scope: Any, receive: Receive, send: Send) -> None:
    while (await receive()).get("more_body"):
        pass
    await plain(send, headers=((b"x-request-id", b"r-1"), (b"connection", b"keep-alive")))


async def ask(
    gate: Gate,
    *,
    headers: dict[str, str] | None = None,
    body: tuple[bytes, ...] = (),
    path: str = "/v1/models",
    endless: bool = False,
) -> tuple[int, dict[str, str], bytes]:
    """One request; an endless body never says it is complete."""
    sent: list[Message] = []
    parts = list(body)

    async def receive() -> Message:
        if parts:
            part = parts.pop(0)
            return {"type": "http.request", "body": part, "more_body": endless or bool(parts)}
        if endless:
            await asyncio.sleep(3600)
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "headers": [(k.encode(), v.encode()) for k, v in (headers or {}).items()],
    }
    await gate(scope, receive, send)
    start = sent[0]
    found = {bytes(k).decode(): bytes(v).decode() for k, v in start["headers"]}
    return start["status"], found, b"".join(m.get("body", b"") for m in sent[1:])


def run(work: Callable[[], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        return await work()

    return asyncio.run(main())


def test_a_body_that_does_not_arrive_is_a_408(operations: Operations) -> None:
    gate = Gate(reading, operations, body_seconds=0.05)
    slow = {"content-length": "100"}
    status, headers, body = run(lambda: ask(gate, headers=slow, body=(b"x",), endless=True))
    assert status == 408 and headers["connection"] == "close"
    assert json.loads(body)["error"]["code"] == "request_timeout"
    assert run(lambda: ask(gate, headers=slow, body=(b"x", b"y")))[0] == 200


def test_an_app_may_answer_a_late_body_itself(operations: Operations) -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        try:
            await reading(scope, receive, send)
        except Fault as fault:
            await plain(send, fault.status)

    gate = Gate(app, operations, body_seconds=0.05)
    sized = {"content-length": "9"}
    status, headers, body = run(lambda: ask(gate, headers=sized, body=(b"x",), endless=True))
    assert (status, body, headers["connection"]) == (408, b"ok", "close")


def test_after_its_body_a_request_may_take_its_time(operations: Operations) -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await receive()
        await asyncio.sleep(0.1)
        await receive()  # as one that listens for a disconnect
        await plain(send)

    gate = Gate(app, operations, body_seconds=0.05)
    assert run(lambda: ask(gate, headers={"content-length": "1"}, body=(b"x",)))[0] == 200


def test_connections_go_on_unless_the_body_is_unread_or_the_server_ends(
    operations: Operations,
) -> None:
    async def deaf(scope: Any, receive: Receive, send: Send) -> None:
        await plain(send, 401)

    sized = {"content-length": "100"}
    gate = Gate(reading, operations)
    _, headers, _ = run(lambda: ask(gate, headers=sized, body=(b"x" * 100,)))
    assert headers["connection"] == "keep-alive"
    refusing = Gate(deaf, operations)
    _, headers, _ = run(lambda: ask(refusing, headers=sized, body=(b"x" * 50, b"x" * 50)))
    assert "connection" not in headers  # taken in on the way out
    _, headers, _ = run(lambda: ask(refusing, headers=sized, body=(b"x",), endless=True))
    assert headers["connection"] == "close"
    _, headers, _ = run(lambda: ask(refusing))
    assert "connection" not in headers
    operations.drain()
    _, headers, _ = run(lambda: ask(gate))
    assert headers["connection"] == "close"


def test_cancelled_requests_get_a_503_if_nothing_was_said(operations: Operations) -> None:
    async def hanging(scope: Any, receive: Receive, send: Send) -> None:
        if scope["path"] == "/begun":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"half", "more_body": True})
        await asyncio.sleep(3600)

    async def main() -> None:
        gate = Gate(hanging, operations)
        silent = asyncio.create_task(ask(gate, path="/silent"))
        ollama = asyncio.create_task(ask(gate, path="/api/chat"))
        begun = asyncio.create_task(ask(gate, path="/begun"))
        waiting = asyncio.create_task(gate.idle())
        await asyncio.sleep(0.01)
        assert gate.active == 3 and not waiting.done()
        gate.cancel()
        await asyncio.wait_for(waiting, 1)
        status, headers, body = await silent
        assert status == 503 and headers["retry-after"] == "5"
        assert json.loads(body)["error"]["code"] == "shutting_down"
        assert json.loads((await ollama)[2]) == {"error": "the server is shutting down"}
        assert (await begun)[2] == b"half"  # and no end of the body: a client sees that it is cut
        assert gate.active == 0

    asyncio.run(main())


def test_a_cancellation_that_is_not_ours_passes(operations: Operations) -> None:
    async def hanging(scope: Any, receive: Receive, send: Send) -> None:
        await asyncio.sleep(3600)

    async def main() -> None:
        gate = Gate(hanging, operations)
        task = asyncio.create_task(ask(gate))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert gate.active == 0

    asyncio.run(main())


def test_the_log_knows_who_asked_and_what_it_cost(tmp_path: Path) -> None:
    key, secret = KeyStore(tmp_path).create("a", ("chat",))
    operations = Operations.from_config(ServeConfig(), tmp_path)

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await receive()
        given = dict(scope["headers"])[b"authorization"].decode()

        async def inner() -> None:  # as an interface does, in a task of its own
            caller = operations.admit(given, "127.0.0.1")
            async with operations.place():
                operations.spend(caller, Usage(12, 3))

        await asyncio.create_task(inner())
        await plain(send, headers=((b"x-request-id", b'r\n"2'),))

    async def failing(scope: Any, receive: Receive, send: Send) -> None:
        await plain(send, 503)

    stream = io.StringIO()
    with logging_to(stream):
        headers = {"authorization": f"Bearer {secret}"}
        run(lambda: ask(Gate(app, operations), headers=headers, path="/a\x1b[2J"))
        run(lambda: ask(Gate(app, operations), headers=headers, path="/readyz"))
        run(lambda: ask(Gate(failing, operations), path="/readyz"))
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2 and secret not in stream.getvalue()
    line = json.loads(lines[0])
    assert (line["key"], line["status"], line["request_id"]) == (key.id, 200, 'r\n"2')
    assert (line["prompt_tokens"], line["completion_tokens"]) == (12, 3)
    assert line["method"] == "POST" and 0 <= line["seconds"] < 5
    assert json.loads(lines[1])["status"] == 503
    operations.close()
