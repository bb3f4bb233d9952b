"""An index: a store with the derived lexical and dense indices of its present generation.

Contract: `Index.open` refuses an index that another embedder built, in one line.  Searching opens
what belongs to one generation as a `Snapshot` and changes over when an ingest has replaced it;
whatever is missing of a snapshot is made from the store. Safe to share between threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

from denizen.project.errors import ArtefactError, DataError
from denizen.retrieve.answerable import Answerability, load_answerability
from denizen.retrieve.bm25 import LEXICON, Lexical, sweep
from denizen.retrieve.dense import EXACT_UP_TO, Approximate, Exact
from denizen.retrieve.encoder import Encoder, load_encoder
from denizen.retrieve.sqlite_store import SQLiteStore
from denizen.retrieve.store import Stale, Store, ordered

if TYPE_CHECKING:
    from denizen.models.embedder import Vectors
    from denizen.models.fetch import Source

DenseMode = Literal["auto", "exact", "hnsw"]
DATABASE = "documents.sqlite"
VECTORS = "vectors.sqlite"
TRIES = 5  # times an ingest may replace the index under a reader


@dataclass(frozen=True)
class Snapshot:
    """One generation, ready to be searched; `keys` are the chunks' keys by row."""

    generation: str
    keys: tuple[str, ...]
    rows: dict[str, int]
    # Rows of each document: [first, last).
    documents: dict[str, tuple[int, int]]
    lexical: Lexical
    dense: Exact | Approximate | None
    calibrations: dict[bool, Answerability | None]


class Index:
    """A folder with a store and its derived indices; the store may live elsewhere."""

    def __init__(
        self, folder: Path, store: Store, encoder: Encoder, dense: DenseMode = "auto"
    ) -> None:
        self.folder, self.store, self.encoder, self.dense = folder, store, encoder, dense
        self._snapshot: Snapshot | None = None
        self._lock = Lock()
        self.check_embedder()

    @classmethod
    def open(
        cls,
        folder: Path,
        encoder: Encoder,
        *,
        store: Store | None = None,
        create: bool = False,
        dense: DenseMode = "auto",
    ) -> Index:
        """Open or make an index; raises ArtefactError for a missing or foreign one."""
        store = store or SQLiteStore(folder / DATABASE, create=create)
        return cls(folder, store, encoder, dense)

    def check_embedder(self) -> None:
        """Raise ArtefactError for vectors of another embedder."""
        built = self.store.settings().get("embedder", self.encoder.id)
        if built != self.encoder.id:
            raise ArtefactError(
                f"the index was built with another embedder ({built[:12]}, not"
                f" {self.encoder.id[:12]})",
                where=self.store.where,
                fix="run `denizen ingest docs` into a new folder, or load that embedder",
            )

    def snapshot(self) -> Snapshot:
        """What belongs to the store's present generation, opened once."""
        for _ in range(TRIES):
            with self._lock, suppress(Stale):
                generation = self._generation()
                if self._snapshot is None or self._snapshot.generation != generation:
                    with self._building():
                        self._snapshot = self._opened(generation)
                return self._snapshot
        raise self.changing()

    def check(self, snapshot: Snapshot) -> None:
        """Raise Stale when the store no longer holds what the snapshot was opened on."""
        if self._generation() != snapshot.generation:
            raise Stale

    def changing(self) -> DataError:
        """The refusal of an index that is replaced faster than it can be opened."""
        fix = "search again when ingest is done"
        return DataError("the index keeps changing", where=self.store.where, fix=fix)

    def _generation(self) -> str:
        return self.store.settings().get("generation", "")

    @contextmanager
    def _building(self) -> Iterator[None]:
        """One process at a time makes or removes derived indices in this folder."""
        import fcntl

        with ExitStack() as stack:
            with suppress(OSError):  # a folder that cannot be written has nothing to guard
                self.folder.mkdir(parents=True, exist_ok=True)
                file = stack.enter_context((self.folder / "derived.lock").open("a"))
                fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _opened(self, generation: str) -> Snapshot:
        if not generation:
            raise ArtefactError(
                "the index is empty",
                where=self.store.where,
                fix="run `denizen ingest docs` first",
            )
        self.check_embedder()
        folder = self.folder / f"bm25-{LEXICON}-{generation[:16]}"
        chunks = list(self.store.rows())
        vectors = None if self.store.searches else self.store.vectors()
        if self._generation() != generation:  # read of two states
            raise Stale
        # Built only where it is not there or not whole: a snapshot of thousands opens at once.
        lexical = Lexical(folder) if folder.exists() else Lexical.build(chunks, folder)
        keys = tuple(chunk.key for chunk in chunks)
        if lexical.size != len(keys):
            lexical = Lexical.build(chunks, folder)
        sweep(self.folder, generation[:16])
        calibrations = {
            rerank: load_answerability(self.encoder.id, rerank, self.folder)
            for rerank in (False, True)
        }
        rows = {key: row for row, key in enumerate(keys)}
        dense = self._dense(generation, len(keys), vectors)
        documents: dict[str, tuple[int, int]] = {}
        for row, chunk in enumerate(chunks):
            documents[chunk.document] = (documents.get(chunk.document, (row, row))[0], row + 1)
        return Snapshot(generation, keys, rows, documents, lexical, dense, calibrations)

    def _dense(
        self, generation: str, size: int, vectors: Vectors | None
    ) -> Exact | Approximate | None:
        if vectors is None:
            if self._is_approximate(size):
                build: Any = getattr(self.store, "build_hnsw", lambda: None)
                build()
            return None
        if self._is_approximate(size):
            return Approximate(vectors, self.folder / f"hnsw-{generation[:16]}.usearch")
        return Exact(vectors)

    def _is_approximate(self, size: int) -> bool:
        return self.dense == "hnsw" or (self.dense == "auto" and size > EXACT_UP_TO)

    def nearest(self, snapshot: Snapshot, vector: Vectors, k: int) -> list[tuple[int, float]]:
        """Best k (row, cosine), in memory or by the store."""
        if snapshot.dense is not None:
            return snapshot.dense.search(vector, k)
        exact = not self._is_approximate(len(snapshot.keys))
        found = self.store.nearest(vector, k, exact) or []
        # A key of a newer generation has no row here; the search then starts anew.
        return [(snapshot.rows[key], score) for key, score in found if key in snapshot.rows]

    def within(
        self, snapshot: Snapshot, row: int, vector: Vectors, k: int
    ) -> list[tuple[int, float]]:
        """Best k (row, cosine) among the passages of a row's document."""
        document = snapshot.keys[row].rpartition("#")[0]
        first, last = snapshot.documents[document]
        if snapshot.dense is not None:
            scores = snapshot.dense.vectors[first:last] @ vector
            return ordered((first + n, score) for n, score in enumerate(scores))[:k]
        found = self.store.similar(document, vector) or []
        return [(snapshot.rows[key], score) for key, score in found[:k] if key in snapshot.rows]

    def close(self) -> None:
        """Let go of the store's connections."""
        self.store.close()


def open_index(
    folder: Path,
    *,
    postgres: str = "",
    create: bool = False,
    dense: DenseMode = "auto",
    source: Source = "auto",
    threads: int | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Index:
    """An index with the standard encoder, in SQLite or at a PostgreSQL address.

    Vectors are cached in the folder. Raises ArtefactError or WorkspaceError in one line.
    """
    from denizen.retrieve.postgres_store import PostgresStore

    store: Store
    if postgres:
        store = PostgresStore(postgres, create=create)
    else:
        store = SQLiteStore(folder / DATABASE, create=create)
    encoder = load_encoder(source, cache=folder / VECTORS, threads=threads, say=say)
    return Index(folder, store, encoder, dense)
