"""A server over a fake service: what an example or a fuzzer can be pointed at, in milliseconds.

Contract: `Fake` answers any question with words, and any JSON Schema with a smallest object of it;
it knows the traces it gave out. `served(folder)` yields the address without a path.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from denizen.project.config import ServeConfig
from denizen.serve.background import serving
from denizen.serve.exchange import (
    Fault,
    ModelCard,
    Outcome,
    Piece,
    Request,
    TokenLogprob,
    ToolCall,
    Usage,
    Visit,
)

WORDS = ["A", "health", "factor", "below", "1", "is", "liquidated."]
VECTOR = tuple(n / 384 for n in range(384))


def instance(schema: Any, root: Any = None, depth: int = 0) -> Any:
    """A small value of a JSON Schema; enough for the schemas that clients send in the tests."""
    root = schema if root is None else root
    if not isinstance(schema, Mapping) or depth > 12:
        return None
    if "$ref" in schema:
        return instance(root.get("$defs", {}).get(schema["$ref"].split("/")[-1]), root, depth + 1)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    if schema.get("anyOf"):
        return instance(schema["anyOf"][0], root, depth + 1)
    kind = schema.get("type", "object")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        named = schema.get("properties", {})
        return {key: instance(one, root, depth + 1) for key, one in named.items()}
    if kind == "array":
        return [instance(schema.get("items"), root, depth + 1)] * int(schema.get("minItems", 1))
    return {"string": "text", "number": 0.75, "integer": 1, "boolean": True, "null": None}[kind]


class Fake:
    """A service without a model."""

    def __init__(self) -> None:
        self.traces: set[str] = set()
        self.feedback_given: list[tuple[str, float, str]] = []

    @property
    def models(self) -> tuple[ModelCard, ...]:
        return (
            ModelCard("denizen-tiny", "analyst"),
            ModelCard("denizen-tiny-base", "base"),
            ModelCard("all-minilm-l6-v2", "embedding"),
        )

    async def chat(self, request: Request, visit: Visit) -> AsyncIterator[Piece | Outcome]:
        trace = uuid.uuid4().hex
        self.traces.add(trace)
        usage = Usage(7, len(WORDS))
        told = (TokenLogprob("A", -0.1, (("A", -0.1),)),) if request.logprobs is not None else ()
        for index in range(request.n):
            if request.format.kind != "text":
                yield Piece(index, json.dumps(instance(request.format.schema or {})))
            elif request.tools and request.tool_choice != "none":
                yield Piece(index, tool_calls=(ToolCall(f"call_{index}", "quote", "{}"),))
                yield Piece(index, finish="tool_calls")
                continue
            else:
                for number, word in enumerate(WORDS):
                    await asyncio.sleep(0)
                    yield Piece(index, word if number == 0 else f" {word}", logprobs=told)
            yield Piece(index, finish="stop")
        yield Piece(usage=usage)
        yield Outcome(
            request.model,
            usage,
            exact=True,
            call="fee(pool=v2)",
            derivation=("the fee is 0.30%",),
            trace_id=trace,
        )

    async def embed(
        self, model: str, texts: tuple[str, ...], visit: Visit
    ) -> tuple[tuple[tuple[float, ...], ...], Usage]:
        return (VECTOR,) * len(texts), Usage(len(texts))

    async def feedback(self, trace_id: str, score: float, comment: str, visit: Visit) -> None:
        if trace_id not in self.traces:
            raise Fault(404, "no such trace", code="trace_not_found", param="trace_id")
        self.feedback_given.append((trace_id, score, comment))

    async def ready(self) -> bool:
        return True

    async def close(self) -> None:
        return None


def application(folder: Path, fake: Fake, otlp: Any = None, **settings: Any) -> Any:
    """The server's ASGI application over a fake service; `otlp` takes traces from outside."""
    from denizen.serve.operations import Operations
    from denizen.serve.web.app import create_server

    serve = ServeConfig(**settings)
    operations = Operations.from_config(serve, folder)
    return create_server(
        fake, operations, name="denizen-tiny", version="0", settings=serve, otlp=otlp
    )


@contextmanager
def served(folder: Path, fake: Fake, otlp: Any = None) -> Iterator[str]:
    """The address of a running server, without a path."""
    with serving(application(folder, fake, otlp)) as address:
        yield address.removesuffix("/v1")
