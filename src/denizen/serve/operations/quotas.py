"""Tokens that each key used each day, in a small SQLite file; what a daily quota is checked with.

Contract: every answer is one committed row (WAL), so a killed server forgets none and two servers
on one workspace share a quota. Days are UTC. A disk that cannot be written never fails a request:
the tokens are kept in memory and written with the next ones.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from denizen.project.errors import DataError
from denizen.serve.exchange import Fault

_KEPT_DAYS = 35
_PATIENCE = 0.25  # seconds to wait for another process; the event loop waits with us
_LOG = logging.getLogger("denizen.serve")


def _now() -> datetime:
    return datetime.now(UTC)


class Quotas:
    """Tokens by key and day, at `<workspace>/quotas.sqlite`."""

    def __init__(self, workspace: Path, *, now: Callable[[], datetime] = _now) -> None:
        self._now, self._lock = now, threading.Lock()
        self._unwritten: Counter[tuple[str, str]] = Counter()
        path = workspace / "quotas.sqlite"
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._database = sqlite3.connect(
                path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
            )
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=NORMAL")
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS used (day TEXT, key TEXT, tokens INTEGER NOT NULL,"
                " PRIMARY KEY (day, key)) WITHOUT ROWID"
            )
            oldest = (now() - timedelta(days=_KEPT_DAYS)).date().isoformat()
            self._database.execute("DELETE FROM used WHERE day < ?", (oldest,))
        except (OSError, sqlite3.Error) as error:
            raise DataError(
                f"the quotas cannot be kept, {error}",
                where=str(path),
                fix="mend its permissions, or remove it to count from nothing",
            ) from error

    def used(self, key: str) -> int:
        """Tokens of today, prompt and answer together."""
        day = self._day()
        with self._lock:
            waiting = self._unwritten[day, key]
            try:
                row = self._database.execute(
                    "SELECT tokens FROM used WHERE day = ? AND key = ?", (day, key)
                ).fetchone()
            except sqlite3.Error:
                return waiting
        return waiting + (int(row[0]) if row else 0)

    def check(self, key: str, limit: int) -> None:
        """Fault 429 until midnight (UTC) once a key used its tokens of the day."""
        if limit and self.used(key) >= limit:
            now = self._now()
            midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
            raise Fault(
                429,
                f"this key used its {limit} tokens of the day; it opens again at midnight UTC",
                kind="insufficient_quota",
                code="insufficient_quota",
                retry_after=(midnight - now).total_seconds(),
            )

    def add(self, key: str, tokens: int) -> None:
        """Count the tokens of an answer."""
        if tokens <= 0:
            return
        with self._lock:
            self._unwritten[self._day(), key] += tokens
            self._write()

    def close(self) -> None:
        """Write what is left, and let go of the file."""
        with self._lock:
            self._write()
            self._database.close()

    def _write(self) -> None:
        rows = [(day, key, tokens) for (day, key), tokens in self._unwritten.items() if tokens]
        if not rows:
            return
        try:
            with self._database:
                self._database.execute("BEGIN IMMEDIATE")
                self._database.executemany(
                    "INSERT INTO used VALUES (?, ?, ?)"
                    " ON CONFLICT (day, key) DO UPDATE SET tokens = tokens + excluded.tokens",
                    rows,
                )
        except sqlite3.Error as error:
            _LOG.warning("tokens of %d keys are not written yet: %s", len(rows), error)
            return
        self._unwritten.clear()

    def _day(self) -> str:
        return self._now().date().isoformat()


def used_today(workspace: Path) -> dict[str, int]:
    """Tokens of today by key id, read only; empty when nothing was ever counted."""
    path = workspace / "quotas.sqlite"
    if not path.exists():
        return {}
    try:
        database = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=1)
        try:
            day = _now().date().isoformat()
            rows = database.execute("SELECT key, tokens FROM used WHERE day = ?", (day,))
            return {str(key): int(tokens) for key, tokens in rows}
        finally:
            database.close()
    except sqlite3.Error:
        return {}
