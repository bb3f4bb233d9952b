"""Vectors for the embeddings interface: the embedder is loaded once, and only when asked for."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from tests.serve.backend.tiny_gguf import run

from denizen.models.embedder import Embedder
from denizen.project import ArtefactError
from denizen.serve.backend.embedding import LazyEmbedder
from denizen.serve.exchange import Fault


class Fake:
    """A vector that tells the length of its text."""

    id = "fake"

    def embed(self, texts: tuple[str, ...]) -> np.ndarray:
        return np.array([[len(text), 1.0] for text in texts], np.float32)


def test_it_is_loaded_once_and_late(monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[int] = []

    def load(*, threads: int) -> Fake:
        loads.append(threads)
        return Fake()

    monkeypatch.setattr(Embedder, "load", load)
    lazy = LazyEmbedder(threads=2)
    assert loads == []

    async def many() -> list[tuple[tuple[float, ...], ...]]:
        return await asyncio.gather(*(lazy.embed(("a", "abc")) for _ in range(5)))

    assert run(many()) == [((1.0, 1.0), (3.0, 1.0))] * 5
    assert loads == [2]


def test_without_its_files_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*, threads: int) -> Fake:
        raise ArtefactError("no embedder", where="/private/path", fix="fetch it")

    monkeypatch.setattr(Embedder, "load", load)
    with pytest.raises(Fault) as caught:
        run(LazyEmbedder().embed(("a",)))
    assert caught.value.status == 503 and "private" not in caught.value.message
