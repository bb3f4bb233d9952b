"""The Analyst's turn: retrieve or calculate, check, decide, and say it with its derivation.

Contract: one whole Reply; nothing is sent before it was evaluated.  A question goes to the
documents when it asks for them, when it is unlike what the calculator is made for, or when the
calculator cannot serve it; else the model drafts and calls under the grammar of the question, the
engine evaluates, and the router decides whether that may be said.
"""

from __future__ import annotations

import asyncio
import logging
import math
from dataclasses import replace

from denizen.project.errors import DenizenError
from denizen.serve.answering import wording
from denizen.serve.answering.auditing import Audits
from denizen.serve.answering.claims import UNVERIFIED, unborne
from denizen.serve.answering.composing import Exact
from denizen.serve.answering.conversation import read
from denizen.serve.answering.drafting import Drafting
from denizen.serve.answering.escalating import (
    STRANGE,
    Escalated,
    Judged,
    escalate,
    escalate_found,
    failure,
    judge,
    judge_found,
    unpromised,
    why,
)
from denizen.serve.answering.formats import broken, not_kept
from denizen.serve.answering.naming import Named
from denizen.serve.answering.passages import Found, look_up
from denizen.serve.answering.phrasing import phrase
from denizen.serve.answering.ports import NullRecording, Parts, Recorded
from denizen.serve.answering.report import NAME, Review, as_text, review, wanted
from denizen.serve.answering.sending import Sending
from denizen.serve.answering.skills import Senses, asks_sources, has_figures
from denizen.serve.answering.timing import aside
from denizen.serve.answering.turning import InTurn, Local, Reply, total
from denizen.serve.exchange import Fault, Origin, Outcome, Request, Usage, Visit

NOTHING = Usage()
_log = logging.getLogger("denizen.serve")


class Analyst:
    """The pipeline over its parts."""

    def __init__(self, parts: Parts, audits: Audits) -> None:
        self._parts, self._audits = parts, audits
        self._senses = Senses.of(parts.suite)
        self._drafting, self._sending = Drafting(parts), Sending(parts)

    async def answer(
        self,
        request: Request,
        named: Named,
        visit: Visit,
        flags: tuple[str, ...],
        trace: Recorded,
        until: float = math.inf,
    ) -> Reply:
        """Answer the last question of a request, by `until` at the latest; raises Fault."""
        parts = self._parts
        size = sum(len(turn.content) for turn in request.turns)
        talk = await aside(size, read, request)
        await self._drafting.fits(talk)
        asked = wanted(request.format, parts.suite)
        sense = await aside(size, self._senses.read, talk.question)
        turn = InTurn(request, named, visit, trace, talk, sense, asked, flags, until)
        if marked := parts.shield.fingerprint(talk.question):
            return await self._sending.send(turn, marked, Outcome(request.model, NOTHING))
        explicit = asks_sources(talk.question)
        strange = not (sense.familiar or talk.follow_up or asked)
        searched = False
        if parts.index is not None and asked is None:
            # Words alone, of no family for sure: a document may hold what no figure leads to.
            wordy = not (sense.sure or talk.follow_up or has_figures(talk.question))
            if searched := explicit or strange or wordy:
                found = await self._looked_up(turn)
                # What is unlike the calculator's questions is not forced into one of its calls.
                if found.answerable or explicit or strange:
                    return await self._sourced(turn, found)
        local = await self._drafting.local(turn)
        if parts.index and asked is None and not searched and not local.answer.serves:
            found = await self._looked_up(turn)
            if found.answerable:
                return await self._sourced(turn, found, local.usage)
        judged = await judge(parts, turn, local)
        if strange:
            judged = replace(judged, local=False, reason=STRANGE)
        if judged.local:
            self._audits.consider(turn, judged, local.written)
            return await self._said(turn, local, judged, unpromised(judged))
        return await self._escalated(turn, local, judged, strange)

    async def warm(self, request: Request) -> None:
        """Draft an answer that nobody gets, and search once: nothing is sent or escalated."""
        talk, trace = read(request), NullRecording()
        sense, visit = self._senses.read(talk.question), Visit("warm")
        turn = InTurn(request, Named("analyst"), visit, trace, talk, sense, None, ())
        await self._drafting.local(turn)
        if self._parts.index is not None:
            await self._looked_up(turn)

    async def _looked_up(self, turn: InTurn) -> Found:
        assert self._parts.index is not None
        count = self._parts.config.serve.passages
        with turn.trace.span("retrieve", top_k=count) as stage:
            try:
                question = turn.talk.question
                found = await asyncio.to_thread(look_up, self._parts.index, question, count)
            except DenizenError as error:
                # A store that is away, an ingest that goes on; its words may name our machines.
                _log.warning("the documents cannot be searched: %s", error.what)
                raise Fault(
                    503,
                    "the documents cannot be searched just now",
                    kind="server_error",
                    code="sources_unavailable",
                    retry_after=5.0,
                ) from error
            if stage is not None:
                stage.set(documents=[cited.document for cited in found.citations])
            return found

    async def _sourced(self, turn: InTurn, found: Found, usage: Usage = NOTHING) -> Reply:
        """What the documents say, decided on like any answer; that they do not is no answer."""
        from denizen.serve.route.reply import UpstreamFailed

        if not found.answerable:
            coverage = {} if found.coverage is None else {"coverage": found.coverage}
            return await self._quoted(turn, found, usage, Judged(signals=coverage))
        phrased = await phrase(self._parts, turn.talk, found, turn.named.adapter)
        told = found
        if phrased is not None:
            told, more = phrased
            usage = total(usage, more)
        judged = await judge_found(self._parts, turn, told, phrased is not None)
        if judged.local:
            self._audits.consider_found(turn, judged, told)
            return await self._quoted(turn, told, usage, judged, unpromised(judged))
        try:
            said, more = await escalate_found(self._parts, turn, found)
        except UpstreamFailed as error:
            flags, usage = why(judged, failure(error)), total(usage, error.usage)
            if self._parts.config.route.fallback == "abstain":
                return await self._abstained(turn, usage, turn.named.adapter, judged, flags)
            return await self._quoted(turn, told, usage, judged, flags)
        usage = total(usage, more)
        return await self._quoted(turn, said, usage, judged, (judged.reason,), "upstream")

    async def _quoted(
        self,
        turn: InTurn,
        found: Found,
        usage: Usage,
        judged: Judged,
        flags: tuple[str, ...] = (),
        origin: Origin = "local",
    ) -> Reply:
        """A finding with its citations; that the sources answer at all is a signal, no promise."""
        sure = {} if found.confidence is None else {"answerable": found.confidence}
        outcome = Outcome(
            turn.request.model,
            usage,
            origin,
            confidence=None if origin == "upstream" else judged.confidence,
            citations=found.citations,
            flags=(*turn.flags, *flags, *found.flags),
            skill=judged.group,
            adapter=turn.named.adapter,
            signals={**judged.signals, **sure},
        )
        text = wording.message(Exact(found.text), (), found.citations)
        return await self._sending.send(
            turn, text, outcome, "\n".join(c.quote for c in found.citations)
        )

    async def _said(
        self, turn: InTurn, local: Local, judged: Judged, flags: tuple[str, ...] = ()
    ) -> Reply:
        """The local answer, as it may be given."""
        answer, reviewed = local.answer, local.review
        # What is not ok says only that it could not be done.
        outcome = Outcome(
            turn.request.model,
            local.usage,
            exact=_is_exact(answer, reviewed),
            confidence=judged.confidence,
            draft=answer.draft,
            call=answer.call,
            derivation=answer.derivation or (reviewed.rationale if reviewed else ()),
            corrections=reviewed.corrections if reviewed else (),
            flags=(*turn.flags, *flags, *(reviewed.flags if reviewed else ())),
            skill=judged.group,
            adapter=local.adapter,
            signals=judged.signals,
        )
        return await self._sending.send(turn, self._message(turn, answer, reviewed), outcome)

    async def _escalated(self, turn: InTurn, local: Local, judged: Judged, strange: bool) -> Reply:
        """A stronger model's answer, or the declared fallback."""
        from denizen.serve.route.reply import UpstreamFailed

        try:
            said = await escalate(self._parts, turn)
        except UpstreamFailed as error:
            flags = why(judged, failure(error))
            local = replace(local, usage=total(local.usage, error.usage))
            if strange or self._parts.config.route.fallback == "abstain":
                return await self._abstained(turn, local.usage, local.adapter, judged, flags)
            return await self._said(turn, local, judged, flags)
        return await self._from_above(turn, said, local, judged)

    async def _from_above(
        self, turn: InTurn, said: Escalated, local: Local, judged: Judged
    ) -> Reply:
        answer, reviewed, claims = said.answer, None, said.claims
        flags: tuple[str, ...] = ()
        if answer.schema is not None and answer.schema.name == NAME:
            reviewed = review(turn.talk.written, answer.text)
            answer = replace(answer, text=as_text(reviewed.object()))
            flags = reviewed.flags
        elif claims is not None:
            known = turn.talk.known
            if await aside(len(known), unborne, answer.text, known, [claims]):
                flags = (UNVERIFIED,)
        outcome = Outcome(
            turn.request.model,
            total(local.usage, said.usage),
            "upstream",
            exact=_is_exact(answer, reviewed),
            draft=answer.draft,
            call=answer.call,
            derivation=answer.derivation or (reviewed.rationale if reviewed else ()),
            corrections=(
                *(claims.corrections if claims else ()),
                *(reviewed.corrections if reviewed else ()),
            ),
            flags=(*turn.flags, judged.reason, *flags),
            skill=judged.group,
            adapter=local.adapter,
            signals=judged.signals,
        )
        return await self._sending.send(turn, self._message(turn, answer, reviewed), outcome)

    async def _abstained(
        self, turn: InTurn, usage: Usage, adapter: str, judged: Judged, flags: tuple[str, ...]
    ) -> Reply:
        if turn.asked is not None:
            raise Fault(502, "no answer here is sure enough", kind="server_error", code="abstained")
        outcome = Outcome(
            turn.request.model,
            usage,
            "abstained",
            confidence=judged.confidence,
            flags=(*turn.flags, *flags),
            skill=judged.group,
            adapter=adapter,
            signals=judged.signals,
        )
        reason = "this is not a question I am made for" if STRANGE in flags else flags[-1]
        return await self._sending.send(turn, wording.abstention(reason), outcome)

    def _message(self, turn: InTurn, answer: Exact, reviewed: Review | None) -> str:
        if turn.asked is None:
            return wording.message(answer, reviewed.rationale if reviewed else ())
        text = answer.text
        if turn.asked.with_reasons and reviewed is not None:
            text = as_text(reviewed.report(turn.asked.fields))
        if fault := broken(text, turn.request.format):
            raise not_kept(fault)
        return text


def _is_exact(answer: Exact, reviewed: Review | None) -> bool:
    """What the engine recomputed; that something cannot be answered is the model's word alone."""
    engine = answer.serves and answer.result is not None
    return engine or bool(reviewed and reviewed.recomputed)
