"""Whether the local answer may be given, what a stronger model says instead, and what is left then.

Contract: the router's decision is taken on the same signals it was calibrated on, and only for the
kinds of request that were calibrated: others claim no confidence and carry the flag UNCALIBRATED.
Without a router every answer is local.  An upstream's answer is checked like our own: its call is
evaluated here, figures nobody gave are refused, words about documents must be borne by them.  What
fails or is late becomes UpstreamFailed, and the declared fallback holds: never silence.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from denizen.models.chat import SYSTEM
from denizen.project.errors import DenizenError
from denizen.serve.answering.claims import Claims, checked
from denizen.serve.answering.composing import Exact, compose
from denizen.serve.answering.conversation import Talk
from denizen.serve.answering.naming import Named
from denizen.serve.answering.passages import Found
from denizen.serve.answering.phrasing import asking, taken
from denizen.serve.answering.ports import Parts, Replied
from denizen.serve.answering.report import Wanted
from denizen.serve.answering.turning import InTurn, Local
from denizen.serve.exchange import Format, Request, Sampling, Turn, Usage
from denizen.serve.metering import meter

if TYPE_CHECKING:
    from denizen.serve.route.reply import UpstreamFailed

# An upstream answers with a draft and a call; a report in JSON is the longest.
UPSTREAM_TOKENS = 512
NO_UPSTREAM = "there is no stronger model"
LOW = "low confidence"
STRANGE = "out of domain"
UNCALIBRATED = "uncalibrated"
NOT_BORNE = "the upstream's words are not borne by the sources"
# Of a request's time this share, and these seconds at most, are kept for the declared fallback.
SPARE, MOST_SPARE = 0.1, 2.0


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
    claims: Claims | None = None  # where it is in words of its own


async def judge(parts: Parts, turn: InTurn, local: Local) -> Judged:
    """Decide on a local answer."""
    from denizen.serve.route.signals import Reading, read_answer, signals_of

    with turn.trace.span("route") as stage:
        reading = read_answer(local.written, parts.suite)
        form = local.answer.schema
        if form is not None and not reading.schema_ok:
            # The schema it keeps to, which the suite need not have.
            reading = Reading(form.name, True, True)
        signals = signals_of(
            local.guided,
            coverage=None,
            schema_ok=reading.schema_ok,
            recompute_ok=reading.recompute_ok and local.holds,
            distance=await _distance(parts, turn.talk.question),
        )
        holds = reading.schema_ok and reading.recompute_ok and local.holds
        kind = kind_of(turn)
        if local.adapter and local.adapter not in parts.config.serve.skills.values():
            kind = "adapter"  # taken in while serving: nothing was calibrated with it
        judged = _decided(parts, kind, signals, reading.group, holds)
        if stage is not None:
            stage.set(local=judged.local, reason=judged.reason)
        return judged


async def judge_found(parts: Parts, turn: InTurn, found: Found, phrased: bool) -> Judged:
    """Decide on an answer from documents; a model's own words over them are another kind."""
    from denizen.serve.route.fingerprint import DOCUMENTS
    from denizen.serve.route.signals import signals_of

    with turn.trace.span("route") as stage:
        signals = signals_of(
            None,
            coverage=found.coverage,
            schema_ok=True,
            recompute_ok=True,
            distance=await _distance(parts, turn.talk.question),
        )
        kind = "phrased documents" if phrased else DOCUMENTS
        judged = _decided(parts, kind, signals, DOCUMENTS, True)
        if stage is not None:
            stage.set(local=judged.local, reason=judged.reason)
        return judged


def kind_of(turn: InTurn) -> str:
    """Which kind of request it is: calibration asks one question of the release, and no more."""
    from denizen.serve.route.router import QUESTION

    if turn.named.adapter:
        return "adapter"
    if turn.asked is not None:
        return "format"
    told = [earlier.content for earlier in turn.talk.turns[:-1]]
    return "conversation" if turn.talk.follow_up or told != [SYSTEM] else QUESTION


def _decided(
    parts: Parts, kind: str, signals: Mapping[str, float], group: str, holds: bool
) -> Judged:
    """The router's word where it has one; else no confidence, and what is declared for that."""
    if parts.router is not None and parts.router.covers(kind):
        decision = parts.router.decide(signals, group)
        return Judged(decision.local, decision.confidence, decision.reason, group, signals)
    if not holds:
        return Judged(False, None, "the answer does not hold", group, signals)
    if parts.router is None and not parts.stale:
        return Judged(True, None, "", group, signals)
    local = parts.config.route.uncalibrated == "flag"
    return Judged(local, None, UNCALIBRATED, group, signals)


async def _distance(parts: Parts, question: str) -> float | None:
    distance = getattr(parts.router, "distance", None)
    if distance is None:
        return None
    try:
        found: float | None = await asyncio.to_thread(distance, question)
    except DenizenError:
        return None  # unknown: then the router does not call the answer local
    return found


async def escalate(parts: Parts, turn: InTurn) -> Escalated:
    """Ask the stronger model and check what it says; raises UpstreamFailed."""
    from denizen.serve.route.reply import paid

    with turn.trace.span("upstream"):
        reply = await _replied(parts, turn, upstream_request(parts, turn.talk, turn.asked))
        with paid(reply.usage):
            return _checked(parts, turn, reply)


def _checked(parts: Parts, turn: InTurn, reply: Replied) -> Escalated:
    """The reply as it may be passed on; raises UpstreamFailed."""
    from denizen.serve.route.reply import UpstreamFailed

    talk, asked = turn.talk, turn.asked
    answer = compose(reply.text, talk.written, parts.suite, asked.schema if asked else None)
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
    return Escalated(said, reply.usage, reply.text, claims)


async def escalate_found(parts: Parts, turn: InTurn, found: Found) -> tuple[Found, Usage]:
    """The stronger model's words over the same passages; raises UpstreamFailed."""
    from denizen.serve.route.reply import UpstreamFailed

    with turn.trace.span("upstream"):
        reply = await _replied(parts, turn, asking(parts, turn.talk, found))
        said = taken(found, reply.text, turn.talk.question)
        if said is None:
            raise UpstreamFailed(NOT_BORNE, reply.usage)
        return said, reply.usage


async def _replied(parts: Parts, turn: InTurn, request: Request) -> Replied:
    """The upstream's reply, early enough for the fallback to be sent in time.

    Its tokens are counted at once: the turn may fail behind it.
    """
    from denizen.serve.route.reply import UpstreamFailed

    if parts.upstream is None:
        raise UpstreamFailed(NO_UPSTREAM)
    seconds = parts.config.serve.request_seconds
    late = turn.until - min(SPARE * seconds, MOST_SPARE)
    if asyncio.get_running_loop().time() >= late:
        raise UpstreamFailed("no time is left")  # before the budget pays for it
    try:
        async with asyncio.timeout_at(late if math.isfinite(late) else None):
            reply = await parts.upstream.ask(request, turn.visit)
    except TimeoutError:
        raise UpstreamFailed("timeout") from None
    except UpstreamFailed as error:
        meter().count(error.usage)
        raise
    meter().count(reply.usage)
    return reply


def upstream_request(parts: Parts, talk: Talk, asked: Wanted | None) -> Request:
    """What leaves for the stronger model: the calculator in words, and the conversation."""
    from denizen.tasks import catalogue_prompt

    stated = talk.turns[0].content.removeprefix(SYSTEM)  # what a client said of a position there
    told = f"{catalogue_prompt(SYSTEM, parts.suite)}{stated}"
    turns = (Turn("system", told), *(turn for turn in talk.turns if turn.role != "system"))
    if asked is not None:
        schema = asked.schema
        form = Format("json_schema", schema.json_schema(), schema.name, True)
        return Request("", turns, sampling=_GREEDY, format=form)
    return Request("", turns, sampling=_GREEDY)


_GREEDY = Sampling(max_tokens=UPSTREAM_TOKENS, temperature=0.0)


def failure(error: UpstreamFailed) -> str:
    """The flag of a failed escalation."""
    return NO_UPSTREAM if error.reason == NO_UPSTREAM else f"upstream failed: {error.reason}"


def unpromised(judged: Judged) -> tuple[str, ...]:
    """The flag of an answer that no calibration covers."""
    return (UNCALIBRATED,) if judged.reason == UNCALIBRATED else ()


def undecided(parts: Parts, named: Named) -> tuple[str, ...]:
    """The same flag for what is generated without a decision, where answers have a promise."""
    promised = parts.router is not None or bool(parts.stale)
    return (UNCALIBRATED,) if promised and named.kind != "base" else ()


def why(judged: Judged, failed: str) -> tuple[str, ...]:
    """The flags of an answer that should have come from a stronger model."""
    first = judged.reason if judged.reason in (STRANGE, UNCALIBRATED) else LOW
    return tuple(dict.fromkeys((first, judged.reason or LOW, failed)))
