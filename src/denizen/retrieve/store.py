"""What a store of documents must do, so that SQLite and PostgreSQL stand in for each other.

Contract: a store holds documents, chunks with their vectors, the quarantine, and a few settings.
`replace` applies one whole ingest in one transaction: a reader sees the old state or the new one,
told apart by `generation`, a hash of the content. Rows are ordered by (document id, chunk number),
and dense hits by score to six decimals and then by row, so every store gives the same results.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from denizen.project.errors import ArtefactError
from denizen.retrieve.documents import Chunk, Document

if TYPE_CHECKING:
    from denizen.models.embedder import Vectors

# Raised with the tables' layout: an older index is refused with one line.
LAYOUT = 1
DECIMALS = 6  # of a dense score; two libraries' sums differ after them


class Stale(Exception):
    """What was asked for belongs to a replaced generation: open anew and ask again."""


class Known(NamedTuple):
    """What a store knows of a document without reading it; `fingerprint` covers all it holds."""

    digest: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A document that is not indexed, with the reasons; `digest` is that of the bytes it had."""

    id: str
    collection: str
    digest: str
    reasons: tuple[str, ...]
    found: str


@dataclass(frozen=True)
class Write:
    """One document with all its chunks and their vectors, float32 [chunks, dimension]."""

    document: Document
    fingerprint: str
    chunks: Sequence[Chunk]
    vectors: Vectors


@dataclass(frozen=True)
class Change:
    """All that one ingest does; `writes` may be lazy, and is read within the transaction."""

    writes: Iterable[Write] = ()
    removed: Sequence[str] = ()
    quarantined: Sequence[Quarantined] = ()
    released: Mapping[str, str] = field(default_factory=dict)
    # Documents that leave the quarantine: indexed, changed for the better, or gone.
    cleared: Sequence[str] = ()
    settings: Mapping[str, str] = field(default_factory=dict)


class Store(Protocol):
    """A place for documents; every method may be called from any thread."""

    # Whether `nearest` and `similar` are the store's own; else the caller searches `vectors`.
    searches: bool

    @property
    def where(self) -> str: ...
    def settings(self) -> dict[str, str]:
        """Layout, embedder, dimension, generation."""
        ...

    def known(self, collection: str | None = None) -> dict[str, Known]:
        """Documents by id."""
        ...

    def document(self, key: str) -> Document | None: ...

    def chunks(self, keys: Sequence[str], generation: str) -> dict[str, Chunk]:
        """Chunks by key; raises Stale when the generation is no longer that one."""
        ...

    def rows(self) -> Iterator[Chunk]:
        """Every chunk, ordered by (document, number)."""
        ...

    def vectors(self) -> Vectors:
        """All vectors in the order of `rows`, float32 [n, dimension]."""
        ...

    def nearest(self, vector: Vectors, k: int, exact: bool) -> list[tuple[str, float]] | None:
        """Best k chunks by inner product, best first; None: the caller searches `vectors`."""
        ...

    def similar(self, document: str, vector: Vectors) -> list[tuple[str, float]] | None:
        """All chunks of one document by inner product; None as for `nearest`."""
        ...

    def quarantine(self) -> list[Quarantined]: ...

    def released(self) -> dict[str, str]:
        """Documents a person let through, with the digest that was looked at."""
        ...

    def replace(self, change: Change) -> str:
        """Apply a change whole or not at all; returns the new generation."""
        ...

    def writing(self) -> AbstractContextManager[None]:
        """Hold the store for an ingest; raises WorkspaceError if another one runs."""
        ...

    def close(self) -> None: ...


def ordered(pairs: Iterable[tuple[Any, float]]) -> list[tuple[Any, float]]:
    """Best score first; equal ones (to six decimals) by key, whatever library computed them."""
    return sorted(
        ((key, round(float(s), DECIMALS)) for key, s in pairs), key=lambda p: (-p[1], p[0])
    )


def check_layout(settings: Mapping[str, str], where: str) -> None:
    """Raise ArtefactError for a store of another version of Denizen."""
    if (found := settings.get("layout", str(LAYOUT))) != str(LAYOUT):
        raise ArtefactError(
            f"the index has layout {found}, this version reads {LAYOUT}",
            where=where,
            fix="remove it and run `denizen ingest docs` again",
        )
