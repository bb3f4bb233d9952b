"""Vectors kept on disk by content: a text is embedded once, whoever asks again.

Contract: `CachedEmbedder(embedder, path)` gives the same vectors as `embedder`, from one SQLite
file.  A key is the embedder's id with the text's SHA-256, so a changed model never meets old
vectors; writes are transactions (a kill loses at most one group).  A damaged file is set aside,
since everything in it can be made again.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from denizen.models.embedder import Embeds
from denizen.project.errors import WorkspaceError, from_os_error
from denizen.project.hashing import sha256_bytes

if TYPE_CHECKING:
    from denizen.models.embedder import Vectors

_GROUP = 256  # texts a transaction; also below SQLite's limit of parameters
_PATIENCE = 60.0  # seconds another process may hold the file


class CachedEmbedder:
    """An embedder that remembers; `misses` counts the texts it had to ask for."""

    def __init__(self, embedder: Embeds, path: Path) -> None:
        self.embedder, self.path, self.misses = embedder, path, 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise from_os_error(error, path) or error from error
        try:
            self._prepare()
        except sqlite3.DatabaseError:
            os.replace(path, path.with_name(path.name + ".damaged"))
            self._prepare()

    @property
    def id(self) -> str:
        """The embedder's own."""
        return self.embedder.id

    def embed(self, texts: Sequence[str]) -> Vectors:
        """As the embedder's; repeats and known texts cost no run."""
        import numpy as np

        keys = [
            sha256_bytes(f"{self.id}\n{text}".encode("utf-8", "surrogatepass")) for text in texts
        ]
        distinct = dict(zip(keys, texts, strict=True))
        found: dict[str, Vectors] = {}
        with self._open() as store:
            for group in _groups(list(distinct)):
                marks = ",".join("?" * len(group))
                rows = store.execute(f"SELECT key, v FROM vectors WHERE key IN ({marks})", group)
                found.update((key, np.frombuffer(blob, np.float32)) for key, blob in rows)
        missing = [key for key in distinct if key not in found]
        for group in _groups(missing):
            made = self.embedder.embed([distinct[key] for key in group])
            self.misses += len(group)
            found.update(zip(group, made, strict=True))
            blobs = [(key, row.tobytes()) for key, row in zip(group, made, strict=True)]
            with self._open() as store:
                store.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", blobs)
        if not texts:
            return self.embedder.embed(texts)
        return np.stack([found[key] for key in keys])

    def _prepare(self) -> None:
        with self._open() as store:
            store.execute("CREATE TABLE IF NOT EXISTS vectors (key TEXT PRIMARY KEY, v BLOB)")
            store.execute("SELECT key, v FROM vectors LIMIT 1").fetchone()

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        # A connection a call: it may be made in any thread, and nothing is held between calls.
        try:
            with closing(sqlite3.connect(self.path, timeout=_PATIENCE)) as store, store:
                yield store
        except sqlite3.OperationalError as error:
            raise WorkspaceError(
                f"cannot use the cache of vectors: {error}",
                where=str(self.path),
                fix="make the folder writable and free some disk space, or name another file",
            ) from error


def _groups(keys: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(keys), _GROUP):
        yield keys[start : start + _GROUP]
