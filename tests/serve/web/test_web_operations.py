"""Health, readiness, metrics, feedback, traces in, and the small routes of Ollama."""

from __future__ import annotations

import gzip
import json

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Status
from scripted import Desk, Scripted, ask, server

from denizen.project.config import ServeConfig
from denizen.serve.exchange import Fault

PROTOBUF = "application/x-protobuf"


def test_liveness_and_readiness() -> None:
    answering, desk = Scripted(), Desk()
    app = server(answering, desk)
    desk.refusals["admit"] = Fault(401, "keys are on")
    assert ask(app, "GET", "/healthz").json() == {
        "status": "ok",
        "name": "denizen",
        "version": "1.2.3",
    }
    assert ask(app, "GET", "/readyz").json() == {"status": "ready"}
    answering.is_ready = False
    assert ask(app, "GET", "/readyz").status_code == 503
    answering.is_ready, desk.draining = True, True
    reply = ask(app, "GET", "/readyz")
    assert reply.status_code == 503 and reply.json() == {"status": "draining"}
    assert ask(app, "GET", "/healthz").status_code == 200


def test_readiness_says_that_a_calibration_is_not_used() -> None:
    class Stale(Scripted):
        stale = "not calibrated: the calibration is of another reasoning"

    reply = ask(server(Stale()), "GET", "/readyz")
    assert reply.status_code == 200 and reply.json() == {"status": "ready", "router": Stale.stale}


def test_readiness_survives_a_broken_backend() -> None:
    class Broken(Scripted):
        async def ready(self) -> bool:
            raise RuntimeError("gone")

    assert ask(server(Broken()), "GET", "/readyz").json() == {"status": "not ready"}


def test_bodies_of_ollamas_own_command_line() -> None:
    # It writes every field that has no "omitempty", as `ollama show`, `run` and `stop` do.
    shown = {"system": "", "template": "", "verbose": False, "options": None, "name": ""}
    reply = ask(server(), "POST", "/api/show", json={"model": "denizen", **shown})
    assert reply.status_code == 200 and reply.json()["capabilities"] == ["completion", "tools"]
    reply = ask(server(), "POST", "/api/show", json={**shown, "model": "", "name": "denizen"})
    assert reply.status_code == 200
    reply = ask(server(), "POST", "/api/show", json={**shown, "model": ""})
    assert reply.status_code == 400 and reply.json() == {"error": "model is required"}
    reply = ask(server(), "POST", "/api/show", json={"model": "denizen", "template": "{{ . }}"})
    assert reply.status_code == 400 and "shown as it is" in reply.json()["error"]
    run = {"prompt": "", "suffix": "", "system": "", "template": "", "options": None}
    reply = ask(server(), "POST", "/api/generate", json={"model": "denizen", **run})
    assert reply.json()["done_reason"] == "load"
    stop = {"model": "denizen", **run, "keep_alive": "0s"}
    assert ask(server(), "POST", "/api/generate", json=stop).json()["done_reason"] == "unload"
    kept = {"model": "denizen", "prompt": "x", "truncate": False, "shift": False}
    assert ask(server(), "POST", "/api/generate", json=kept).status_code == 200


def test_metrics_need_their_scope() -> None:
    desk = Desk()
    reply = ask(server(desk=desk), "GET", "/metrics")
    assert reply.text == desk.text() and reply.headers["content-type"].startswith("text/plain")
    desk.refusals["metrics"] = Fault(403, "no")
    assert ask(server(desk=desk), "GET", "/metrics").status_code == 403


@pytest.mark.parametrize(
    ("body", "score"),
    [
        ({"score": 0.5}, 0.5),
        ({"score": -1}, -1.0),
        ({"thumbs": "up", "comment": "good"}, 1.0),
        ({"thumbs": "down"}, -1.0),
    ],
)
def test_feedback_is_handed_on(body: dict[str, object], score: float) -> None:
    answering = Scripted()
    reply = ask(server(answering), "POST", "/v1/feedback", json={"trace_id": "ab", **body})
    assert reply.json() == {"trace_id": "ab", "score": score, "recorded": True}
    assert answering.told == [("ab", score, body.get("comment", ""))]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"score": 1.5},
        {"score": 1, "thumbs": "up"},
        {"thumbs": "sideways"},
        {"score": True},
        {"score": 1, "comment": "x" * 4001},
        {"score": 1, "trace_id": "a b"},
    ],
)
def test_bad_feedback(body: dict[str, object]) -> None:
    reply = ask(server(), "POST", "/v1/feedback", json={"trace_id": "ab", **body})
    assert reply.status_code == 400


def test_feedback_to_nothing() -> None:
    reply = ask(server(), "POST", "/v1/feedback", json={"trace_id": "unknown", "score": 1})
    assert reply.status_code == 404 and reply.json()["error"]["code"] == "trace_not_found"


def test_traces_are_unpacked_and_handed_on() -> None:
    taken: list[tuple[bytes, str]] = []

    async def otlp(raw: bytes, kind: str) -> bytes:
        taken.append((raw, kind))
        return b"{}" if kind == "application/json" else b""

    app = server(otlp=otlp, settings=ServeConfig(max_body=1024))

    def post(raw: bytes, **headers: str):  # type: ignore[no-untyped-def]
        told = {"content-type": PROTOBUF, **headers}
        return ask(app, "POST", "/v1/traces", content=raw, headers=told)

    assert post(b"\x0a\x00").status_code == 200
    reply = post(
        gzip.compress(b'{"a": 1}'),
        **{"content-encoding": "gzip", "content-type": "application/json"},
    )
    assert reply.json() == {}
    assert taken == [(b"\x0a\x00", PROTOBUF), (b'{"a": 1}', "application/json")]
    packed = {"content-encoding": "gzip"}
    assert post(gzip.compress(b"\0" * 1_000_000), **packed).status_code == 413
    assert post(b"rubbish", **packed).status_code == 400
    assert post(gzip.compress(b"abc")[:-4], **packed).status_code == 400
    two = post(gzip.compress(b"\x0a\x00") * 2, **packed)  # half of it would be lost in silence
    assert two.status_code == 400 and "behind its end" in Status.FromString(two.content).message
    assert two.headers["content-type"] == PROTOBUF
    plain = post(b"[", **{"content-type": "application/json; charset=utf-8", **packed})
    assert plain.status_code == 400 and plain.json() == {"message": "The gzip body is cut short."}
    assert plain.headers["content-type"] == "application/json"
    assert post(b"x", **{"content-type": "text/plain"}).status_code == 415
    assert post(b"x", **{"content-encoding": "br"}).status_code == 415
    assert post(b"x" * 2000).status_code == 413
    assert len(taken) == 2


def test_traces_where_none_are_kept() -> None:
    headers = {"content-type": PROTOBUF}
    reply = ask(server(), "POST", "/v1/traces", content=b"", headers=headers)
    assert reply.status_code == 404
    assert Status.FromString(reply.content).message == "This server keeps no traces."


def test_small_routes_of_ollama() -> None:
    app = server()
    assert ask(app, "GET", "/").text == "Denizen is running"
    assert ask(app, "GET", "/api/version").json() == {"version": "1.2.3"}
    assert ask(app, "GET", "/api/tags").json()["models"][0]["name"] == "denizen:latest"
    assert ask(app, "GET", "/api/ps").json()["models"][0]["context_length"] == 2048
    for body in ({"model": "denizen:latest"}, {"name": "denizen", "verbose": True}):
        shown = ask(app, "POST", "/api/show", json=body).json()
        assert shown["details"]["family"] == "llama"
    assert ask(app, "POST", "/api/show", json={}).status_code == 400
    old = ask(app, "POST", "/api/embeddings", json={"model": "minilm", "prompt": "ab"})
    assert old.json() == {"embedding": [2.0, 0.5, -1.0]}
    for path, empty in (("/api/chat", {"messages": []}), ("/api/generate", {"prompt": ""})):
        told = ask(app, "POST", path, json={"model": "denizen", **empty}).json()
        assert told["done_reason"] == "load"


def test_models_of_the_wrong_kind() -> None:
    app = server()
    chat = {"model": "minilm", "messages": [{"role": "user", "content": "x"}]}
    for path, body in (
        ("/v1/chat/completions", chat),
        ("/v1/embeddings", {"model": "denizen", "input": "x"}),
        ("/api/embed", {"model": "denizen", "input": "x"}),
    ):
        assert ask(app, "POST", path, json=body).status_code == 400


def test_models_of_openai() -> None:
    app = server()
    told = ask(app, "GET", "/v1/models").json()["data"]
    assert [m["id"] for m in told] == ["denizen", "denizen-yield", "minilm"]
    assert ask(app, "GET", "/v1/models/denizen").json() == told[0]
    assert json.dumps(told[0]["denizen"]) == json.dumps(
        {"kind": "analyst", "context": 2048, "quant": "Q4_1", "parameters": 134515008}
    )
