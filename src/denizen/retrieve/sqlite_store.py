"""The embedded store: one SQLite file, no server.

Contract: as `Store`. Write-ahead logging: readers go on while an ingest writes, and a kill leaves
the last whole state. A connection a call, so any thread may ask. A file that is no such store is
refused in one line, never overwritten.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from denizen.project.errors import ArtefactError, WorkspaceError, from_os_error
from denizen.project.hashing import content_hash
from denizen.retrieve.documents import Chunk, Document
from denizen.retrieve.store import LAYOUT, Change, Known, Quarantined, Stale, check_layout

if TYPE_CHECKING:
    from denizen.models.embedder import Vectors

_PATIENCE = 30.0  # seconds another process may hold the file
_GROUP = 500  # below SQLite's limit of parameters
_TABLES = """
CREATE TABLE IF NOT EXISTS settings (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS documents (id TEXT PRIMARY KEY, collection TEXT NOT NULL,
    digest TEXT NOT NULL, fingerprint TEXT NOT NULL, record TEXT NOT NULL, text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS chunks (document TEXT NOT NULL REFERENCES documents(id)
    ON DELETE CASCADE, number INTEGER NOT NULL, record TEXT NOT NULL, vector BLOB NOT NULL,
    PRIMARY KEY (document, number)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS quarantine (id TEXT PRIMARY KEY, collection TEXT NOT NULL,
    digest TEXT NOT NULL, reasons TEXT NOT NULL, found TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS released (id TEXT PRIMARY KEY, digest TEXT NOT NULL);
"""


class SQLiteStore:
    """Documents, chunks and vectors in one file."""

    searches = False

    def __init__(self, path: Path, *, create: bool = True) -> None:
        self.path = path
        if not create and not path.exists():
            raise ArtefactError(
                "no index here", where=str(path.parent), fix="run `denizen ingest docs` first"
            )
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise from_os_error(error, path) or error from error
        with self._open() as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.executescript(_TABLES)
        check_layout(self.settings(), self.where)

    @property
    def where(self) -> str:
        """The file."""
        return str(self.path)

    def settings(self) -> dict[str, str]:
        """As Store."""
        with self._open() as db:
            return dict(db.execute("SELECT key, value FROM settings"))

    def known(self, collection: str | None = None) -> dict[str, Known]:
        """As Store."""
        query = "SELECT id, digest, fingerprint FROM documents WHERE ? IS NULL OR collection = ?"
        with self._open() as db:
            rows = db.execute(query, (collection, collection))
            return {key: Known(*rest) for key, *rest in rows}

    def document(self, key: str) -> Document | None:
        """As Store."""
        with self._open() as db:
            query = "SELECT record, text FROM documents WHERE id = ?"
            row = db.execute(query, (key,)).fetchone()
        return Document.from_record(json.loads(row[0]), row[1]) if row else None

    def chunks(self, keys: Sequence[str], generation: str) -> dict[str, Chunk]:
        """As Store."""
        found: dict[str, Chunk] = {}
        with self._open() as db:
            db.execute("BEGIN")
            row = db.execute("SELECT value FROM settings WHERE key = 'generation'").fetchone()
            if (row[0] if row else "") != generation:
                raise Stale
            for key in keys:
                document, _, number = key.rpartition("#")
                query = "SELECT record FROM chunks WHERE document = ? AND number = ?"
                if row := db.execute(query, (document, int(number))).fetchone():
                    found[key] = chunk_from(row[0])
        return found

    def rows(self) -> Iterator[Chunk]:
        """As Store."""
        with self._open() as db:
            query = "SELECT record FROM chunks ORDER BY document, number"
            for (record,) in db.execute(query):
                yield chunk_from(record)

    def vectors(self) -> Vectors:
        """As Store."""
        import numpy as np

        with self._open() as db:
            query = "SELECT vector FROM chunks ORDER BY document, number"
            blobs = [row[0] for row in db.execute(query)]
        dimension = len(blobs[0]) // 4 if blobs else int(self.settings().get("dimension", 0))
        return np.frombuffer(b"".join(blobs), np.float32).reshape(len(blobs), dimension)

    def nearest(self, vector: Vectors, k: int, exact: bool) -> None:
        """None: vectors are searched in memory (dense.py)."""

    def similar(self, document: str, vector: Vectors) -> None:
        """None, as `nearest`."""

    def quarantine(self) -> list[Quarantined]:
        """As Store."""
        query = "SELECT id, collection, digest, reasons, found FROM quarantine ORDER BY id"
        with self._open() as db:
            return [
                Quarantined(key, collection, digest, tuple(json.loads(reasons)), found)
                for key, collection, digest, reasons, found in db.execute(query)
            ]

    def released(self) -> dict[str, str]:
        """As Store."""
        with self._open() as db:
            return dict(db.execute("SELECT id, digest FROM released"))

    def replace(self, change: Change) -> str:
        """As Store."""
        with self._open() as db:
            db.execute("PRAGMA foreign_keys = ON")
            db.execute("BEGIN IMMEDIATE")
            self._delete(db, "documents", change.removed)
            for write in change.writes:
                document = write.document
                self._delete(db, "documents", [document.id])
                record = json.dumps(document.record(), ensure_ascii=False)
                row = (document.id, document.collection, document.digest, write.fingerprint)
                db.execute(
                    "INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?)", (*row, record, document.text)
                )
                db.executemany(
                    "INSERT INTO chunks VALUES (?, ?, ?, ?)",
                    [
                        (chunk.document, chunk.number, chunk_record(chunk), vector.tobytes())
                        for chunk, vector in zip(write.chunks, write.vectors, strict=True)
                    ],
                )
            self._delete(db, "quarantine", change.cleared)
            db.executemany(
                "INSERT OR REPLACE INTO quarantine VALUES (?, ?, ?, ?, ?)",
                [
                    (q.id, q.collection, q.digest, json.dumps(q.reasons), q.found)
                    for q in change.quarantined
                ],
            )
            db.executemany("INSERT OR REPLACE INTO released VALUES (?, ?)", change.released.items())
            rows = db.execute("SELECT id, fingerprint FROM documents ORDER BY id").fetchall()
            generation = content_hash(rows)
            settings = {**change.settings, "layout": str(LAYOUT), "generation": generation}
            db.executemany("INSERT OR REPLACE INTO settings VALUES (?, ?)", settings.items())
        return generation

    @contextmanager
    def writing(self) -> Iterator[None]:
        """As Store."""
        import fcntl

        with self.path.with_name("ingest.lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise WorkspaceError(
                    "another ingest is running", where=self.where, fix="wait until it is done"
                ) from None
            yield

    def close(self) -> None:
        """Nothing is held between calls."""

    def _delete(self, db: sqlite3.Connection, table: str, keys: Sequence[str]) -> None:
        for start in range(0, len(keys), _GROUP):
            group = keys[start : start + _GROUP]
            db.execute(f"DELETE FROM {table} WHERE id IN ({','.join('?' * len(group))})", group)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self.path, timeout=_PATIENCE)) as db, db:
                yield db
        except sqlite3.OperationalError as error:
            raise WorkspaceError(
                f"cannot use the index: {error}",
                where=self.where,
                fix="check that the folder is writable and the disk not full, then try again",
            ) from error
        except sqlite3.DatabaseError as error:
            raise ArtefactError(
                f"the index is damaged: {error}",
                where=self.where,
                fix="remove it and run `denizen ingest docs` again",
            ) from error


def chunk_record(chunk: Chunk) -> str:
    """A chunk as JSON."""
    parent = [chunk.parent_start, chunk.parent_end]
    fields = [chunk.document, chunk.number, chunk.start, chunk.end, *parent]
    return json.dumps([*fields, chunk.headings, chunk.kind, chunk.text], ensure_ascii=False)


def chunk_from(record: str) -> Chunk:
    """The inverse of `chunk_record`."""
    document, number, start, end, first, last, headings, kind, text = json.loads(record)
    return Chunk(document, number, start, end, first, last, tuple(headings), kind, text)
