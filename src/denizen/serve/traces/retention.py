"""Forgetting: what came in longer ago than it may be kept.

Contract: `forget` runs inside a transaction of the writer, `keep_days` makes its own, a chunk each,
so that new traces are written in between and nothing waits for a day's deletion. What goes is
overwritten (secure_delete) and the file shrinks. Spans no exporter had sent yet are counted.
"""

from __future__ import annotations

import sqlite3
import time
from typing import NamedTuple

_DAY_NS = 86_400 * 10**9
_CHUNK = 500  # rows of one transaction


class Gone(NamedTuple):
    """What was forgotten: turns, and spans that should still have been exported."""

    turns: int = 0
    unexported: int = 0


def forget(db: sqlite3.Connection, before: int, target: str = "", limit: int = -1) -> Gone:
    """Delete what came in before a time (ns), `limit` rows of each table at most.

    `target`: the exporter of today; one that is no longer asked for loses nothing.
    """
    due = "SELECT {} FROM {} WHERE {} < ? ORDER BY number LIMIT ?"
    unexported = db.execute(
        f"SELECT count(*) FROM ({due.format('number, arrived', 'spans', 'received')})"
        " WHERE arrived <> 'file' AND number > (SELECT spans FROM exported WHERE target = ?)",
        (before, limit, target),
    ).fetchone()[0]
    counts = []
    for table in ("traces", "spans"):
        few = due.format("number", table, "received")
        done = db.execute(f"DELETE FROM {table} WHERE number IN ({few})", (before, limit))
        counts.append(done.rowcount)
    # Feedback goes after its trace: without it, a turn somebody disliked would look eligible.
    db.execute(
        "DELETE FROM feedback WHERE number IN (SELECT number FROM feedback WHERE at < ?"
        " AND NOT EXISTS (SELECT 1 FROM traces WHERE id = feedback.trace) LIMIT ?)",
        (before, limit),
    )
    return Gone(counts[0], unexported)


def keep_days(db: sqlite3.Connection, days: int, target: str = "") -> Gone:
    """Forget what is older than `days`, and give the space back."""
    before, gone, changes = time.time_ns() - days * _DAY_NS, Gone(), -1
    while changes != db.total_changes:
        changes = db.total_changes
        db.execute("BEGIN IMMEDIATE")
        try:
            more = forget(db, before, target, _CHUNK)
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        gone = Gone(gone.turns + more.turns, gone.unexported + more.unexported)
    scrub(db)
    return gone


def scrub(db: sqlite3.Connection) -> None:
    """Give the space back, and empty the log of writes, where deleted rows may still stand."""
    db.execute("PRAGMA incremental_vacuum").fetchall()
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
