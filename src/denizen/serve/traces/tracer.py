"""The Tracer: what the service asks for recordings, and the one owner of store and exporter.

Contract: `start` and `finish` never block or raise; a trace is on the disk within a fraction of a
second, and `close` (or the end of the process) flushes the rest. `Tracer()` keeps nothing and still
gives every request its trace id. Feedback and incoming OTLP are acknowledged when they are stored.
"""

from __future__ import annotations

import asyncio
import atexit
import math
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from pathlib import Path
from typing import TYPE_CHECKING

from denizen.serve.exchange import Fault, Request, Visit
from denizen.serve.traces import context, intake, otlp
from denizen.serve.traces.assemble import Finished, assemble
from denizen.serve.traces.content import Policy
from denizen.serve.traces.leftover import Leftover
from denizen.serve.traces.meaning import describe
from denizen.serve.traces.recording import Recording
from denizen.serve.traces.spans import Content, Feedback
from denizen.serve.traces.store import FILE, SPOOL, TraceStore
from denizen.serve.traces.writer import WriteLost

if TYPE_CHECKING:
    from denizen.project.config import TraceConfig
    from denizen.serve.traces.export import Exporter

_PATIENCE = 10.0  # seconds an acknowledgement may take
_LOOK = 0.25


class Tracer:
    """Recordings of requests, into `store` (None keeps nothing)."""

    def __init__(
        self,
        store: TraceStore | None = None,
        *,
        content: Content = "none",
        consent: bool = False,
        redact: Callable[[str], str] = lambda text: text,
        exporter: Exporter | None = None,
        leftover: Leftover | None = None,
    ) -> None:
        self._leftover = leftover
        self.store, self._consent, self._exporter = store, consent, exporter
        self._policy = Policy(content, redact)
        self._open: dict[int, Recording] = {}
        self._closed = False
        self.rejected = 0
        if store is not None:
            # A process that ends without closing still writes what it acknowledged nobody.
            atexit.register(self.close)

    @classmethod
    def from_config(
        cls, traces: TraceConfig, workspace: Path, redact: Callable[[str], str]
    ) -> Tracer:
        """As configured; raises DenizenError for a wrong file or an exporter without address."""
        from denizen.serve.traces.export import Exporter
        from denizen.serve.traces.targets import dialect_of

        dialect = dialect_of(traces)
        file = FILE if traces.store else SPOOL if dialect else ""
        store = TraceStore(workspace / file, days=traces.days) if file else None
        try:
            exporter = Exporter(store, dialect, keep=traces.store) if store and dialect else None
        except BaseException:
            if store:
                store.close()
            raise
        return cls(
            store,
            content=traces.content,
            consent=traces.consent,
            redact=redact,
            exporter=exporter,
            leftover=Leftover(workspace / SPOOL, traces.days) if file != SPOOL else None,
        )

    def start(self, visit: Visit, request: Request) -> Recording:
        """A recording of a request; `recording.finish` ends it."""
        recording = Recording(visit, request, self._keep)
        if self.store is not None:
            self._open[id(recording)] = recording
        return recording

    def feedback(self, trace_id: str, score: float, comment: str, visit: Visit) -> None:
        """Keep what a user thought of a trace (score -1 to 1); returns when it is on the disk.

        Raises Fault: 404 for an unknown trace, 400 for a wrong score, 503 if it cannot be stored.
        Blocks for some milliseconds: call it in a thread (`asyncio.to_thread`).
        """
        if not math.isfinite(score) or not -1 <= score <= 1:
            raise Fault(400, "a score is from -1 to 1", code="invalid_score", param="score")
        if self.store is None or not context.is_trace_id(trace_id):
            raise Fault(404, "no such trace", code="trace_not_found", param="trace_id")
        # What users write of an answer is content of its own: they gave it to be kept, redacted.
        comment = Policy(
            "full" if self._policy.content == "full" else "redacted", self._policy.redact
        ).text(comment[:4000])
        self._check(self.store)
        feedback = Feedback(
            context.new_trace_id(), trace_id, float(score), comment, visit.caller.id, time.time_ns()
        )
        self._acknowledged(self.store, self.store.give(feedback))

    async def otlp_in(
        self, body: bytes, content_type: str, content_encoding: str
    ) -> tuple[bytes, str]:
        """POST /v1/traces: the answer's body and content type, once the spans are on the disk.

        Raises Fault: 400, 413, 415 for the body, 404 if no traces are kept, 503 if they cannot be.
        """
        store = self.store
        if store is None:
            raise Fault(404, "this server keeps no traces", code="traces_off")

        def work() -> tuple[bytes, str]:
            self._check(store)
            decoded, kind = intake.read(body, content_type, content_encoding, self._policy)
            self.rejected += decoded.rejected
            traces = describe(decoded.spans, self._policy.content, "otlp")
            if decoded.spans:
                self._acknowledged(store, store.receive(traces, decoded.spans))
            return otlp.answer(decoded, kind), kind

        return await asyncio.to_thread(work)

    def counts(self) -> dict[str, int]:
        """For the metrics; `lost` must stay 0."""
        found = {"open": len(self._open), "otlp_rejected": self.rejected}
        found["redaction_failures"] = self._policy.failures
        if self.store is not None:
            found |= self.store.counts()
        if self._exporter is not None:
            found |= self._exporter.counts()
        return found

    def tell_losses(self, told: Callable[[int], None]) -> None:
        """Call `told` with the number of traces that were lost, when some are (for a metric)."""
        if self.store is not None:
            self.store.tell_losses(told)

    def flush(self, timeout: float = 30.0) -> bool:
        """Wait until all that was finished is on the disk; False when it is not."""
        return self.store is None or self.store.flush(timeout)

    def close(self, timeout: float = 30.0) -> bool:
        """Finish what is open, write all, send what can be sent; False when something was lost."""
        if self._leftover is not None:
            self._leftover.close()
        if self._closed or self.store is None:
            return True
        self._closed = True
        atexit.unregister(self.close)
        for recording in list(self._open.values()):
            recording.end(None, "", None, "unfinished")
        if not self.store.trouble:  # else nothing is to be had by waiting: closing tries once more
            self.store.flush(timeout)
        if self._exporter is not None:
            self._exporter.close(min(timeout, 5.0))  # the rest is sent after the next start
        return self.store.close(timeout)

    def _keep(self, recording: Recording, done: Finished) -> Future[None] | None:
        self._open.pop(id(recording), None)
        if self.store is None:
            return None
        return self.store.put_later(lambda: assemble(done, self._policy, self._consent))

    @staticmethod
    def _check(store: TraceStore) -> None:
        """Raise Fault 503 while others wait for a full disk: who is refused sends it again."""
        if store.trouble and store.counts()["waiting"]:
            raise _unavailable()

    @staticmethod
    def _acknowledged(store: TraceStore, stored: Future[None]) -> None:
        until = time.monotonic() + _PATIENCE
        try:
            # These threads serve answers, too: while nothing can be written, none is held.
            while not (wait([stored], _LOOK).done or store.trouble or time.monotonic() > until):
                pass
            stored.result(0)
        except (TimeoutError, WriteLost) as error:
            raise _unavailable() from error


def _unavailable() -> Fault:
    return Fault(
        503,
        "traces cannot be stored just now",
        kind="server_error",
        code="traces_unavailable",
        retry_after=10.0,
    )
