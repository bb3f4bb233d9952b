"""Reading the store of traces, from any thread or process, while it is being written.

Contract: every call sees one whole state of the file and never waits for a writer; what SQLite
cannot read is a typed error in one line. Nothing from outside ever becomes part of a query's text.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from denizen.serve.traces import rows, schema
from denizen.serve.traces.rows import Stored
from denizen.serve.traces.spans import Arrived, Feedback, Span

_BATCH = 4 * 2**20  # characters


class TraceReader:
    """A file of traces; it need not be there yet."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def turns(
        self,
        *,
        limit: int = 100,
        before: int | None = None,
        eligible: bool = False,
        trace_id: str = "",
        oldest_first: bool = False,
    ) -> list[Stored]:
        """Turns, newest first; `before` is the number of the last one seen, to go on from."""
        where, values = ["1"], []
        if before is not None:
            where.append("number > ?" if oldest_first else "number < ?")
            values.append(before)
        if eligible:
            where.append("eligible")
        if trace_id:
            where.append("id = ?")
        parameters = [*values, *([trace_id] if trace_id else []), limit]
        order = "ASC" if oldest_first else "DESC"
        clause = f"{' AND '.join(where)} ORDER BY number {order} LIMIT ?"
        with schema.reading(self.path) as db:
            return list(rows.read_traces(db, clause, parameters))

    def all_turns(self, *, eligible: bool = False) -> Iterator[Stored]:
        """Every turn, oldest first, a page at a time."""
        last = 0
        while page := self.turns(limit=500, before=last, eligible=eligible, oldest_first=True):
            yield from page
            last = page[-1].number

    def spans(self, trace_id: str) -> list[Span]:
        """The spans of a trace, in order of time."""
        with schema.reading(self.path) as db:
            found = rows.read_spans(db, "trace = ? ORDER BY started, number", (trace_id,))
        return [span for _, span in found]

    def feedback(self, trace_id: str) -> list[Feedback]:
        """What was thought of a trace, oldest first."""
        with schema.reading(self.path) as db:
            found = rows.read_feedback(db, "trace = ? ORDER BY number", (trace_id,))
        return [feedback for _, feedback in found]

    def ids(self, prefix: str, limit: int = 2) -> list[str]:
        """Ids of traces that begin so; nothing for what is no hex."""
        if not prefix or prefix.strip("0123456789abcdef") or len(prefix) > 32:
            return []
        query = (
            "SELECT DISTINCT id FROM traces WHERE id >= ? AND id < ? UNION"
            " SELECT DISTINCT trace FROM spans WHERE trace >= ? AND trace < ? ORDER BY 1 LIMIT ?"
        )
        span = (prefix, prefix + "g")
        with schema.reading(self.path) as db:
            return [key for (key,) in db.execute(query, (*span, *span, limit))]

    def every_span_after(self, number: int, limit: int) -> list[tuple[int, Span]]:
        """Spans numbered above `number`, wherever they came from."""
        with schema.reading(self.path) as db:
            clause = "number > ? ORDER BY number LIMIT ?"
            return rows.read_spans(db, clause, (number, limit), _BATCH)

    def origins(self) -> dict[str, set[Arrived]]:
        """How the turns of every trace came here."""
        found: dict[str, set[Arrived]] = {}
        with schema.reading(self.path) as db:
            for key, arrived in db.execute("SELECT DISTINCT id, arrived FROM traces"):
                found.setdefault(key, set()).add(arrived)
        return found

    def spans_after(self, number: int, limit: int) -> list[tuple[int, Span]]:
        """Spans to export: numbered above `number`, without those read from files.

        Fewer than `limit` where they are long: an exporter holds one batch in memory.
        """
        clause = "number > ? AND arrived <> 'file' ORDER BY number LIMIT ?"
        with schema.reading(self.path) as db:
            return rows.read_spans(db, clause, (number, limit), _BATCH)

    def feedback_after(self, number: int, limit: int) -> list[tuple[int, Feedback]]:
        """Feedback to export."""
        clause = "number > ? AND arrived <> 'file' ORDER BY number LIMIT ?"
        with schema.reading(self.path) as db:
            return rows.read_feedback(db, clause, (number, limit))
