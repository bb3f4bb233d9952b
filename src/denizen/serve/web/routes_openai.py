"""OpenAI's routes: chat completions, completions, responses, embeddings, models.

Contract: each handler takes an Arrival and replies once; the order is key, scope, quota, body,
model, place.  Log probabilities need a scope of their own (they help to copy a model).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable

from denizen.serve.api.openai.chat_answer import ChatAnswer
from denizen.serve.api.openai.chat_body import ChatBody, chat_request
from denizen.serve.api.openai.completion import (
    CompletionAnswer,
    CompletionBody,
    completion_request,
)
from denizen.serve.api.openai.embedding import (
    EmbeddingBody,
    embedded_texts,
    embedding_answer,
    model_entry,
)
from denizen.serve.api.openai.errors import unknown_model
from denizen.serve.api.openai.response_answer import ResponseAnswer
from denizen.serve.api.openai.response_body import ResponseBody, echo, response_request
from denizen.serve.exchange import Fault, ModelCard, Request
from denizen.serve.web.arrival import Arrival
from denizen.serve.web.conduct import converse, embed
from denizen.serve.web.ports import Site


async def chat(arrival: Arrival) -> None:
    """POST /v1/chat/completions."""
    arrival.work("chat")
    body = await arrival.json(ChatBody)
    request = checked(arrival, chat_request(body))
    await _written(arrival, request, body, ChatAnswer)


async def completions(arrival: Arrival) -> None:
    """POST /v1/completions."""
    arrival.work("chat")
    body = await arrival.json(CompletionBody)
    request = checked(arrival, completion_request(body))
    await _written(arrival, request, body, CompletionAnswer)


async def _written(
    arrival: Arrival,
    request: Request,
    body: ChatBody | CompletionBody,
    answer: type[ChatAnswer] | type[CompletionAnswer],
) -> None:
    options = body.stream_options
    rendering = answer(
        request,
        include_usage=bool(options and options.include_usage),
        key=uuid.uuid4().hex,
        created=int(arrival.started),
    )
    await converse(arrival, request, rendering, stream=bool(body.stream))


async def responses(arrival: Arrival) -> None:
    """POST /v1/responses."""
    arrival.work("chat")
    body = await arrival.json(ResponseBody)
    request = checked(arrival, response_request(body))
    rendering = ResponseAnswer(
        request, echoed=echo(body), key=uuid.uuid4().hex, created=int(arrival.started)
    )
    await converse(arrival, request, rendering, stream=bool(body.stream))


async def embeddings(arrival: Arrival) -> None:
    """POST /v1/embeddings."""
    arrival.work("embeddings")
    body = await arrival.json(EmbeddingBody)
    card = card_of(arrival.site, body.model, embedding=True, unknown=unknown_model)
    await embed(
        arrival,
        card.id,
        embedded_texts(body),
        lambda vectors, usage: embedding_answer(body, vectors, usage),
    )


async def models(arrival: Arrival) -> None:
    """GET /v1/models."""
    arrival.admit()
    entries = [model_entry(card) for card in arrival.site.answering.models]
    await arrival.reply(200, {"object": "list", "data": entries})


async def model(arrival: Arrival) -> None:
    """GET /v1/models/{id}."""
    arrival.admit()
    asked = str(arrival.scope["path_params"]["id"])
    await arrival.reply(200, model_entry(find(arrival.site, asked, unknown_model)))


def checked(arrival: Arrival, request: Request) -> Request:
    """The request, if its model answers and the caller may have what it asks for."""
    card_of(arrival.site, request.model, embedding=False, unknown=unknown_model)
    may_have(arrival, request)
    return request


def may_have(arrival: Arrival, request: Request) -> None:
    """Raise Fault 403 for log probabilities without their scope."""
    if request.logprobs is not None:
        arrival.site.operations.need(arrival.caller, "logprobs")


def find(site: Site, name: str, unknown: Callable[[str], Fault]) -> ModelCard:
    """The card of a model; raises Fault 404."""
    for card in site.answering.models:
        if card.id == name:
            return card
    raise unknown(name)


def card_of(
    site: Site, name: str, *, embedding: bool, unknown: Callable[[str], Fault]
) -> ModelCard:
    """The card of a model that embeds, or of one that answers; raises Fault 404 or 400."""
    card = find(site, name, unknown)
    if (card.kind == "embedding") != embedding:
        said = "writes answers and makes no embeddings" if embedding else "only makes embeddings"
        raise Fault(400, f"The model '{name}' {said}.", code="model_not_supported", param="model")
    return card
