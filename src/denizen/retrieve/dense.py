"""Dense search in memory: numpy exactly, or usearch's HNSW for large collections.

Contract: `Exact` and `Approximate` search vectors of length 1 by inner product and give
(row, score), best first, equal scores by row. The HNSW graph is derived: kept in a file named by
the store's generation, made anew when it is missing; its scores are recomputed exactly.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from denizen.project.atomic import atomic_path
from denizen.retrieve.store import ordered

if TYPE_CHECKING:
    from denizen.models.embedder import Vectors

EXACT_UP_TO = 200_000  # passages; above, `auto` takes HNSW
_MARGIN = 16  # hits beyond k, so that ties at the edge are ordered, too
_LINKS, _BUILD, _SEARCH = 16, 128, 128


class Exact:
    """Every vector is looked at."""

    def __init__(self, vectors: Vectors) -> None:
        self.vectors = vectors

    def search(self, vector: Vectors, k: int) -> list[tuple[int, float]]:
        """Best k rows."""
        import numpy as np

        if not len(self.vectors) or not k:
            return []
        scores = self.vectors @ vector
        wanted = min(len(scores), k + _MARGIN)
        top = np.argpartition(-scores, wanted - 1)[:wanted]
        return ordered((int(row), scores[row]) for row in top)[:k]


class Approximate:
    """A navigable graph (Malkov and Yashunin 2018) in front of the same vectors."""

    def __init__(self, vectors: Vectors, path: Path) -> None:
        self.vectors = vectors
        self._index = _graph(vectors.shape[1])
        if path.exists():
            try:
                self._index.load(str(path))
            except (RuntimeError, ValueError, OSError):
                self._index = _graph(vectors.shape[1])
        if len(self._index) != len(vectors):
            self._build(path)

    def _build(self, path: Path) -> None:
        import numpy as np

        self._index = _graph(self.vectors.shape[1])
        threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
        self._index.add(np.arange(len(self.vectors)), self.vectors, threads=threads)
        with atomic_path(path) as temporary:
            self._index.save(str(temporary))

    def search(self, vector: Vectors, k: int) -> list[tuple[int, float]]:
        """Best k rows, most of them surely."""
        if not len(self.vectors) or not k:
            return []
        found = self._index.search(vector, min(len(self.vectors), k + _MARGIN))
        rows = [int(row) for row in found.keys]
        return ordered((row, float(self.vectors[row] @ vector)) for row in rows)[:k]


def _graph(dimension: int) -> Any:
    # onnxruntime 1.31 crashes the process if loaded after usearch 2.26; the other way is fine.
    import onnxruntime  # noqa: F401
    from usearch.index import Index

    return Index(
        ndim=dimension,
        metric="ip",
        dtype="f32",
        connectivity=_LINKS,
        expansion_add=_BUILD,
        expansion_search=_SEARCH,
    )
