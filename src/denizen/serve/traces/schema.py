"""The file of traces: its tables, and how it is opened.

Contract: SQLite with write-ahead logging, so that readers never wait. `connect` makes the file
(readable by its owner alone) or checks it: another program's database, a damaged file or one of a
newer Denizen raises ArtefactError in one line and is never touched. What is deleted is overwritten.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from denizen.project.errors import ArtefactError, DenizenError, WorkspaceError, from_os_error

APPLICATION = 0x444E5A54  # "DNZT", in the header of the file
LAYOUT = 1
_PATIENCE = 10.0  # seconds another process may hold the file
_TABLES = """
CREATE TABLE traces (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, root TEXT NOT NULL,
    arrived TEXT NOT NULL, received INTEGER NOT NULL, started INTEGER NOT NULL,
    ended INTEGER NOT NULL, request_id TEXT NOT NULL, caller TEXT NOT NULL, model TEXT NOT NULL,
    origin TEXT NOT NULL, error TEXT NOT NULL, flags TEXT NOT NULL, confidence REAL,
    prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, content TEXT NOT NULL,
    question TEXT NOT NULL, answer TEXT NOT NULL, consent INTEGER NOT NULL,
    injection INTEGER NOT NULL, licence TEXT NOT NULL, provenance TEXT NOT NULL,
    UNIQUE (id, root));
CREATE INDEX traces_received ON traces (received);
CREATE TABLE spans (
    number INTEGER PRIMARY KEY AUTOINCREMENT, trace TEXT NOT NULL, id TEXT NOT NULL,
    parent TEXT NOT NULL, arrived TEXT NOT NULL, received INTEGER NOT NULL, name TEXT NOT NULL,
    kind INTEGER NOT NULL, started INTEGER NOT NULL, ended INTEGER NOT NULL,
    status INTEGER NOT NULL, attributes TEXT NOT NULL, rest TEXT NOT NULL, UNIQUE (trace, id));
CREATE INDEX spans_received ON spans (received);
CREATE TABLE events (
    span INTEGER NOT NULL REFERENCES spans (number) ON DELETE CASCADE, position INTEGER NOT NULL,
    name TEXT NOT NULL, at INTEGER NOT NULL, attributes TEXT NOT NULL, dropped INTEGER NOT NULL,
    PRIMARY KEY (span, position)) WITHOUT ROWID;
CREATE TABLE feedback (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, trace TEXT NOT NULL,
    arrived TEXT NOT NULL, score REAL NOT NULL, comment TEXT NOT NULL, caller TEXT NOT NULL,
    at INTEGER NOT NULL);
CREATE INDEX feedback_trace ON feedback (trace);
CREATE TABLE exported (
    target TEXT PRIMARY KEY, spans INTEGER NOT NULL, feedback INTEGER NOT NULL) WITHOUT ROWID;
CREATE VIEW judged AS SELECT *,
    (SELECT min(score) FROM feedback WHERE trace = traces.id) AS score,
    consent AND content <> 'none' AND question <> '' AND error = '' AND NOT injection
    AND NOT EXISTS (SELECT 1 FROM feedback WHERE trace = traces.id AND score <= 0) AS eligible
    FROM traces;
"""


def connect(path: Path) -> sqlite3.Connection:
    """A connection that may write; makes the file when there is none."""
    with _typed(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            raise from_os_error(error, path) or WorkspaceError(
                f"cannot keep traces here, {error.strerror}",
                where=str(path),
                fix="choose another workspace",
            ) from error
        db = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)
        try:
            if _is_new(db, path):
                _make(db, path)
            db.execute("PRAGMA foreign_keys = ON")
            # Every commit reaches the disk before it is acknowledged, also if power fails.
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA secure_delete = ON")
        except BaseException:
            db.close()
            raise
        return db


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that only reads, one whole state of the file; sqlite's errors become typed."""
    if not path.exists():
        raise ArtefactError(
            "no traces here", where=str(path), fix="run `denizen serve`, or name the --workspace"
        )
    with (
        _typed(path),
        closing(sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)) as db,
    ):
        if _is_new(db, path):
            raise ArtefactError("no traces here", where=str(path), fix="run `denizen serve` first")
        db.execute("PRAGMA query_only = ON")
        db.execute("BEGIN")
        yield db


def _is_new(db: sqlite3.Connection, path: Path) -> bool:
    """Whether the file is empty; raises ArtefactError when it is not ours."""
    application = db.execute("PRAGMA application_id").fetchone()[0]
    layout = db.execute("PRAGMA user_version").fetchone()[0]
    if application == APPLICATION:
        if layout != LAYOUT:
            raise ArtefactError(
                f"these traces have layout {layout}, this Denizen knows {LAYOUT}",
                where=str(path),
                fix="use the Denizen that wrote them, or move the file away",
            )
        return False
    if db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise ArtefactError(
            "this is another program's database, not Denizen's traces",
            where=str(path),
            fix="move the file away or choose another workspace",
        )
    return True


def _make(db: sqlite3.Connection, path: Path) -> None:
    # Both must come before the first table, and outside of a transaction.
    db.execute("PRAGMA auto_vacuum = INCREMENTAL")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("BEGIN IMMEDIATE")
    try:
        if _is_new(db, path):  # another process may have been quicker
            for statement in _TABLES.split(";\n"):
                if statement.strip():
                    db.execute(statement)
            db.execute(f"PRAGMA application_id = {APPLICATION}")
            db.execute(f"PRAGMA user_version = {LAYOUT}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


@contextmanager
def _typed(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise explain(error, path) from error


def explain(error: sqlite3.Error, path: Path) -> DenizenError:
    """What an error of SQLite means to whoever keeps the file."""
    if isinstance(error, sqlite3.OperationalError):
        return WorkspaceError(
            f"cannot use the traces: {error}",
            where=str(path),
            fix="check that the folder is writable and the disk not full, then try again",
        )
    return ArtefactError(
        f"the traces are damaged or no database at all: {error}",
        where=str(path),
        fix="move the file away; a new one is made when the server starts",
    )
