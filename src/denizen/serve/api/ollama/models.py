"""Ollama's lists of models (tags, ps), a model's description (show), and embeddings.

Contract: names are told with Ollama's tag ":latest", and asked for with or without it.  `digest`
is the SHA-256 of what identifies the model to us (name, quantisation, size), not of its file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag

from denizen.serve.api import limits
from denizen.serve.api.ollama.answer import timestamp
from denizen.serve.api.ollama.options import Options
from denizen.serve.api.openai.embedding import Embedded
from denizen.serve.api.shape import Body, Ignored, Name, shape_of
from denizen.serve.exchange import BackendFacts, Fault, ModelCard, Usage

_TAG = ":latest"
_NO_FACTS = BackendFacts("", 0)
_NEVER = "9999-12-31T23:59:59Z"  # a served model is never unloaded


class OllamaEmbedBody(Body):
    """The body of /api/embed. Nothing is ever cut, so `truncate` has no effect."""

    model: Name
    input: Annotated[
        Annotated[Embedded, Tag("<text>")]
        | Annotated[list[Embedded], Field(min_length=1, max_length=limits.EMBEDDED), Tag("<list>")],
        Discriminator(
            shape_of,
            custom_error_type="shape",
            custom_error_message="must be a string or a list of strings",
        ),
    ]
    truncate: bool | None = None
    dimensions: Annotated[int, Field(ge=1, le=65_536)] | None = None
    options: Options | None = None
    keep_alive: Ignored = None


class OllamaEmbeddingsBody(Body):
    """The body of /api/embeddings, the older interface."""

    model: Name
    prompt: Embedded
    options: Options | None = None
    keep_alive: Ignored = None


def bare(name: str) -> str:
    """A model's name without Ollama's tag."""
    return name.removesuffix(_TAG)


def unknown_model(name: str) -> Fault:
    """The refusal of a model that is not served, in Ollama's words."""
    return Fault(404, f"model '{name[:256]}' not found", code="model_not_found", param="model")


def tags(cards: Sequence[ModelCard]) -> dict[str, Any]:
    """GET /api/tags."""
    return {"models": [_entry(card) for card in cards]}


def running(cards: Sequence[ModelCard]) -> dict[str, Any]:
    """GET /api/ps: what is served is loaded, in main memory."""
    extra = [
        {"expires_at": _NEVER, "size_vram": 0, "context_length": (card.facts or _NO_FACTS).context}
        for card in cards
    ]
    told = ("name", "model", "size", "digest", "details")
    return {
        "models": [
            {key: _entry(card)[key] for key in told} | more
            for card, more in zip(cards, extra, strict=True)
        ]
    }


def show(card: ModelCard) -> dict[str, Any]:
    """POST /api/show."""
    facts = card.facts or _NO_FACTS
    family = facts.family or "unknown"
    info = {
        "general.architecture": family,
        "general.parameter_count": facts.parameters,
        f"{family}.context_length": facts.context,
    }
    able = ["embedding"] if card.kind == "embedding" else ["completion", "tools"]
    return {
        "modelfile": f"# {card.id}, served by Denizen",
        "parameters": f"num_ctx {facts.context}",
        "template": "",
        "license": "",
        "details": _details(facts),
        "model_info": info,
        "capabilities": able,
        "modified_at": timestamp(card.created),
    }


def embed_answer(
    model: str, vectors: Sequence[Sequence[float]], usage: Usage, duration: int
) -> dict[str, Any]:
    """The answer of /api/embed; `duration` in nanoseconds."""
    return {
        "model": model,
        "embeddings": [list(vector) for vector in vectors],
        "total_duration": duration,
        "load_duration": 0,
        "prompt_eval_count": usage.prompt_tokens,
    }


def _entry(card: ModelCard) -> dict[str, Any]:
    facts = card.facts or _NO_FACTS
    known = f"{card.id}\n{card.kind}\n{facts.model}\n{facts.quant}\n{facts.size}"
    name = card.id if ":" in card.id else card.id + _TAG
    return {
        "name": name,
        "model": name,
        "modified_at": timestamp(card.created),
        "size": facts.size,
        "digest": hashlib.sha256(known.encode()).hexdigest(),
        "details": _details(facts),
    }


def _details(facts: BackendFacts) -> dict[str, Any]:
    family = facts.family or "unknown"
    return {
        "parent_model": "",
        "format": "gguf",
        "family": family,
        "families": [family],
        "parameter_size": _size(facts.parameters),
        "quantization_level": facts.quant or "unknown",
    }


def _size(parameters: int) -> str:
    if parameters >= 1_000_000_000:
        return f"{parameters / 1e9:.1f}B"
    return f"{parameters / 1e6:.0f}M"
