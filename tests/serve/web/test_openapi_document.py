"""The document is the server: every route is in it, and real answers have the shapes it promises."""

from __future__ import annotations

import re
from typing import Any

import jsonschema
import pytest
from scripted import HELLO, OUTCOME, Desk, Scripted, ask, chat_body, server

from denizen.serve.exchange import Fault, Piece, Request, TokenLogprob, ToolCall
from denizen.serve.web.app import ROUTES
from denizen.serve.web.openapi import OPERATIONS, document


def script(request: Request) -> list[object]:
    if request.tools:
        calls = (ToolCall("c1", "price", "{}"),)
        return [Piece(tool_calls=calls, finish="tool_calls"), OUTCOME]
    if request.logprobs is not None:
        told = (TokenLogprob("a", -0.5, (("b", -1.0),)),)
        return [Piece(text="a", logprobs=told, finish="length"), OUTCOME]
    return list(HELLO)


TOOL = {"type": "function", "function": {"name": "price", "parameters": {"type": "object"}}}
FLAT = {"type": "function", "name": "price", "parameters": {"type": "object"}}
ASKED: list[tuple[str, str, dict[str, Any] | None]] = [
    ("POST", "/v1/chat/completions", chat_body()),
    ("POST", "/v1/chat/completions", chat_body(tools=[TOOL])),
    ("POST", "/v1/chat/completions", chat_body(logprobs=True, top_logprobs=1)),
    ("POST", "/v1/chat/completions", chat_body(temprature=1)),
    ("POST", "/v1/chat/completions", chat_body(model="none")),
    ("POST", "/v1/completions", {"model": "denizen", "prompt": "x"}),
    ("POST", "/v1/completions", {"model": "denizen", "prompt": "x", "logprobs": 1}),
    ("POST", "/v1/responses", {"model": "denizen", "input": "x"}),
    ("POST", "/v1/responses", {"model": "denizen", "input": "x", "tools": [FLAT]}),
    ("POST", "/v1/responses", {"model": "denizen", "input": "x", "top_logprobs": 1}),
    ("POST", "/v1/embeddings", {"model": "minilm", "input": "x"}),
    ("POST", "/v1/embeddings", {"model": "minilm", "input": "x", "encoding_format": "base64"}),
    ("GET", "/v1/models", None),
    ("GET", "/v1/models/denizen", None),
    ("GET", "/v1/models/none", None),
    ("POST", "/v1/feedback", {"trace_id": "a", "score": 1}),
    ("POST", "/v1/feedback", {"trace_id": "unknown", "score": 1}),
    ("POST", "/api/chat", chat_body(stream=False)),
    ("POST", "/api/chat", chat_body(stream=False, tools=[TOOL])),
    ("POST", "/api/chat", chat_body(stream=False, logprobs=True, top_logprobs=1)),
    ("POST", "/api/chat", chat_body(messages=[])),
    ("POST", "/api/chat", chat_body(model="none")),
    ("POST", "/api/generate", {"model": "denizen", "prompt": "x", "stream": False}),
    ("POST", "/api/embed", {"model": "minilm", "input": ["x"]}),
    ("POST", "/api/embeddings", {"model": "minilm", "prompt": "x"}),
    ("POST", "/api/show", {"model": "denizen"}),
    ("POST", "/api/show", {}),
    ("GET", "/api/tags", None),
    ("GET", "/api/ps", None),
    ("GET", "/api/version", None),
    ("GET", "/healthz", None),
    ("GET", "/readyz", None),
    ("GET", "/openapi.json", None),
]


def found(path: str) -> str:
    """The path of the document that a path belongs to."""
    return "/v1/models/{id}" if path.startswith("/v1/models/") else path


@pytest.mark.parametrize(("method", "path", "body"), ASKED)
def test_answers_have_the_documented_shape(
    method: str, path: str, body: dict[str, Any] | None
) -> None:
    reply = ask(server(Scripted(script)), method, path, json=body)
    check(reply, method, path)
    if body is not None and reply.status_code == 200:
        made = document("denizen", "1")
        schema = made["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        jsonschema.validate(body, {**schema, "components": made["components"]})


def check(reply: Any, method: str, path: str) -> None:
    made = document("denizen", "1")
    responses = made["paths"][found(path)][method.lower()]["responses"]
    assert str(reply.status_code) in responses
    kind = reply.headers["content-type"].partition(";")[0]
    schema = responses[str(reply.status_code)]["content"][kind]["schema"]
    jsonschema.validate(
        reply.json(),
        {**schema, "components": made["components"]},
        cls=jsonschema.Draft202012Validator,
    )


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: o.path)
@pytest.mark.parametrize("status", [401, 429, 503])
def test_refusals_are_documented(operation: Any, status: int) -> None:
    desk = Desk()
    name = {401: "admit", 429: "take", 503: "place"}[status]
    desk.refusals[name] = Fault(status, "no", retry_after=1.0)
    path = operation.path.replace("{id}", "denizen")
    reply = ask(server(desk=desk), operation.method.upper(), path, json={})
    assert (
        str(reply.status_code)
        in document("d", "1")["paths"][operation.path][operation.method]["responses"]
    )


def test_every_route_is_documented_and_nothing_else() -> None:
    routes = {(method.lower(), path.replace(":path", "")) for method, path, _ in ROUTES}
    routes.add(("get", "/openapi.json"))
    assert {(o.method, o.path) for o in OPERATIONS} == routes


def test_every_reference_is_there() -> None:
    made = document("denizen", "1", Scripted().models)
    known = {f"#/components/schemas/{name}" for name in made["components"]["schemas"]}
    assert set(re.findall(r"#/components/schemas/\w+", str(made))) <= known
    for schema in made["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_where_keys_are_asked_for_no_model_is_named_to_strangers() -> None:
    desk = Desk()
    assert "denizen-yield" in ask(server(desk=desk), "GET", "/openapi.json").text
    desk.keyed, desk.refusals["admit"] = True, Fault(401, "no key")
    app = server(desk=desk)
    assert ask(app, "GET", "/v1/models").status_code == 401
    reply = ask(app, "GET", "/openapi.json")
    assert reply.status_code == 200 and "denizen-yield" not in reply.text


def test_an_adapter_taken_in_and_let_go_is_told_as_documented() -> None:
    class Adapting(Scripted):
        async def load_adapter(self, name: str, path: str, families: tuple[str, ...]) -> float:
            return 0.5

        async def unload_adapter(self, name: str) -> None: ...

    app, made = server(Adapting()), document("denizen", "1")["components"]
    body = {"name": "a", "path": "a.gguf", "families": ["pool_quote"]}
    told = ask(app, "POST", "/admin/adapters", json=body | {"name": "a:latest"})
    assert told.status_code == 400 and told.json()["error"]["param"] == "name"
    told = ask(app, "POST", "/admin/adapters", json=body).json()
    jsonschema.validate(told, {**made["schemas"]["AdapterLoaded"], "components": made})
    told = ask(app, "DELETE", "/admin/adapters/a").json()
    jsonschema.validate(told, {**made["schemas"]["AdapterUnloaded"], "components": made})


def test_models_served_are_offered_where_they_fit() -> None:
    schemas = document("denizen", "1", Scripted().models)["components"]["schemas"]
    assert schemas["ChatBody"]["properties"]["model"]["enum"] == ["denizen", "denizen-yield"]
    assert schemas["EmbeddingBody"]["properties"]["model"]["enum"] == ["minilm"]
    assert "minilm:latest" in schemas["OllamaEmbedBody"]["properties"]["model"]["enum"]
    assert schemas["ChatBody"]["additionalProperties"] is False
