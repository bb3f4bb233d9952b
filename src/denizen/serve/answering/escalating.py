"""Whether the local answer may be given, what a stronger model says instead, and what is left then.

Contract: the router's decision is taken on the same signals it was calibrated on; without a router
every answer is local and no confidence is claimed.  An upstream's answer is checked like our own:
its call is evaluated here, figures nobody gave are refused.  What fails becomes UpstreamFailed, and
the declared fallback holds: never silence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from denizen.models.chat import SYSTEM
from denizen.project.errors import DenizenError
from denizen.serve.answering.claims import checked
from denizen.serve.answering.composing import Exact, compose
from denizen.serve.answering.conversation import Talk
from denizen.serve.answering.ports import Parts
from denizen.serve.answering.report import Wanted
from denizen.serve.exchange import Format, Guided, Request, Sampling, Turn, Usage, Visit

if TYPE_CHECKING:
    from denizen.serve.route.reply import UpstreamFailed
    from denizen.tasks.structured import Schema

# An upstream answers with a draft and a call; a report in JSON is the longest.
UPSTREAM_TOKENS = 512
NO_UPSTREAM = "there is no stronger model"


@dataclass(frozen=True)
class Judged:
    """The router's word on a local answer."""

    local: bool = True
    confidence: float | None = None
    reason: str = ""
    group: str = ""
    signals: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Escalated:
    """A stronger model's answer, after our checks."""

    answer: Exact
    usage: Usage
    written: str
    corrections: tuple[tuple[str, str], ...] = ()


async def judge(
    parts: Parts,
    guided: Guided | None,
    text: str,
    talk: Talk,
    holds: bool,
    trace: Any,
    form: Schema | None = None,
) -> Judged:
    """Decide on a local answer; `holds` is whether our own checks found nothing against it, and
    `form` the schema it keeps to, which the suite need not have."""
    from denizen.serve.route.signals import Reading, read_answer, signals_of

    with trace.span("route") as stage:
        reading = read_answer(text, parts.suite)
        if form is not None and not reading.schema_ok:
            reading = Reading(form.name, True, True)
        signals = signals_of(
            guided,
            coverage=None,
            schema_ok=reading.schema_ok,
            recompute_ok=reading.recompute_ok and holds,
            distance=await _distance(parts, talk.question),
        )
        if parts.router is None:
            local = reading.schema_ok and reading.recompute_ok and holds
            reason = "" if local else "the answer does not hold"
            return Judged(local, None, reason, reading.group, signals)
        decision = parts.router.decide(signals, reading.group)
        if stage is not None:
            stage.set(local=decision.local, reason=decision.reason)
        return Judged(decision.local, decision.confidence, decision.reason, reading.group, signals)


async def _distance(parts: Parts, question: str) -> float | None:
    distance = getattr(parts.router, "distance", None)
    if distance is None:
        return None
    try:
        found: float | None = await asyncio.to_thread(distance, question)
    except DenizenError:
        return None  # unknown: then the router does not call the answer local
    return found


async def escalate(
    parts: Parts, talk: Talk, visit: Visit, asked: Wanted | None, trace: Any
) -> Escalated:
    """Ask the stronger model and check what it says; raises UpstreamFailed."""
    from denizen.serve.route.reply import UpstreamFailed

    if parts.upstream is None:
        raise UpstreamFailed(NO_UPSTREAM)
    with trace.span("upstream"):
        reply = await parts.upstream.ask(upstream_request(parts, talk, asked), visit)
        schema = asked.schema if asked else None
        answer = compose(reply.text, talk.written, parts.suite, schema)
        if answer.strangers:
            raise UpstreamFailed("the upstream calculates with figures that were not given")
        if answer.call is not None and not answer.ok:
            raise UpstreamFailed("the upstream's calculation cannot be evaluated")
        if asked is not None and answer.schema != asked.schema:
            raise UpstreamFailed("the upstream did not keep to the schema")
        if answer.ok:
            return Escalated(answer, reply.usage, reply.text)
        if getattr(reply, "finish", "stop") == "length":  # half a figure is another figure
            raise UpstreamFailed("the upstream's answer was cut short")
        claims = checked(reply.text, talk.written, talk.known)
        if not claims.ok:
            raise UpstreamFailed("the upstream's figures contradict the calculation")
        said = Exact(claims.text.strip(), derivation=claims.derivation)
        return Escalated(said, reply.usage, reply.text, claims.corrections)


def upstream_request(parts: Parts, talk: Talk, asked: Wanted | None) -> Request:
    """What leaves for the stronger model: the calculator in words, and the conversation."""
    from denizen.tasks import catalogue_prompt

    told = catalogue_prompt(SYSTEM, parts.suite)
    turns = (Turn("system", told), *(turn for turn in talk.turns if turn.role != "system"))
    if asked is not None:
        schema = asked.schema
        form = Format("json_schema", schema.json_schema(), schema.name, True)
        return Request("", turns, sampling=_GREEDY, format=form)
    return Request("", turns, sampling=_GREEDY)


_GREEDY = Sampling(max_tokens=UPSTREAM_TOKENS, temperature=0.0)


class Audits:
    """Random local answers put to the stronger model after they were sent; a few at a time."""

    def __init__(self, parts: Parts, most: int = 2) -> None:
        self._parts, self._most = parts, most
        self._running: set[asyncio.Task[None]] = set()

    def consider(
        self, talk: Talk, visit: Visit, written: str, judged: Judged, asked: Wanted | None
    ) -> bool:
        """Start an audit if this request is picked and there is room; True if one started."""
        auditor = self._parts.auditor
        if auditor is None or self._parts.upstream is None or len(self._running) >= self._most:
            return False
        # The trace's id is our own; a request's id may be the caller's, who could send it again.
        if not auditor.pick(visit.trace_id or visit.request_id):
            return False
        task = asyncio.create_task(self._audit(talk, visit, written, judged, asked))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return True

    async def _audit(
        self, talk: Talk, visit: Visit, written: str, judged: Judged, asked: Wanted | None
    ) -> None:
        from denizen.serve.route.agreement import agrees
        from denizen.serve.route.reply import UpstreamFailed

        upstream: Any = self._parts.upstream
        ask = getattr(upstream, "check", upstream.ask)
        try:
            reply = await ask(upstream_request(self._parts, talk, asked), visit)
        except UpstreamFailed:
            return
        agreed = agrees(talk.question, written, reply.text, self._parts.suite)
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


def failure(error: UpstreamFailed) -> str:
    """The flag of a failed escalation."""
    return NO_UPSTREAM if error.reason == NO_UPSTREAM else f"upstream failed: {error.reason}"
