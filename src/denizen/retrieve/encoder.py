"""What turns text into vectors for the indices: MiniLM, cached by content, with its token counter.

Contract: `Encoder` is all that retrieval asks of a model; `load_encoder` gives the standard one.
`embed` and `token_vectors` are those of models/embedder.py; `count` gives word pieces of whole
texts, never cut. Vectors with equal `id` may be compared; others are refused by the index.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

from denizen.models.embedder import Embedder, ensure_embedder
from denizen.models.embedding_cache import CachedEmbedder

if TYPE_CHECKING:
    from denizen.models.embedder import Vectors
    from denizen.models.fetch import Source

_KEPT = 4096  # texts whose token vectors stay in memory, about 50 KiB each in half precision


class Encoder(Protocol):
    """A sentence embedder that also gives token vectors and counts its tokens."""

    @property
    def id(self) -> str: ...
    def embed(self, texts: Sequence[str]) -> Vectors: ...
    def token_vectors(self, texts: Sequence[str]) -> list[Vectors]: ...
    def count(self, texts: Sequence[str]) -> list[int]: ...


class MiniLM:
    """The standard encoder. `cache`: a file that keeps vectors; `misses` counts what it had not."""

    def __init__(self, embedder: Embedder, tokenizer: Path, cache: Path | None = None) -> None:
        from tokenizers import Tokenizer

        self._embedder = embedder
        self._cached = CachedEmbedder(embedder, cache) if cache else None
        self._tokenizer: Any = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._kept: OrderedDict[str, Vectors] = OrderedDict()
        self._lock = Lock()

    @property
    def id(self) -> str:
        """The embedder's own."""
        return self._embedder.id

    @property
    def misses(self) -> int:
        """Texts that were run, not found in the cache; 0 without a cache."""
        return self._cached.misses if self._cached else 0

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Vectors of passages, float32 [n, 384], through the cache; each row has length 1."""
        return (self._cached or self._embedder).embed(texts)

    def embed_query(self, text: str) -> Vectors:
        """One question's vector, float32 [384]; questions are not worth a place on the disk."""
        vector: Vectors = self._embedder.embed([text])[0]
        return vector

    def token_vectors(self, texts: Sequence[str]) -> list[Vectors]:
        """Word pieces' vectors of each text, kept in memory in half precision."""
        import numpy as np

        with self._lock:
            known = {text: self._kept[text] for text in texts if text in self._kept}
        missing = [text for text in dict.fromkeys(texts) if text not in known]
        if missing:
            made = self._embedder.token_vectors(missing)
            known.update(
                (text, vectors.astype(np.float16))
                for text, vectors in zip(missing, made, strict=True)
            )
        with self._lock:
            for text in texts:
                self._kept[text] = known[text]
                self._kept.move_to_end(text)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return [known[text].astype(np.float32) for text in texts]

    def count(self, texts: Sequence[str]) -> list[int]:
        """Word pieces of each text, without the marks at its ends."""
        whole = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
        encoded = self._tokenizer.encode_batch(whole, add_special_tokens=False)
        return [len(encoding.ids) for encoding in encoded]


def load_encoder(
    source: Source = "auto",
    *,
    cache: Path | None = None,
    threads: int | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> MiniLM:
    """The standard encoder, fetched if need be; raises ArtefactError."""
    files = ensure_embedder(source, say=say)
    embedder = Embedder(files.weights, files.tokenizer, threads=threads)
    return MiniLM(embedder, files.tokenizer, cache)
