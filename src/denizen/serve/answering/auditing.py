"""Audits while it serves: random local answers put to the stronger model after they were sent.

Contract: only answers under the promise are audited, a few at a time, and no caller waits for one
or can choose it.  What the upstream does not answer, or what cannot be compared, is no evidence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from denizen.serve.answering.escalating import UNCALIBRATED, Judged, upstream_request
from denizen.serve.answering.phrasing import asking

if TYPE_CHECKING:
    from denizen.serve.answering.passages import Found
    from denizen.serve.answering.ports import Parts
    from denizen.serve.answering.turning import InTurn
    from denizen.serve.exchange import Request, Visit


class Audits:
    """The audits that run; `most` of them side by side."""

    def __init__(self, parts: Parts, most: int = 2) -> None:
        self._parts, self._most = parts, most
        self._running: set[asyncio.Task[None]] = set()

    def consider(self, turn: InTurn, judged: Judged, written: str) -> bool:
        """Start an audit of what the model wrote, if this request is picked; True if so."""
        from denizen.serve.route.agreement import agrees

        question, suite = turn.talk.question, self._parts.suite
        return self._start(
            turn,
            judged,
            lambda: upstream_request(self._parts, turn.talk, turn.asked),
            lambda text: agrees(question, written, text, suite),
        )

    def consider_found(self, turn: InTurn, judged: Judged, found: Found) -> bool:
        """The same of an answer from documents."""
        from denizen.serve.route.agreement import agrees_with_sources

        quotes, question = [cited.quote for cited in found.citations], turn.talk.question
        return self._start(
            turn,
            judged,
            lambda: asking(self._parts, turn.talk, found),
            lambda text: agrees_with_sources(question, quotes, text),
        )

    def _start(
        self,
        turn: InTurn,
        judged: Judged,
        request: Callable[[], Request],
        agrees: Callable[[str], bool | None],
    ) -> bool:
        auditor, visit = self._parts.auditor, turn.visit
        # What promises nothing cannot break the promise.
        if auditor is None or self._parts.upstream is None or judged.reason == UNCALIBRATED:
            return False
        if len(self._running) >= self._most:
            return False
        # The trace's id is our own; a request's id may be the caller's, who could send it again.
        if not auditor.pick(visit.trace_id or visit.request_id):
            return False
        task = asyncio.create_task(self._audit(visit, judged, request(), agrees))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return True

    async def _audit(
        self,
        visit: Visit,
        judged: Judged,
        request: Request,
        agrees: Callable[[str], bool | None],
    ) -> None:
        from denizen.serve.route.reply import UpstreamFailed

        upstream: Any = self._parts.upstream
        ask = getattr(upstream, "check", upstream.ask)
        try:
            reply = await ask(request, visit)
        except UpstreamFailed:
            return
        agreed = await asyncio.to_thread(agrees, reply.text)
        if agreed is not None:  # what cannot be compared is no disagreement
            self._parts.told.audited(agreed)
        record = getattr(self._parts.auditor, "record", None)
        if record is not None:
            await asyncio.to_thread(
                record, visit.request_id, agreed, group=judged.group, confidence=judged.confidence
            )

    async def close(self) -> None:
        """Stop what is running."""
        for task in tuple(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
