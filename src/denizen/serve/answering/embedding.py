"""Vectors of texts for the embeddings interface, a few at a time.

Contract: who leaves waits for no more than the batch in hand, and is charged for that and what was
done before it (a thread cannot be stopped).  Raises Fault 503 without the embedder.
"""

from __future__ import annotations

import asyncio

from denizen.project.errors import DenizenError
from denizen.serve.answering.ports import Parts
from denizen.serve.exchange import Fault, Request, Usage
from denizen.serve.metering import meter

AT_ONCE = 16


async def embedded(
    parts: Parts, texts: tuple[str, ...]
) -> tuple[tuple[tuple[float, ...], ...], Usage]:
    """A vector for each text, and the word pieces read."""
    encoder, used, tokens = parts.encoder, meter(), 0
    if encoder is None:
        vectors = await parts.backend.embed(texts)
        counts = [await parts.backend.count(Request("", text=text)) for text in texts]
        return vectors, Usage(sum(counts))
    made: list[tuple[float, ...]] = []
    try:
        for at in range(0, len(texts), AT_ONCE):
            batch = list(texts[at : at + AT_ONCE])
            count = sum(await asyncio.to_thread(encoder.count, batch))
            used.add(count)  # before the work: who leaves during it is charged for it
            tokens += count
            made += (
                tuple(map(float, row)) for row in await asyncio.to_thread(encoder.embed, batch)
            )
    except DenizenError as error:
        raise Fault(
            503,
            f"the embedder cannot be used: {error.what}",
            kind="server_error",
            code="embedder_unavailable",
        ) from error
    return tuple(made), Usage(tokens)
