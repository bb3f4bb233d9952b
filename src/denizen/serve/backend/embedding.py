"""Sentence vectors for the embeddings interface: the embedder of the index, loaded when asked for.

Contract: all-MiniLM-L6-v2, vectors of length 1; the model that answers is not asked.  Runs beside
the event loop; without the embedder's files it is a Fault that says so.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from denizen.project.errors import ArtefactError
from denizen.serve.exchange import Fault

if TYPE_CHECKING:
    from denizen.models.embedder import Embeds


class LazyEmbedder:
    """The standard embedder, or another one that is given; `threads` are its workers."""

    def __init__(self, embedder: Embeds | None = None, *, threads: int = 1) -> None:
        self._embedder, self._threads = embedder, threads
        self._loading = asyncio.Lock()

    async def embed(self, texts: tuple[str, ...]) -> tuple[tuple[float, ...], ...]:
        """One vector a text. Raises Fault."""
        async with self._loading:
            if self._embedder is None:
                self._embedder = await asyncio.to_thread(self._load)
        vectors = await asyncio.to_thread(self._embedder.embed, texts)
        return tuple(tuple(map(float, vector)) for vector in vectors.tolist())

    def _load(self) -> Embeds:
        from denizen.models.embedder import Embedder

        try:
            return Embedder.load(threads=self._threads)
        except ArtefactError as error:
            raise Fault(
                503,
                f"the embedder cannot be loaded: {error.what}",
                kind="server_error",
                code="embedder_unavailable",
            ) from error
