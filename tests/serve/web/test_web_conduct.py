"""Who leaves is not worked for: iterators close at once, places come back, failures are told."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scripted import HELLO, OUTCOME, Desk, Scripted, ask, chat_body, server

from denizen.project.config import ServeConfig
from denizen.serve.background import serving
from denizen.serve.exchange import Fault, Piece, Usage
from denizen.serve.metering import meter
from denizen.serve.operations import KeyStore, Operations

ENDLESS: tuple[Any, ...] = (
    *[step for _ in range(200) for step in (Piece(text="x"), 0.05)],
    OUTCOME,
)
SLOW_START: tuple[Any, ...] = (10.0, *HELLO)


class Wire:
    """A client by hand: it can leave at any moment."""

    def __init__(self, body: bytes) -> None:
        self.sent: list[dict[str, Any]] = []
        self.left = asyncio.Event()
        self._body: bytes | None = body

    async def receive(self) -> dict[str, Any]:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)


def scope(path: str, **headers: str) -> dict[str, Any]:
    told = {"host": "127.0.0.1:1", "content-type": "application/json", **headers}
    return {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "http_version": "1.1",
        "client": ("127.0.0.1", 5),
        "server": ("127.0.0.1", 1),
        "headers": [(k.encode(), v.encode()) for k, v in told.items()],
    }


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/api/chat", "/v1/responses"])
def test_the_iterator_is_closed_at_once_when_the_client_leaves(path: str, stream: bool) -> None:
    answering, desk = Scripted(ENDLESS), Desk()
    body: dict[str, Any] = chat_body(stream=stream)
    if path == "/v1/responses":
        body = {"model": "denizen", "input": "Hi", "stream": stream}

    async def go() -> Wire:
        wire = Wire(json.dumps(body).encode())
        work = asyncio.create_task(server(answering, desk)(scope(path), wire.receive, wire.send))
        while not answering.begun.is_set() or (stream and not wire.sent):
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.06)  # a second piece
        assert desk.inside == 1 and not answering.closed.is_set()
        wire.left.set()
        await asyncio.wait_for(work, 1)
        return wire

    wire = asyncio.run(go())
    assert answering.closed.is_set() and not answering.completed
    assert desk.inside == 0
    assert [(route, status) for route, status, _ in desk.observed] == [(path, 499)]
    assert 1 <= desk.spent[0].completion_tokens < 20
    assert bool(wire.sent) is stream


@pytest.mark.parametrize("ends", ["leaves", "fails"])
def test_what_was_used_is_charged_however_it_ends(ends: str, tmp_path: Path) -> None:
    class Metering(Scripted):
        """As a backend counts: the prompt when it was processed, tokens that nobody saw too."""

        async def chat(self, request: Any, visit: Any) -> Any:
            meter().add(100, 7)
            async for thing in super().chat(request, visit):
                yield thing

    secret = KeyStore(tmp_path).create("one", ("chat",), tokens_per_day=100)[1]
    settings = ServeConfig(keys="on")
    operations = Operations.from_config(settings, tmp_path)
    fault = Fault(502, "no", code="schema_not_met")
    answering = Metering(ENDLESS if ends == "leaves" else (0.01, fault))
    app = server(answering, operations, settings=settings)

    async def go() -> list[int]:
        statuses = []
        for _ in range(2):
            wire = Wire(json.dumps(chat_body(stream=True)).encode())
            headers = {"authorization": f"Bearer {secret}"}
            work = asyncio.create_task(
                app(scope("/v1/chat/completions", **headers), wire.receive, wire.send)
            )
            while not wire.sent:
                await asyncio.sleep(0.001)
            wire.left.set()
            await work
            statuses.append(wire.sent[0]["status"])
        return statuses

    # The second finds the day's quota used up by what the first had cost.
    assert asyncio.run(go()) == [200 if ends == "leaves" else 502, 429]
    told = operations.metrics.text()
    operations.close()
    assert 'denizen_tokens_total{direction="in"} 100.0' in told
    assert 'denizen_tokens_total{direction="out"} 7.0' in told


def test_words_that_no_token_was_spent_on_are_not_charged() -> None:
    def script(_: Any) -> list[Any]:
        meter().add(11, 3)  # a call of three tokens, told by the engine in thirty words
        return [*(Piece(text="word ") for _ in range(30)), Fault(503, "the model went away")]

    desk = Desk()
    body = chat_body(stream=True)
    ask(server(Scripted(script), desk), "POST", "/v1/chat/completions", json=body)
    assert desk.spent == [Usage(11, 3)]


def test_leaving_while_waiting_for_a_place_or_the_first_token() -> None:
    answering = Scripted(SLOW_START)

    async def go() -> float:
        wire = Wire(json.dumps(chat_body(stream=True)).encode())
        app = server(answering)
        work = asyncio.create_task(app(scope("/v1/chat/completions"), wire.receive, wire.send))
        while not answering.begun.is_set():
            await asyncio.sleep(0.001)
        left = time.perf_counter()
        wire.left.set()
        await work
        assert wire.sent == []
        return time.perf_counter() - left

    assert asyncio.run(go()) < 0.5
    assert answering.closed.is_set()


def test_leaving_in_the_middle_of_the_body() -> None:
    answering, desk = Scripted(), Desk()

    async def go() -> Wire:
        wire = Wire(b"")
        parts = [{"type": "http.request", "body": b'{"mo', "more_body": True}]

        async def receive() -> dict[str, Any]:
            return parts.pop() if parts else {"type": "http.disconnect"}

        await server(answering, desk)(scope("/v1/chat/completions"), receive, wire.send)
        return wire

    assert asyncio.run(go()).sent == []
    assert answering.requests == [] and desk.observed[0][1] == 499


@pytest.fixture(scope="module")
def endless() -> Iterator[tuple[str, Scripted]]:
    answering = Scripted(ENDLESS)
    with serving(server(answering)) as url:
        yield url, answering


@pytest.mark.parametrize("stream", [True, False])
def test_a_real_socket_that_closes(endless: tuple[str, Scripted], stream: bool) -> None:
    url, answering = endless
    answering.begun.clear()
    answering.closed.clear()
    port = int(url.split(":")[2].split("/")[0])
    body = json.dumps(chat_body(stream=stream)).encode()
    with socket.create_connection(("127.0.0.1", port)) as wire:
        wire.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        )
        assert answering.begun.wait(5)
        if stream:
            assert wire.recv(10)
    assert answering.closed.wait(1) and not answering.completed


def test_a_fault_before_the_first_byte_is_a_plain_error() -> None:
    fault = Fault(400, "too long", code="context_length_exceeded", param="messages")
    for stream in (True, False):
        reply = ask(
            server(Scripted([fault])), "POST", "/v1/chat/completions", json=chat_body(stream=stream)
        )
        assert reply.status_code == 400
        assert reply.json()["error"]["code"] == "context_length_exceeded"
        assert reply.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize(
    ("path", "mark"),
    [
        ("/v1/chat/completions", '"error"'),
        ("/v1/completions", '"error"'),
        ("/v1/responses", "event: response.failed"),
        ("/api/chat", '{"error":'),
        ("/api/generate", '{"error":'),
    ],
)
@pytest.mark.parametrize("error", [Fault(503, "gone away"), RuntimeError("secret of another user")])
def test_a_failure_in_mid_stream_is_told_and_ends_well(
    path: str, mark: str, error: Exception
) -> None:
    desk = Desk()
    bodies = {
        "/v1/completions": {"model": "denizen", "prompt": "x"},
        "/v1/responses": {"model": "denizen", "input": "x"},
        "/api/generate": {"model": "denizen", "prompt": "x"},
    }
    body = {**bodies.get(path, chat_body()), "stream": True}
    reply = ask(server(Scripted([Piece(text="a"), error]), desk), "POST", path, json=body)
    assert reply.status_code == 200 and mark in reply.text
    assert "secret" not in reply.text and "[DONE]" not in reply.text
    assert ("gone away" in reply.text) is isinstance(error, Fault)
    assert desk.observed[0][1] == (503 if isinstance(error, Fault) else 500)
    assert desk.spent == [Usage(0, 1)] and desk.inside == 0


def test_a_bug_is_a_500_that_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    app = server(Scripted([RuntimeError("secret of another user")]))
    reply = ask(
        app, "POST", "/v1/chat/completions", json=chat_body(), headers={"x-request-id": "r1"}
    )
    assert reply.status_code == 500
    assert reply.json()["error"]["type"] == "server_error" and "r1" in reply.text
    assert "secret" not in reply.text + caplog.text
    assert "RuntimeError" in caplog.text and "scripted.py" in caplog.text


def test_a_service_that_ends_without_an_outcome_is_a_bug() -> None:
    app = server(Scripted([Piece(text="a", finish="stop")]))
    assert ask(app, "POST", "/v1/chat/completions", json=chat_body()).status_code == 500
    streamed = ask(app, "POST", "/v1/chat/completions", json=chat_body(stream=True))
    assert "internal_error" in streamed.text and "[DONE]" not in streamed.text


@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_takes_its_time_and_no_more(stream: bool) -> None:
    answering = Scripted([Piece(text="a"), 10.0, OUTCOME])
    app = server(answering, settings=ServeConfig(request_seconds=0.1))
    reply = ask(app, "POST", "/v1/chat/completions", json=chat_body(stream=stream))
    assert reply.status_code == (200 if stream else 503)
    assert "serve.request_seconds" in reply.text and answering.closed.is_set()


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("admit", Fault(401, "no key", code="invalid_api_key")),
        ("chat", Fault(403, "scope", kind="permission_error")),
        ("take", Fault(429, "slow down", kind="rate_limit_error", retry_after=2.2)),
        ("place", Fault(503, "full", kind="server_error", code="overloaded", retry_after=1)),
    ],
)
def test_operations_refuse(name: str, fault: Fault) -> None:
    desk, answering = Desk(), Scripted()
    desk.refusals[name] = fault
    reply = ask(server(answering, desk), "POST", "/v1/chat/completions", json=chat_body())
    assert reply.status_code == fault.status and answering.requests == []
    assert reply.headers.get("retry-after") == ({429: "3", 503: "1"}.get(fault.status))
    assert ("www-authenticate" in reply.headers) is (fault.status == 401)
    # Once it is known whose they are, the limits are told, most of all to whom they stopped.
    told = "x-ratelimit-limit-requests" in reply.headers
    assert told is (name in ("take", "place"))
    said = ask(server(answering, desk), "POST", "/api/chat", json=chat_body())
    assert said.status_code == fault.status and said.json() == {"error": fault.message}


def test_logprobs_need_their_scope() -> None:
    desk = Desk()
    desk.refusals["logprobs"] = Fault(403, "no logprobs for this key")
    app = server(desk=desk)
    for path, body in (
        ("/v1/chat/completions", chat_body(logprobs=True)),
        ("/v1/completions", {"model": "denizen", "prompt": "x", "logprobs": 0}),
        ("/v1/responses", {"model": "denizen", "input": "x", "top_logprobs": 1}),
        ("/api/chat", chat_body(logprobs=True)),
    ):
        assert ask(app, "POST", path, json=body).status_code == 403
    assert ask(app, "POST", "/v1/chat/completions", json=chat_body()).status_code == 200


def test_what_was_used_is_spent_and_observed() -> None:
    desk = Desk()
    ask(server(desk=desk), "POST", "/v1/chat/completions", json=chat_body(stream=True))
    assert desk.spent == [OUTCOME.usage]
    assert desk.observed == [("/v1/chat/completions", 200, OUTCOME)]
    assert len(desk.firsts) == 1


def test_a_server_that_closes_tells_its_streams() -> None:
    answering, desk = Scripted(ENDLESS), Desk()

    async def go() -> Wire:
        wire = Wire(json.dumps(chat_body(stream=True)).encode())
        app = server(answering, desk)
        work = asyncio.create_task(app(scope("/v1/chat/completions"), wire.receive, wire.send))
        while len(wire.sent) < 2:
            await asyncio.sleep(0.001)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        return wire

    wire = asyncio.run(go())
    assert b'"code":"closing"' in wire.sent[-1]["body"] and not wire.sent[-1].get("more_body")
    assert answering.closed.is_set() and desk.inside == 0 and desk.observed[0][1] == 503


def test_headers_of_an_answer() -> None:
    answering = Scripted()
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    headers = {"x-request-id": "mine.1", "traceparent": parent}
    reply = ask(
        server(answering), "POST", "/v1/chat/completions", json=chat_body(), headers=headers
    )
    assert reply.headers["x-denizen-generated"] == "true"
    assert reply.headers["x-ratelimit-limit-requests"] == "60"
    assert reply.headers["x-request-id"] == "mine.1"
    assert reply.headers["x-denizen-trace"] == OUTCOME.trace_id
    assert answering.visits[0].traceparent == parent
    assert answering.visits[0].request_id == "mine.1"
    streamed = ask(
        server(), "POST", "/v1/chat/completions", json=chat_body(stream=True), headers=headers
    )
    assert streamed.headers["x-denizen-trace"] == parent[3:35]
    assert streamed.headers["content-type"].startswith("text/event-stream")
    for given in ("a b", "x" * 129, "é".encode(), 'a"b'):
        odd = {"x-request-id": given, "traceparent": "00-0-0-01"}
        told = ask(server(), "GET", "/healthz", headers=odd)
        assert told.headers["x-request-id"].startswith("req_")
