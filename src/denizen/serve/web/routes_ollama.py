"""Ollama's routes: chat, generate, embed, tags, show, ps, version.

Contract: as OpenAI's routes, in Ollama's dialect; streams unless told not to.  Bodies are also
taken under the media type curl sends unasked, as Ollama does.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from denizen.serve.api.ollama import models as shapes
from denizen.serve.api.ollama.answer import OllamaAnswer, loaded
from denizen.serve.api.ollama.body import (
    OllamaChatBody,
    OllamaGenerateBody,
    OllamaShowBody,
    chat_request,
    generate_request,
)
from denizen.serve.api.openai.embedding import check_dimensions
from denizen.serve.exchange import Fault, ModelCard, Request, Usage
from denizen.serve.web.arrival import Arrival
from denizen.serve.web.conduct import Vectors, converse, embed
from denizen.serve.web.routes_openai import card_of, find, may_have


async def chat(arrival: Arrival) -> None:
    """POST /api/chat."""
    arrival.work("chat")
    body = await arrival.json(OllamaChatBody, forms=True)
    card = _card(arrival, body.model)
    request = chat_request(body, _context(card)) if body.messages else None
    await _written(arrival, body, request, card)


async def generate(arrival: Arrival) -> None:
    """POST /api/generate."""
    arrival.work("chat")
    body = await arrival.json(OllamaGenerateBody, forms=True)
    card = _card(arrival, body.model)
    request = generate_request(body, _context(card)) if body.prompt else None
    await _written(arrival, body, request, card)


async def embed_many(arrival: Arrival) -> None:
    """POST /api/embed."""
    arrival.work("embeddings")
    body = await arrival.json(shapes.OllamaEmbedBody, forms=True)
    card = _card(arrival, body.model, embedding=True)
    texts = (body.input,) if isinstance(body.input, str) else tuple(body.input)
    begun = time.monotonic_ns()

    def answer(vectors: Vectors, usage: Usage) -> dict[str, Any]:
        check_dimensions(body.dimensions, vectors)
        return shapes.embed_answer(body.model, vectors, usage, time.monotonic_ns() - begun)

    await embed(arrival, card.id, texts, answer)


async def embed_one(arrival: Arrival) -> None:
    """POST /api/embeddings, the older interface."""
    arrival.work("embeddings")
    body = await arrival.json(shapes.OllamaEmbeddingsBody, forms=True)
    card = _card(arrival, body.model, embedding=True)
    await embed(
        arrival, card.id, (body.prompt,), lambda vectors, _: {"embedding": list(vectors[0])}
    )


async def tags(arrival: Arrival) -> None:
    """GET /api/tags."""
    arrival.admit()
    await arrival.reply(200, shapes.tags(arrival.site.answering.models))


async def running(arrival: Arrival) -> None:
    """GET /api/ps."""
    arrival.admit()
    await arrival.reply(200, shapes.running(arrival.site.answering.models))


async def show(arrival: Arrival) -> None:
    """POST /api/show."""
    arrival.admit()
    body = await arrival.json(OllamaShowBody, forms=True)
    name = body.model or body.name
    if not name:
        raise Fault(400, "model is required", code="missing_required_parameter", param="model")
    card = find(arrival.site, shapes.bare(name), shapes.unknown_model)
    await arrival.reply(200, shapes.show(card))


async def version(arrival: Arrival) -> None:
    """GET /api/version."""
    await arrival.reply(200, {"version": arrival.site.version})


async def _written(
    arrival: Arrival,
    body: OllamaChatBody | OllamaGenerateBody,
    request: Request | None,
    card: ModelCard,
) -> None:
    """Answer a request; None is an empty one, which only loads or unloads the model."""
    chat = isinstance(body, OllamaChatBody)
    if request is None:
        unload = body.keep_alive in (0, "0", "0s")
        told = loaded(body.model, chat=chat, created=arrival.started, unload=unload)
        await arrival.reply(200, told)
        return
    may_have(arrival, request)
    rendering = OllamaAnswer(request, chat=chat, created=arrival.started)
    # The client's name of the model stays in the answer; the service knows it without the tag.
    request = replace(request, model=card.id)
    await converse(arrival, request, rendering, stream=body.stream is not False)


def _card(arrival: Arrival, name: str, *, embedding: bool = False) -> ModelCard:
    return card_of(
        arrival.site, shapes.bare(name), embedding=embedding, unknown=shapes.unknown_model
    )


def _context(card: ModelCard) -> int | None:
    return card.facts.context if card.facts else None
