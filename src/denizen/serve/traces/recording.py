"""A request while it is being answered: its stages are timed and kept until it ends.

Contract: nothing here blocks, raises or looks at text: a stage costs microseconds, `finish` hands
all to the store's thread. Times are wall-clock nanoseconds that go on by the monotonic clock, so a
clock that is set back cannot make a stage end before it began. `finish` counts once; a recording
that is never finished is finished by the tracer when it closes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import Any

from denizen.serve.exchange import Fault, Outcome, Request, Visit
from denizen.serve.traces import context
from denizen.serve.traces.assemble import Finished, Work

_STAGES = 256  # of one request; a loop that goes wild must not fill the memory
_EVENTS = 64


class Stage:
    """One stage; `with recording.span("retrieve", top_k=3) as stage: stage.set(documents=ids)`."""

    __slots__ = ("_recording", "_work")

    def __init__(self, recording: Recording, work: Work) -> None:
        self._recording, self._work = recording, work

    @property
    def span_id(self) -> str:
        """For a traceparent to send on."""
        return self._work.span_id

    def set(self, **attributes: Any) -> None:
        """What became known: words of `names.WORDS`, or any other, which become ours."""
        self._work.words.update(attributes)

    def event(self, name: str, **attributes: Any) -> None:
        """A moment of this stage."""
        if len(self._work.events) < _EVENTS:
            self._work.events.append((name, self._recording.now(), attributes))

    def span(self, name: str, **attributes: Any) -> Stage:
        """A stage within this one."""
        return self._recording.span(name, parent=self._work.span_id, **attributes)

    def __enter__(self) -> Stage:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._work.end = self._recording.now()
        if error is None:
            return
        if isinstance(error, Fault):
            self._work.error = error.code or error.kind
            self._work.failed = error.status >= 500
        elif isinstance(error, asyncio.CancelledError | GeneratorExit):
            self._work.error = "cancelled"
        else:
            # The class alone: its text may hold what a user wrote.
            self._work.error, self._work.failed = type(error).__name__, True


class Recording:
    """One request. `stored` is done once it is on the disk; None until finished, or not kept."""

    def __init__(
        self,
        visit: Visit,
        request: Request,
        keep: Callable[[Recording, Finished], Future[None] | None],
    ) -> None:
        self._visit, self._request, self._keep = visit, request, keep
        self._clock = time.perf_counter_ns()
        self._wall = time.time_ns()
        accepted = int(visit.started * 1e9)
        # A start in the future or of another day is a wrong clock, not a long wait.
        late = self._wall - accepted
        self._start = accepted if 0 <= late < 3_600 * 10**9 else self._wall
        caller = context.parse(visit.traceparent) if visit.traceparent else None
        self.trace_id = caller.trace_id if caller else visit.trace_id or context.new_trace_id()
        self.span_id = context.new_span_id()
        self._parent = caller.span_id if caller else ""
        self._flags = caller.flags if caller else 1
        self._works: list[Work] = []
        self._dropped = 0
        self._finished = False
        self.stored: Future[None] | None = None

    @property
    def traceparent(self) -> str:
        """The header to send on to an upstream, so that it joins this trace."""
        return context.header(self.trace_id, self.span_id)

    def now(self) -> int:
        """Nanoseconds since 1970."""
        return self._wall + time.perf_counter_ns() - self._clock

    def span(self, name: str, *, parent: str = "", **attributes: Any) -> Stage:
        """A stage of the request: guard, retrieve, generate, calculate, route, upstream, ..."""
        work = Work(name, context.new_span_id(), parent or self.span_id, self.now())
        work.words = attributes
        if len(self._works) < _STAGES:
            self._works.append(work)
        else:
            self._dropped += 1
        return Stage(self, work)

    def finish(self, outcome: Outcome | None, text: str, fault: Fault | None) -> None:
        """The end: an outcome with its text, a fault, or neither (the caller left)."""
        self.end(outcome, text, fault, "cancelled")

    def end(self, outcome: Outcome | None, text: str, fault: Fault | None, ending: str) -> None:
        """As `finish`; `ending` says why there is neither outcome nor fault."""
        if self._finished:
            return
        self._finished = True
        done = Finished(
            trace_id=self.trace_id,
            span_id=self.span_id,
            parent=self._parent,
            state=self._flags,
            start=self._start,
            end=self.now(),
            request=self._request,
            visit=self._visit,
            outcome=outcome,
            text=text,
            fault=fault,
            ending=ending,
            works=self._works,
            dropped=self._dropped,
        )
        self.stored = self._keep(self, done)
