"""The scale-out store: PostgreSQL with pgvector, the same results as the embedded one.

Contract: as `Store`, in a schema of its own. Dense search runs in the server, exact by sequential
scan or approximate by an HNSW index over inner products (pgvector 0.5 or newer); BM25 stays with
each searching process, built from `rows`. A lost or slow server is a WorkspaceError: reads are
tried again once, an ingest is not, and leaves the old index whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from denizen.project.errors import ArtefactError, WorkspaceError
from denizen.project.hashing import content_hash
from denizen.retrieve.documents import Chunk, Document
from denizen.retrieve.postgres import PATIENCE, Connections
from denizen.retrieve.sqlite_store import chunk_from, chunk_record
from denizen.retrieve.store import LAYOUT, Change, Known, Quarantined, Stale, check_layout, ordered

if TYPE_CHECKING:
    from denizen.models.embedder import Vectors

_TABLES = """
CREATE TABLE IF NOT EXISTS {s}.settings (key text PRIMARY KEY, value text NOT NULL);
CREATE TABLE IF NOT EXISTS {s}.documents (id text COLLATE "C" PRIMARY KEY, collection text NOT NULL,
    digest text NOT NULL, fingerprint text NOT NULL, record jsonb NOT NULL, text text NOT NULL);
CREATE TABLE IF NOT EXISTS {s}.chunks (document text COLLATE "C" NOT NULL
    REFERENCES {s}.documents(id) ON DELETE CASCADE, number integer NOT NULL,
    record text NOT NULL, vector vector NOT NULL, PRIMARY KEY (document, number));
CREATE TABLE IF NOT EXISTS {s}.quarantine (id text COLLATE "C" PRIMARY KEY,
    collection text NOT NULL, digest text NOT NULL, reasons jsonb NOT NULL, found text NOT NULL);
CREATE TABLE IF NOT EXISTS {s}.released (id text PRIMARY KEY, digest text NOT NULL);
"""
_EXTRA = 32  # hits beyond k, so that ties at the edge fall as they do elsewhere
_LONGEST_SEARCH = 1000  # pgvector's limit of hnsw.ef_search


class PostgresStore:
    """Documents, chunks and vectors in a schema of a PostgreSQL database."""

    searches = True

    def __init__(
        self,
        url: str,
        *,
        schema: str = "denizen",
        create: bool = True,
        patience: float = PATIENCE,
    ) -> None:
        self._schema = schema
        self._connections = Connections(url, patience)
        try:
            self._prepare(create)
            check_layout(self.settings(), self.where)
        except BaseException:
            self.close()
            raise

    @property
    def where(self) -> str:
        """Server, database and schema, without user and password."""
        return f"{self._connections.where}, schema {self._schema}"

    def settings(self) -> dict[str, str]:
        """As Store."""
        return dict(self._ask("SELECT key, value FROM {s}.settings"))

    def known(self, collection: str | None = None) -> dict[str, Known]:
        """As Store."""
        query = "SELECT id, digest, fingerprint FROM {s}.documents"
        rows = self._ask(
            f"{query} WHERE %s::text IS NULL OR collection = %s", collection, collection
        )
        return {key: Known(*rest) for key, *rest in rows}

    def document(self, key: str) -> Document | None:
        """As Store."""
        rows = self._ask("SELECT record, text FROM {s}.documents WHERE id = %s", key)
        return Document.from_record(*rows[0]) if rows else None

    def chunks(self, keys: Sequence[str], generation: str) -> dict[str, Chunk]:
        """As Store: one statement sees one state."""
        documents, numbers = [], []
        for key in keys:
            document, _, number = key.rpartition("#")
            documents.append(document)
            numbers.append(int(number))
        rows = self._ask(
            "SELECT g.value, c.record FROM (SELECT value FROM {s}.settings"
            " WHERE key = 'generation') g LEFT JOIN LATERAL (SELECT c.record FROM {s}.chunks c"
            " JOIN unnest(%s::text[], %s::integer[]) AS w(document, number)"
            " ON c.document = w.document AND c.number = w.number) c ON true",
            documents,
            numbers,
        )
        if (rows[0][0] if rows else "") != generation:
            raise Stale
        found = (chunk_from(record) for _, record in rows if record is not None)
        return {chunk.key: chunk for chunk in found}

    def rows(self) -> Iterator[Chunk]:
        """As Store, through a cursor on the server's side."""
        query = "SELECT record FROM {s}.chunks ORDER BY document, number"
        with self._unhurried() as connection, connection.cursor("rows") as cursor:
            cursor.execute(self._sql(query))
            for (record,) in cursor:
                yield chunk_from(record)

    def vectors(self) -> Vectors:
        """As Store."""
        import numpy as np

        dimension = int(self.settings().get("dimension", 0))
        query = "SELECT vector::text FROM {s}.chunks ORDER BY document, number"
        with self._unhurried() as connection:
            rows = self._do(connection, query)
        found = [np.fromstring(text[1:-1], np.float32, sep=",") for (text,) in rows]
        return np.stack(found) if found else np.zeros((0, dimension), np.float32)

    def nearest(self, vector: Vectors, k: int, exact: bool) -> list[tuple[str, float]]:
        """As Store."""
        cast = f"vector({len(vector)})"
        literal = _literal(vector)
        wanted = k + _EXTRA
        query = (
            f"SELECT document, number, (vector::{cast} <#> %s::{cast}) AS distance"
            f" FROM {{s}}.chunks ORDER BY vector::{cast} <#> %s::{cast} LIMIT %s"
        )
        depth = min(_LONGEST_SEARCH, max(100, 2 * wanted))
        setting = "enable_indexscan = off" if exact else f"hnsw.ef_search = {depth}"

        def work(connection: Any) -> list[Any]:
            with connection.transaction():
                self._do(connection, f"SET LOCAL {setting}")
                return self._do(connection, query, literal, literal, wanted)

        rows = self._connections.run(work)
        hits = ordered(((document, number), -distance) for document, number, distance in rows)
        return [(f"{document}#{number}", score) for (document, number), score in hits[:k]]

    def similar(self, document: str, vector: Vectors) -> list[tuple[str, float]]:
        """As Store."""
        cast = f"vector({len(vector)})"
        rows = self._ask(
            f"SELECT number, vector::{cast} <#> %s::{cast} FROM {{s}}.chunks WHERE document = %s",
            _literal(vector),
            document,
        )
        hits = ordered((number, -distance) for number, distance in rows)
        return [(f"{document}#{number}", score) for number, score in hits]

    def build_hnsw(self) -> None:
        """Make the approximate index, once; large collections want it before they are searched."""
        dimension = int(self.settings().get("dimension", 0))
        with self._unhurried() as connection:
            self._do(
                connection,
                "CREATE INDEX IF NOT EXISTS chunks_hnsw ON {s}.chunks USING hnsw"
                f" ((vector::vector({dimension})) vector_ip_ops)",
            )

    def quarantine(self) -> list[Quarantined]:
        """As Store."""
        query = "SELECT id, collection, digest, reasons, found FROM {s}.quarantine ORDER BY id"
        return [Quarantined(i, c, d, tuple(r), f) for i, c, d, r, f in self._ask(query)]

    def released(self) -> dict[str, str]:
        """As Store."""
        return dict(self._ask("SELECT id, digest FROM {s}.released"))

    def replace(self, change: Change) -> str:
        """As Store."""
        from psycopg.types.json import Jsonb

        with self._unhurried() as connection:
            self._do(
                connection, "DELETE FROM {s}.documents WHERE id = ANY(%s)", list(change.removed)
            )
            for write in change.writes:
                self._write(connection, write)
            self._do(
                connection, "DELETE FROM {s}.quarantine WHERE id = ANY(%s)", list(change.cleared)
            )
            for q in change.quarantined:
                self._do(
                    connection,
                    "INSERT INTO {s}.quarantine VALUES (%s, %s, %s, %s, %s) ON CONFLICT (id)"
                    " DO UPDATE SET digest = excluded.digest, reasons = excluded.reasons",
                    *(q.id, q.collection, q.digest, Jsonb(list(q.reasons)), q.found),
                )
            self._upsert(connection, "released", change.released, "id", "digest")
            rows = self._do(connection, "SELECT id, fingerprint FROM {s}.documents ORDER BY id")
            generation = content_hash([list(row) for row in rows])
            settings = {**change.settings, "layout": str(LAYOUT), "generation": generation}
            self._upsert(connection, "settings", settings, "key", "value")
        return generation

    def _write(self, connection: Any, write: Any) -> None:
        from psycopg.types.json import Jsonb

        document = write.document
        self._do(connection, "DELETE FROM {s}.documents WHERE id = %s", document.id)
        # PostgreSQL text cannot hold NUL, which no reader lets through anyway.
        values = (document.id, document.collection, document.digest, write.fingerprint)
        self._do(
            connection,
            "INSERT INTO {s}.documents VALUES (%s, %s, %s, %s, %s, %s)",
            *(*values, Jsonb(document.record()), document.text),
        )
        copy = self._sql("COPY {s}.chunks (document, number, record, vector) FROM STDIN")
        with connection.cursor() as cursor, cursor.copy(copy) as rows:
            for chunk, vector in zip(write.chunks, write.vectors, strict=True):
                rows.write_row(
                    (chunk.document, chunk.number, chunk_record(chunk), _literal(vector))
                )

    def _upsert(self, connection: Any, table: str, pairs: Any, key: str, value: str) -> None:
        for pair in pairs.items():
            self._do(
                connection,
                f"INSERT INTO {{s}}.{table} ({key}, {value}) VALUES (%s, %s)"
                f" ON CONFLICT ({key}) DO UPDATE SET {value} = excluded.{value}",
                *pair,
            )

    @contextmanager
    def writing(self) -> Iterator[None]:
        """As Store, by an advisory lock that ends with the connection."""
        lock = int(content_hash(["denizen ingest", self._schema])[:15], 16)
        if not self._ask("SELECT pg_try_advisory_lock(%s)", lock)[0][0]:
            raise WorkspaceError(
                "another ingest is running", where=self.where, fix="wait until it is done"
            )
        with self._connections.holding():
            try:
                yield
            finally:
                # Where the connection is gone, so is the lock; its own error is under way.
                if not self._connections.own().closed:
                    self._ask("SELECT pg_advisory_unlock(%s)", lock)

    def close(self) -> None:
        """Close every thread's connection."""
        self._connections.close()

    def _prepare(self, create: bool) -> None:
        there = self._ask("SELECT to_regclass(%s)", f"{self._schema}.settings")[0][0]
        if there is None and not create:
            raise ArtefactError(
                "no index here", where=self.where, fix="run `denizen ingest docs` first"
            )
        if there is None:
            try:
                with self._unhurried() as connection:
                    self._do(connection, "CREATE EXTENSION IF NOT EXISTS vector")
                    self._do(connection, "CREATE SCHEMA IF NOT EXISTS {s}")
                    for statement in filter(str.strip, _TABLES.split(";")):
                        self._do(connection, statement)
            except WorkspaceError as error:
                raise ArtefactError(
                    f"cannot make the index: {error.what}",
                    where=self.where,
                    fix="install pgvector on the server, and let this user create a schema",
                ) from error

    @contextmanager
    def _unhurried(self) -> Iterator[Any]:
        """A transaction of this thread's connection, without the limit on a statement's time."""
        with self._connections.told():
            connection = self._connections.own()
            with self._connections.unhurried(connection):
                yield connection

    def _ask(self, query: str, *values: Any) -> list[Any]:
        return self._connections.run(lambda connection: self._do(connection, query, *values))

    def _do(self, connection: Any, query: str, *values: Any) -> list[Any]:
        cursor = connection.execute(self._sql(query), values or None)
        return cursor.fetchall() if cursor.description else []

    def _sql(self, query: str) -> Any:
        from psycopg import sql

        return sql.SQL(query).format(s=sql.Identifier(self._schema))


def _literal(vector: Vectors) -> str:
    """A vector as pgvector reads it; nine digits give every float32 back exactly."""
    return "[" + ",".join(f"{value:.9g}" for value in vector.tolist()) + "]"
