"""The store of traces in the workspace: written by one thread, read by anybody, kept for days.

Contract: `put`, `give` and `receive` return at once with a Future that is done when the rows are on
the disk. A turn may be trained on (`eligible`) only if
the caller consented, its content was kept, it went well, the guard saw no injection in it and no
feedback was negative (score at most 0); deleting and retention overwrite what they delete.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path

from denizen.project.errors import WorkspaceError
from denizen.serve.exchange import Fault
from denizen.serve.traces import retention, rows, schema
from denizen.serve.traces.meaning import describe
from denizen.serve.traces.reader import TraceReader
from denizen.serve.traces.spans import Feedback, Span, Trace
from denizen.serve.traces.writer import WriteLost, Writer

FILE = "traces.sqlite"
SPOOL = "traces-spool.sqlite"  # the exporter's queue where traces are not kept
_PATIENCE = 30.0
# Spans of a received trace that are read to describe it, the outermost first; their characters.
_WHOLE, _LONGEST = 1000, 4 * 2**20
_RECEIVED = "trace = ? AND arrived = 'otlp' ORDER BY parent <> '', number LIMIT ?"


class TraceStore(TraceReader):
    """The file. `days`: how long traces are kept; 0 keeps them (tools that only add and read)."""

    def __init__(self, path: Path, *, days: int = 0, limit: int = 10_000) -> None:
        super().__init__(path)
        self.days = days
        self._listeners: list[Callable[[], None]] = []
        self._told: Callable[[int], None] = lambda count: None
        self.purged = self.purged_unexported = 0
        schema.connect(path).close()  # a wrong file is told of now, not by the thread
        self._inode, self._gone = 0, False
        self.renewed = 0  # how often another file took the place of the one that was written
        self._target = ""  # who is sent these traces now
        self._writer = Writer(
            self._connect,
            moved=self._moved,
            upkeep=self._upkeep if days else None,
            committed=self._committed,
            limit=limit,
        )

    def put(self, trace: Trace, spans: Sequence[Span]) -> Future[None]:
        """A turn that was served."""
        return self.put_later(lambda: (trace, spans))

    def put_later(self, build: Callable[[], tuple[Trace, Sequence[Span]]]) -> Future[None]:
        """As `put`; `build` is called by the writing thread, not on the request's path."""
        made: list[tuple[Trace, Sequence[Span]]] = []

        def job(db: sqlite3.Connection) -> None:
            if not made:  # a batch that failed is tried again
                made.append(build())
            trace, spans = made[0]
            rows.put_trace(db, trace)
            rows.put_spans(db, spans, trace.arrived)

        return self._writer.submit(job)

    def receive(self, traces: Sequence[Trace], spans: Sequence[Span]) -> Future[None]:
        """Traces and spans that came over the net; what is known already stays as it is."""

        def job(db: sqlite3.Connection) -> None:
            rows.put_spans(db, spans, "otlp")
            for trace in traces:
                if "otlp" in (known := rows.turns_of(db, trace.id)):
                    # A trace comes in pieces, its outermost span last: all of it is read anew.
                    whole = rows.read_spans(db, _RECEIVED, (trace.id, _WHOLE), _LONGEST)
                    rows.merge(db, describe([s for _, s in whole], trace.content, "otlp")[0])
                elif not known:
                    rows.put_trace(db, trace)

        return self._writer.submit(job, urgent=True)

    def ingest(self, found: Sequence[tuple[Trace, Sequence[Span], Sequence[Feedback]]]) -> int:
        """Traces from files, instead of what files said of them before; returns how many.

        A trace that was served or received here is known better: the file's is passed over.
        """
        count = 0

        def job(db: sqlite3.Connection) -> None:
            nonlocal count
            count = 0
            for trace, spans, feedback in found:
                if any(arrived != "file" for arrived in rows.turns_of(db, trace.id)):
                    continue
                db.execute(
                    "DELETE FROM traces WHERE id = ? AND root = ? AND arrived = 'file'",
                    (trace.id, trace.root),
                )
                for table, given in (("spans", spans), ("feedback", feedback)):
                    if given:
                        db.execute(
                            f"DELETE FROM {table} WHERE trace = ? AND arrived = 'file'",
                            (trace.id,),
                        )
                count += rows.put_trace(db, trace)
                rows.put_spans(db, spans, "file")
                for one in feedback:
                    rows.put_feedback(db, one, "file")

        self._wait(self._writer.submit(job, urgent=True))
        return count

    def give(self, feedback: Feedback) -> Future[None]:
        """Feedback; the Future fails with Fault 404 when the trace is unknown."""

        def job(db: sqlite3.Connection) -> None:
            if not rows.known(db, feedback.trace_id):
                raise Fault(404, "no such trace", code="trace_not_found", param="trace_id")
            rows.put_feedback(db, feedback, "served")

        return self._writer.submit(job, urgent=True)

    def delete(self, trace_ids: Sequence[str]) -> int:
        """Forget traces with all that belongs to them; returns how many there were."""
        count = 0

        def job(db: sqlite3.Connection) -> None:
            nonlocal count
            count = 0
            for key in trace_ids:
                count += rows.known(db, key)
                for table, column in (("traces", "id"), ("spans", "trace"), ("feedback", "trace")):
                    db.execute(f"DELETE FROM {table} WHERE {column} = ?", (key,))

        self._wait(self._writer.submit(job, urgent=True))
        self._scrub()
        return count

    def purge(self, before: int) -> int:
        """Forget what came in before a time (ns); returns how many turns there were."""
        count = 0

        def job(db: sqlite3.Connection) -> None:
            nonlocal count
            count = self._count(retention.forget(db, before, self._target))

        self._wait(self._writer.submit(job, urgent=True))
        self._scrub()
        return count

    def advance(self, target: str, spans: int, feedback: int) -> Future[None]:
        """Remember that an exporter is done with all rows up to these numbers."""

        def job(db: sqlite3.Connection) -> None:
            row = (target, spans, feedback)
            db.execute("INSERT OR REPLACE INTO exported VALUES (?, ?, ?)", row)

        return self._writer.submit(job, counted=False)

    def forget_exported(self, target: str) -> Future[None]:
        """Delete what an exporter is done with: the store is only its queue.

        Of a turn its id stays, as long as traces are kept, so that feedback still finds it.
        """

        def job(db: sqlite3.Connection) -> None:
            spans, feedback = db.execute(
                "SELECT spans, feedback FROM exported WHERE target = ?", (target,)
            ).fetchone()
            db.execute(
                "UPDATE traces SET request_id = '', caller = '', model = '', flags = '[]',"
                " content = 'none', question = '', answer = '', consent = 0"
                " WHERE id IN (SELECT trace FROM spans WHERE number <= ?)",
                (spans,),
            )
            db.execute("DELETE FROM spans WHERE number <= ?", (spans,))
            db.execute("DELETE FROM feedback WHERE number <= ?", (feedback,))

        return self._writer.submit(job, counted=False)

    def cursor(self, target: str) -> tuple[int, int]:
        """Up to where an exporter is done. One that is new begins with what comes next."""
        self._target = target
        with schema.reading(self.path) as db:
            query = "SELECT spans, feedback FROM exported WHERE target = ?"
            if row := db.execute(query, (target,)).fetchone():
                return row[0], row[1]
            last = [
                db.execute(f"SELECT coalesce(max(number), 0) FROM {table}").fetchone()[0]
                for table in ("spans", "feedback")
            ]
        self._wait(self.advance(target, *last))
        return last[0], last[1]

    def counts(self) -> dict[str, int]:
        """For the metrics: what was written, waits, was lost or deleted."""
        writer = self._writer
        return {
            "written": writer.written,
            "waiting": writer.waiting,
            "lost": writer.lost,
            "write_failures": writer.failures,
            "deleted": self.purged,
            "deleted_unexported": self.purged_unexported,
        }

    @property
    def trouble(self) -> str:
        """Why nothing can be written just now; empty when all is well."""
        return self._writer.trouble

    def listen(self, listener: Callable[[], None]) -> None:
        """Call `listener` (from the writing thread) after every commit."""
        self._listeners.append(listener)

    def tell_losses(self, told: Callable[[int], None]) -> None:
        """Call `told` with a number whenever rows are lost, besides counting and logging them."""
        self._told = self._writer.told_of_losses = told

    def tell(self, count: int) -> None:
        """Pass on that an exporter's receiver did not take so many."""
        self._told(count)

    def flush(self, timeout: float = 30.0) -> bool:
        """Wait until all that was put is on the disk; False when it is not."""
        return self._writer.flush(timeout)

    def close(self, timeout: float = 30.0) -> bool:
        """Write what waits and end; False when something was lost."""
        return self._writer.close(timeout)

    def _connect(self) -> sqlite3.Connection:
        db = schema.connect(self.path)
        inode = self.path.stat().st_ino
        self.renewed += self._gone or self._inode not in (0, inode)
        self._inode, self._gone = inode, False
        return db

    def _moved(self) -> bool:
        """Whether the file was moved away or deleted: what is written there nobody would find."""
        try:
            self._gone = self.path.stat().st_ino != self._inode
        except OSError:
            self._gone = True
        return self._gone  # a new file may get the old one's number

    def _wait(self, done: Future[None]) -> None:
        """For tools: written, or a typed error instead of waiting for a full disk to empty."""
        try:
            done.result(_PATIENCE)
        except (TimeoutError, WriteLost) as error:
            raise WorkspaceError(
                f"cannot write the traces: {self.trouble or error or 'it takes too long'}",
                where=str(self.path),
                fix="free some space, or end what holds the file, and try again",
            ) from error

    def _scrub(self) -> None:
        """What was deleted still stands in the log of writes: a server next to us keeps that."""
        with closing(schema.connect(self.path)) as db:
            try:
                retention.scrub(db)
            except sqlite3.Error as error:
                raise schema.explain(error, self.path) from error

    def _committed(self) -> None:
        for listener in self._listeners:
            listener()

    def _upkeep(self, db: sqlite3.Connection) -> None:
        self._count(retention.keep_days(db, self.days, self._target))

    def _count(self, gone: retention.Gone) -> int:
        self.purged += gone.turns
        self.purged_unexported += gone.unexported
        if gone.unexported:
            self._told(gone.unexported)
        return gone.turns
