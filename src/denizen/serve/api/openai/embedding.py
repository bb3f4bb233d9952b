"""POST /v1/embeddings and the lists of models in OpenAI's dialect.

Contract: texts in, vectors out, as numbers or as base64 of little-endian float32 (what the real
client asks for).  Token arrays are refused: their tokenizer is not ours.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, StringConstraints, Tag
from pydantic_core import PydanticCustomError

from denizen.serve.api import limits
from denizen.serve.api.shape import Body, Ignored, Name, shape_of
from denizen.serve.exchange import Fault, ModelCard, Usage


def _no_tokens(value: Any) -> Any:
    if isinstance(value, (int, list)) and not isinstance(value, bool):
        raise PydanticCustomError(
            "tokens",
            "must be text, not token numbers (langchain: check_embedding_ctx_length=False)",
        )
    return value


Embedded = Annotated[
    str,
    StringConstraints(min_length=1, max_length=limits.EMBEDDED_TEXT),
    BeforeValidator(_no_tokens),
]


class EmbeddingBody(Body):
    """The body of a request for embeddings."""

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
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Field(ge=1, le=65_536)] | None = None
    user: Name | None = None
    service_tier: Ignored = None


def embedded_texts(body: EmbeddingBody) -> tuple[str, ...]:
    """The texts of a body."""
    return (body.input,) if isinstance(body.input, str) else tuple(body.input)


def embedding_answer(
    body: EmbeddingBody, vectors: Sequence[Sequence[float]], usage: Usage
) -> dict[str, Any]:
    """The answer; raises Fault 400 if another length of vector was asked for than there is."""
    check_dimensions(body.dimensions, vectors)
    coded = body.encoding_format == "base64"
    data = [
        {"object": "embedding", "index": i, "embedding": _base64(v) if coded else list(v)}
        for i, v in enumerate(vectors)
    ]
    counts = {"prompt_tokens": usage.prompt_tokens, "total_tokens": usage.prompt_tokens}
    return {"object": "list", "data": data, "model": body.model, "usage": counts}


def check_dimensions(asked: int | None, vectors: Sequence[Sequence[float]]) -> None:
    """Raise Fault 400 for a length of vector that this model does not have."""
    if asked is not None and vectors and len(vectors[0]) != asked:
        raise Fault(
            400,
            f"'dimensions' must be {len(vectors[0])} or left out: vectors are not cut.",
            code="unsupported_value",
            param="dimensions",
        )


def model_entry(card: ModelCard) -> dict[str, Any]:
    """One model of the list."""
    facts = card.facts
    told: dict[str, Any] = {"kind": card.kind}
    if facts is not None:
        told |= {"context": facts.context, "quant": facts.quant, "parameters": facts.parameters}
    if card.kind == "adapter":
        told["families"] = list(card.families)
    return {
        "id": card.id,
        "object": "model",
        "created": card.created,
        "owned_by": "denizen",
        "denizen": told,
    }


def _base64(vector: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")
