"""The door: hosts, origins, media types, sizes, unknown paths and methods, each in its envelope."""

from __future__ import annotations

import gzip
import socket
from typing import Any

import httpx
import pytest
from scripted import Desk, Scripted, ask, chat_body, server

from denizen.project.config import ServeConfig
from denizen.serve.background import serving
from denizen.serve.exchange import Fault
from denizen.serve.web.door import allowed_hosts, hostname


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8484", 200),
        ("localhost", 200),
        ("LOCALHOST:1", 200),
        ("[::1]:8484", 200),
        ("evil.example", 403),
        ("evil.example:8484", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost@evil.example", 403),
        ("", 403),
    ],
)
def test_dns_rebinding(host: str, status: int) -> None:
    reply = ask(server(), "GET", "/v1/models", headers={"host": host})
    assert reply.status_code == status
    if status == 403:
        assert reply.json()["error"]["code"] == "host_not_allowed"
    open_to_all = server(settings=ServeConfig(host="0.0.0.0"))
    assert ask(open_to_all, "GET", "/v1/models", headers={"host": host}).status_code == 200
    desk = Desk()
    desk.keyed = True  # no page knows a key, and a proxy may name itself
    assert ask(server(desk=desk), "GET", "/v1/models", headers={"host": host}).status_code == 200


def test_hosts() -> None:
    assert allowed_hosts("0.0.0.0") is None and allowed_hosts("example.org") is None
    assert allowed_hosts("127.0.0.5") is not None and "127.0.0.5" in (
        allowed_hosts("127.0.0.5") or ()
    )
    assert hostname("[::1]:80") == "::1" and hostname("::1") == "::1" and hostname("a:80") == "a"


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://localhost:3000", 200), ("https://evil.example", 403), ("null", 403)],
)
def test_pages_of_other_sites(origin: str, status: int) -> None:
    reply = ask(server(), "GET", "/v1/models", headers={"origin": origin})
    assert reply.status_code == status
    assert not [name for name in reply.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "unknown_path"),
        ("POST", "/v1/chat/completions/", 404, "unknown_path"),
        ("GET", "/v1/chat/completions", 405, "method_not_allowed"),
        ("OPTIONS", "/v1/chat/completions", 405, "method_not_allowed"),
        ("DELETE", "/v1/models/denizen", 405, "method_not_allowed"),
        ("GET", "/v1/models/none", 404, "model_not_found"),
        ("GET", "/docs", 404, "unknown_path"),
    ],
)
def test_unknown_paths_and_methods(method: str, path: str, status: int, code: str) -> None:
    desk = Desk()
    reply = ask(server(desk=desk), method, path)
    assert reply.status_code == status and reply.json()["error"]["code"] == code
    assert ("allow" in reply.headers) is (status == 405)
    assert "x-request-id" in reply.headers
    assert desk.observed[0][0] in ("other", "/v1/models/{id}")


def test_ollama_has_its_own_envelope() -> None:
    for method, path, status in (
        ("GET", "/api/nothing", 404),
        ("GET", "/api/chat", 405),
        ("POST", "/api/pull", 404),
    ):
        reply = ask(server(), method, path)
        assert reply.status_code == status and set(reply.json()) == {"error"}
    reply = ask(server(), "POST", "/api/chat", json=chat_body(model="none"))
    assert reply.status_code == 404 and reply.json() == {"error": "model 'none' not found"}


def test_head_has_no_body_over_the_wire() -> None:
    with serving(server()) as url:
        base = url.removesuffix("/v1")
        reply = httpx.head(f"{base}/v1/models")
        assert reply.status_code == 200 and reply.content == b""
        assert int(reply.headers["content-length"]) > 0
        assert httpx.head(base).status_code == 200
        assert httpx.head(f"{base}/nothing").status_code == 404
        port = int(base.rsplit(":", 1)[1])
        with socket.create_connection(("127.0.0.1", port)) as wire:
            wire.sendall(b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n")
            assert b"200 OK" in wire.recv(4096)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        (None, 415),
    ],
)
def test_media_types(kind: str | None, status: int) -> None:
    raw = b'{"model": "denizen", "messages": [{"role": "user", "content": "x"}]}'
    headers = {"content-type": kind} if kind else {}
    reply = ask(server(), "POST", "/v1/chat/completions", content=raw, headers=headers)
    assert reply.status_code == status
    if kind in (None, "application/x-www-form-urlencoded"):
        # What curl sends unasked is what Ollama's own examples rely on.
        assert ask(server(), "POST", "/api/chat", content=raw, headers=headers).status_code == 200


def test_compressed_bodies_are_refused() -> None:
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    reply = ask(
        server(), "POST", "/v1/chat/completions", content=gzip.compress(b"{}"), headers=headers
    )
    assert reply.status_code == 415


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_too_large(declared: bool) -> None:
    answering = Scripted()
    app = server(answering, settings=ServeConfig(max_body=2048))
    raw = b'{"model": "' + b"x" * 5000 + b'"}'

    async def parts() -> Any:
        for start in range(0, len(raw), 500):
            yield raw[start : start + 500]

    reply = ask(
        app,
        "POST",
        "/v1/chat/completions",
        content=raw if declared else parts(),
        headers={"content-type": "application/json"},
    )
    assert reply.status_code == 413 and reply.json()["error"]["code"] == "body_too_large"
    assert answering.requests == []


def test_a_client_that_is_still_writing_sees_the_413() -> None:
    with serving(server(settings=ServeConfig(max_body=2048))) as url:
        reply = httpx.post(
            f"{url}/chat/completions",
            content=b"x" * 1_000_000,
            headers={"content-type": "application/json"},
        )
        assert reply.status_code == 413


def test_no_key_no_reading() -> None:
    desk = Desk()
    desk.refusals["admit"] = Fault(401, "no key")
    reply = ask(
        server(desk=desk),
        "POST",
        "/v1/chat/completions",
        content=b"{",
        headers={"content-type": "text/html", "authorization": "Bearer x"},
    )
    assert reply.status_code == 401 and desk.admitted == [("Bearer x", "127.0.0.1")]


def test_bodies_are_judged_in_the_dialect_of_the_path() -> None:
    headers = {"content-type": "application/json"}
    reply = ask(server(), "POST", "/api/chat", content=b'{"a": 1, "a": 2}', headers=headers)
    assert reply.status_code == 400 and "twice" in reply.json()["error"]
    reply = ask(server(), "POST", "/v1/responses", content=b"{]", headers=headers)
    assert reply.status_code == 400 and reply.json()["error"]["code"] == "invalid_json"
