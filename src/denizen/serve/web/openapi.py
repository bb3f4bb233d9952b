"""The server's own OpenAPI 3.1 document, made from the models that read the bodies.

Contract: every path, method, body, status and media type the server uses is in it, and nothing it
does not do; request schemas are the very ones that validate.  Models served now are an enum,
unless a key is needed to see them.
Source: OpenAPI Specification 3.1.1.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

from denizen.serve.api import otlp
from denizen.serve.api.adapters import AdapterBody
from denizen.serve.api.feedback import FeedbackBody
from denizen.serve.api.ollama.body import OllamaChatBody, OllamaGenerateBody, OllamaShowBody
from denizen.serve.api.ollama.models import OllamaEmbedBody, OllamaEmbeddingsBody
from denizen.serve.api.openai.chat_body import ChatBody
from denizen.serve.api.openai.completion import CompletionBody
from denizen.serve.api.openai.embedding import EmbeddingBody
from denizen.serve.api.openai.response_body import ResponseBody
from denizen.serve.api.shape import Body
from denizen.serve.exchange import ModelCard
from denizen.serve.web.openapi_answers import ANSWERS, ref

JSON, EVENTS, LINES = "application/json", "text/event-stream", "application/x-ndjson"
_BYTES = {"type": "string", "format": "binary"}


class Operation(NamedTuple):
    """One method of one path. `answer` is a component, "" for plain text."""

    method: str
    path: str
    summary: str
    answer: str
    body: type[Body] | None = None
    stream: str = ""
    free: bool = False  # needs no key
    missing: bool = False  # may be 404
    statuses: tuple[int, ...] = ()


OPERATIONS = (
    Operation("post", "/v1/chat/completions", "Answer a conversation", "Chat", ChatBody, EVENTS),
    Operation("post", "/v1/completions", "Go on from a text", "Completion", CompletionBody, EVENTS),
    Operation("post", "/v1/responses", "Answer an input", "Response", ResponseBody, EVENTS),
    Operation("post", "/v1/embeddings", "Embed texts", "Embeddings", EmbeddingBody),
    Operation("get", "/v1/models", "The models served", "Models"),
    Operation("get", "/v1/models/{id}", "One model", "Model", missing=True),
    Operation("post", "/v1/feedback", "What a user thought", "Feedback", FeedbackBody),
    Operation("post", "/v1/traces", "Take OTLP traces", "Traces", missing=True),
    Operation(
        "post",
        "/admin/adapters",
        "Take in an adapter of the workspace's artefacts",
        "AdapterLoaded",
        AdapterBody,
        missing=True,
    ),
    Operation(
        "delete",
        "/admin/adapters/{id}",
        "Let an adapter go",
        "AdapterUnloaded",
        missing=True,
        statuses=(400,),
    ),
    Operation("post", "/api/chat", "Ollama: chat", "OllamaChat", OllamaChatBody, LINES),
    Operation(
        "post", "/api/generate", "Ollama: generate", "OllamaGenerate", OllamaGenerateBody, LINES
    ),
    Operation("post", "/api/embed", "Ollama: embed", "OllamaEmbed", OllamaEmbedBody),
    Operation(
        "post",
        "/api/embeddings",
        "Ollama: embed, older form",
        "OllamaEmbeddings",
        OllamaEmbeddingsBody,
    ),
    Operation("post", "/api/show", "Ollama: describe a model", "OllamaShow", OllamaShowBody),
    Operation("get", "/api/tags", "Ollama: the models served", "OllamaTags"),
    Operation("get", "/api/ps", "Ollama: the models loaded", "OllamaRunning"),
    Operation("get", "/api/version", "The version", "Version", free=True),
    Operation("get", "/healthz", "Whether the process lives", "Health", free=True),
    Operation("get", "/readyz", "Whether it can answer", "Status", free=True, statuses=(503,)),
    Operation("get", "/metrics", "Prometheus metrics", ""),
    Operation("get", "/openapi.json", "This document", "Document", free=True),
    Operation("get", "/", "One line for people", "", free=True),
)
_ERRORS = {
    400: "The request cannot be honoured; `param` names the field.",
    401: "A key is missing or wrong.",
    403: "The key may not do this, or the Host header is of another machine.",
    404: "There is no such model or thing.",
    408: "The body did not arrive in time.",
    413: "The body is too large.",
    415: "The media type is not accepted.",
    429: "Too many requests; see Retry-After.",
    500: "The server failed.",
    502: "What answers behind the server failed.",
    503: "Overloaded, draining, or out of time; see Retry-After.",
    504: "What answers behind the server took too long.",
}


def document(name: str, version: str, cards: Sequence[ModelCard] = ()) -> dict[str, Any]:
    """The document of a server that serves `cards`."""
    made = copy.deepcopy(_document())
    made["info"] = {"title": name, "version": version, "license": {"name": "Apache-2.0"}}
    if cards:
        for model in _bodies():
            _offer(made["components"]["schemas"][model.__name__], model, cards)
    return made


def _offer(schema: dict[str, Any], model: type[Body], cards: Sequence[ModelCard]) -> None:
    embeds = model in (EmbeddingBody, OllamaEmbedBody, OllamaEmbeddingsBody)
    ids = [card.id for card in cards if (card.kind == "embedding") == embeds]
    if model is OllamaShowBody:
        ids = [card.id for card in cards]
    if "model" not in schema["properties"] or not ids:
        return
    if model.__name__.startswith("Ollama"):
        ids += [f"{name}:latest" for name in ids]
    schema["properties"]["model"] = {"type": "string", "enum": ids, "title": "Model"}


def _bodies() -> list[type[Body]]:
    return [operation.body for operation in OPERATIONS if operation.body]


@functools.cache
def _document() -> dict[str, Any]:
    from pydantic.json_schema import models_json_schema

    _, schemas = models_json_schema(
        [(model, "validation") for model in _bodies()],
        ref_template="#/components/schemas/{model}",
    )
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation)
    key = {"type": "http", "scheme": "bearer", "description": "a key of `denizen keys`"}
    return {
        "openapi": "3.1.0",
        "info": {},
        "paths": paths,
        "components": {
            "schemas": {**schemas["$defs"], **ANSWERS},
            "securitySchemes": {"key": key},
        },
    }


def _operation(operation: Operation) -> dict[str, Any]:
    said: dict[str, Any] = {
        "summary": operation.summary,
        "operationId": _name(operation),
        "security": [] if operation.free else [{}, {"key": []}],
        "responses": _responses(operation),
    }
    if "{id}" in operation.path:
        said["parameters"] = [
            {
                "name": "id",
                "in": "path",
                "required": True,
                "schema": {"type": "string", "minLength": 1},
            }
        ]
    if operation.body:
        content: dict[str, Any] = {JSON: {"schema": ref(operation.body.__name__)}}
        said["requestBody"] = {"required": True, "content": content}
    elif operation.method == "post":
        content = {otlp.PROTOBUF: {"schema": _BYTES}, JSON: {"schema": {"type": "object"}}}
        said["requestBody"] = {"required": True, "content": content}
    return said


def _responses(operation: Operation) -> dict[str, Any]:
    if operation.answer:
        content: dict[str, Any] = {JSON: {"schema": ref(operation.answer)}}
    else:
        content = {"text/plain": {"schema": {"type": "string"}}}
    if operation.path == otlp.PATH:
        content[otlp.PROTOBUF] = {"schema": _BYTES}
    headers: dict[str, Any] = {"X-Request-Id": _header("what to name in a complaint")}
    if operation.stream:
        content[operation.stream] = {"schema": {"type": "string"}}
        headers["X-Denizen-Generated"] = _header("always true: the answer is generated")
    told = {"200": {"description": "Done", "content": content, "headers": headers}}
    if 503 in operation.statuses:
        told["503"] = {"description": "Not now", "content": {JSON: {"schema": ref("Status")}}}
    for status in _statuses(operation):
        told.setdefault(
            str(status), {"description": _ERRORS[status], "content": _refusal(operation.path)}
        )
    return told


def _refusal(path: str) -> dict[str, Any]:
    if path == otlp.PATH:
        return {JSON: {"schema": ref("OtlpStatus")}, otlp.PROTOBUF: {"schema": _BYTES}}
    return {JSON: {"schema": ref("OllamaError" if path.startswith("/api/") else "Error")}}


def _statuses(operation: Operation) -> tuple[int, ...]:
    if operation.free:
        return (403, 500)
    if operation.method != "post":
        missing = (404,) if operation.missing else ()
        return (*operation.statuses, 401, 403, *missing, 429, 500, 503)
    return tuple(_ERRORS)


def _name(operation: Operation) -> str:
    words = [w for w in operation.path.replace("{", "").replace("}", "").split("/") if w]
    return "_".join([operation.method, *words]).replace(".", "_")


def _header(said: str) -> dict[str, Any]:
    return {"description": said, "schema": {"type": "string"}}
