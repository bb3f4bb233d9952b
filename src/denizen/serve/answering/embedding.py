"""Vectors of texts for the embeddings interface, a few at a time.

Contract: who leaves waits for no more than the batch in hand, and is charged for that and what was
done before it (a thread cannot be stopped).  A text is embedded whole or refused with Fault 400.
Raises Fault 503 without the embedder.
"""

from __future__ import annotations

import asyncio

from denizen.models.embedder import LONGEST
from denizen.project.errors import DenizenError
from denizen.serve.answering.ports import Parts
from denizen.serve.exchange import Fault, Usage
from denizen.serve.metering import meter

AT_ONCE = 16
ROOM = LONGEST - 2  # word pieces between the marks at a text's ends


async def embedded(
    parts: Parts, texts: tuple[str, ...]
) -> tuple[tuple[tuple[float, ...], ...], Usage]:
    """A vector for each text, and the word pieces read."""
    encoder, used = parts.encoder, meter()
    assert encoder is not None  # without one no name is for embedding
    counts: list[int] = []
    made: list[tuple[float, ...]] = []
    try:
        for at in range(0, len(texts), AT_ONCE):
            counts += await asyncio.to_thread(encoder.count, list(texts[at : at + AT_ONCE]))
        _check_room(counts)
        for at in range(0, len(texts), AT_ONCE):
            # Before the work: who leaves during it is charged for it.
            used.add(sum(counts[at : at + AT_ONCE]))
            rows = await asyncio.to_thread(encoder.embed, list(texts[at : at + AT_ONCE]))
            made += (tuple(map(float, row)) for row in rows)
    except DenizenError as error:
        raise Fault(
            503,
            f"the embedder cannot be used: {error.what}",
            kind="server_error",
            code="embedder_unavailable",
        ) from error
    return tuple(made), Usage(sum(counts))


def _check_room(counts: list[int]) -> None:
    """Raise Fault 400 for the first text that would be cut."""
    for number, count in enumerate(counts):
        if count > ROOM:
            raise Fault(
                400,
                f"text {number} of the input is {count} tokens long; this embedder reads {ROOM}"
                " and cuts none. Send it in parts",
                code="context_length_exceeded",
                param="input",
            )
