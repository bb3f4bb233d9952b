"""From what a recording remembers to the rows of the store: names, policy, error, usage.

Contract: runs in the writing thread, so that a request never pays for JSON or redaction. The root
span is the request as the server saw it; stages are its children, named as the GenAI conventions
have it. Token counts stand on the root and on the stage that wrote; `names.LEAF` says on a root
whether it is the only place, so that no backend counts them twice.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from denizen.serve.exchange import Fault, Outcome, Request, Visit
from denizen.serve.traces import names
from denizen.serve.traces.content import Policy
from denizen.serve.traces.spans import CLIENT, ERROR, INTERNAL, OK, SERVER, Event, Span, Trace

_AGREED = ("yes", "true", "1", "on")


@dataclass(slots=True)
class Work:
    """A stage while it is being recorded; `end` is 0 until it ends."""

    name: str
    span_id: str
    parent: str
    start: int
    end: int = 0
    error: str = ""
    failed: bool = False
    words: dict[str, Any] = field(default_factory=dict)
    events: list[tuple[str, int, dict[str, Any]]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Finished:
    """All that is known of a turn when it ends."""

    trace_id: str
    span_id: str
    parent: str
    state: int  # flags of the caller's traceparent
    start: int
    end: int
    request: Request
    visit: Visit
    outcome: Outcome | None
    text: str
    fault: Fault | None
    ending: str  # why it ended without outcome and fault
    works: Sequence[Work]
    dropped: int


def assemble(done: Finished, policy: Policy, consent: bool) -> tuple[Trace, list[Span]]:
    """The turn and its spans, under the policy."""
    # Whatever a caller says of consent that is no plain yes withdraws it.
    given = done.request.metadata.items()
    said = [word.strip().lower() for key, word in given if key.strip().lower() == "consent"]
    consent = consent and all(word in _AGREED for word in said)
    outcome, fault = done.outcome, done.fault
    if fault is not None:
        error, origin = fault.code or fault.kind, "refused" if fault.status < 500 else "failed"
    elif outcome is not None:
        error, origin = "", outcome.origin
    else:
        error = origin = done.ending
    question, answer = _question(done.request), done.text
    trace = Trace(
        id=done.trace_id,
        root=done.span_id,
        started=done.start,
        ended=done.end,
        request_id=done.visit.request_id,
        caller=done.visit.caller.id,
        model=outcome.model if outcome else policy.word(done.request.model),
        origin=origin,
        error=error,
        flags=tuple(policy.label(flag) for flag in outcome.flags) if outcome else (),
        confidence=outcome.confidence if outcome else None,
        prompt_tokens=outcome.usage.prompt_tokens if outcome else 0,
        completion_tokens=outcome.usage.completion_tokens if outcome else 0,
        content=policy.content,
        question=policy.text(question),
        answer=policy.text(answer),
        consent=consent,
    )
    stages = [_stage(done, work, policy) for work in done.works]
    return trace, [_root(done, trace, policy, error), *stages]


def _root(done: Finished, trace: Trace, policy: Policy, error: str) -> Span:
    request, outcome, fault = done.request, done.outcome, done.fault
    sampling = request.sampling
    operation = names.COMPLETION if request.text is not None else names.CHAT
    if request.text is None and not request.turns:
        operation = names.EMBEDDINGS
    leaf = not any(names.OPERATIONS.get(work.name) == names.CHAT for work in done.works)
    found: dict[str, Any] = {
        names.OPERATION: operation,
        names.PROVIDER: names.PROVIDER_NAME,
        names.REQUEST_MODEL: request.model if outcome else trace.model or None,
        names.REQUEST_MAX_TOKENS: sampling.max_tokens,
        names.REQUEST_TEMPERATURE: sampling.temperature,
        names.REQUEST_TOP_P: sampling.top_p,
        names.REQUEST_TOP_K: sampling.top_k,
        names.REQUEST_SEED: sampling.seed,
        names.REQUEST_CHOICES: request.n if request.n != 1 else None,
        names.OUTPUT_TYPE: "text" if request.format.kind == "text" else "json",
        names.REQUEST_ID: done.visit.request_id,
        names.CALLER: done.visit.caller.id,
        names.USER_ID: policy.text(request.user) or None,  # it may be an address
        names.ORIGIN: trace.origin,
        names.GENERATED: bool(done.text) or None,
        names.CONSENT: trace.consent,
        names.LEAF: leaf,
        names.STAGES_DROPPED: done.dropped or None,
        names.ERROR_TYPE: error or None,
        names.HTTP_STATUS: fault.status if fault else None,
    }
    if outcome is not None:
        found |= {
            names.RESPONSE_MODEL: outcome.model,
            names.INPUT_TOKENS: outcome.usage.prompt_tokens,
            names.OUTPUT_TOKENS: outcome.usage.completion_tokens,
            names.EXACT: outcome.exact,
            names.CONFIDENCE: outcome.confidence,
            names.FLAGS: list(outcome.flags) or None,
            names.SKILL: outcome.skill or None,
            names.ADAPTER: outcome.adapter or None,
            names.DRAFT: outcome.draft or None,
            names.CALL: outcome.call,
            names.DERIVATION: list(outcome.derivation) or None,
            names.CORRECTIONS: [" -> ".join(pair) for pair in outcome.corrections] or None,
            names.CITATIONS: [cited.document for cited in outcome.citations] or None,
            **{names.SIGNAL_PREFIX + key: value for key, value in outcome.signals.items()},
        }
    kept = policy.attributes({key: one for key, one in found.items() if one is not None})
    if messages := _messages(request, policy):
        kept[names.INPUT_MESSAGES] = messages
    if policy.content != "none" and done.text:
        part = {"type": "text", "content": trace.answer}
        answer = {"role": "assistant", "parts": [part], "finish_reason": _finish(done)}
        kept[names.OUTPUT_MESSAGES] = json.dumps([answer], ensure_ascii=False)
    failed = fault is not None and fault.status >= 500
    return Span(
        trace_id=done.trace_id,
        span_id=done.span_id,
        parent=done.parent,
        name=policy.label(f"{operation} {request.model if outcome else trace.model}".strip()),
        kind=SERVER,
        start=done.start,
        end=done.end,
        status=ERROR if failed else OK if outcome else 0,
        message=policy.text(fault.message) if fault is not None and failed else "",
        attributes=kept,
        flags=done.state,
    )


def _finish(done: Finished) -> str:
    """Why the answer ended, as the conventions have it; an Outcome does not say it."""
    outcome, most = done.outcome, done.request.sampling.max_tokens
    if outcome is None:
        return "error"
    cut = most and done.request.n == 1 and outcome.usage.completion_tokens >= most
    return "length" if cut else "stop"


def _stage(done: Finished, work: Work, policy: Policy) -> Span:
    operation = names.OPERATIONS.get(work.name, "")
    found: dict[str, Any] = {names.STAGE: work.name}
    if operation:
        found[names.OPERATION] = operation
    title = operation or work.name
    if operation == names.CHAT:
        found[names.PROVIDER] = "openai" if work.name == "upstream" else names.PROVIDER_NAME
        found[names.REQUEST_MODEL] = (
            done.outcome.model if done.outcome else policy.word(done.request.model)
        )
    if operation == names.CHAT and done.outcome and _wrote(done, work):
        found[names.INPUT_TOKENS] = done.outcome.usage.prompt_tokens
        found[names.OUTPUT_TOKENS] = done.outcome.usage.completion_tokens
    for word, value in work.words.items():
        if value is not None and value != "":
            found[names.WORDS.get(word, names.STAGE_PREFIX + word)] = _simple(value)
    if isinstance(documents := found.get(names.RETRIEVAL_DOCUMENTS), list | tuple):
        found[names.RETRIEVAL_DOCUMENTS] = [
            {"id": one} if isinstance(one, str) else one for one in documents
        ]
    if subject := found.get(names.TOOL_NAME) or found.get(names.REQUEST_MODEL):
        title = f"{title} {subject}"
    if work.error:
        found[names.ERROR_TYPE] = work.error
    return Span(
        trace_id=done.trace_id,
        span_id=work.span_id,
        parent=work.parent,
        name=policy.label(title),
        kind=CLIENT if work.name == "upstream" else INTERNAL,
        start=work.start,
        end=max(work.start, work.end or done.end),
        status=ERROR if work.failed else 0,
        attributes=policy.attributes(found),
        events=tuple(
            Event(policy.label(name), at, policy.attributes({k: _simple(v) for k, v in w.items()}))
            for name, at, w in work.events
        ),
    )


def _wrote(done: Finished, work: Work) -> bool:
    """Whether the answer's tokens are this stage's: the last that wrote, where the answer is from.

    A stage that was told its tokens keeps them, and then no other gets the outcome's.
    """
    chats = [w for w in done.works if names.OPERATIONS.get(w.name) == names.CHAT]
    if any("output_tokens" in w.words for w in chats):
        return False
    outcome = done.outcome
    stage = "upstream" if outcome is not None and outcome.origin == "upstream" else "generate"
    fitting = [w for w in chats if w.name == stage] or chats
    return bool(fitting) and fitting[-1] is work


def _messages(request: Request, policy: Policy) -> str:
    if request.text is None:
        return policy.messages(request.turns)
    if policy.content == "none":
        return ""
    part = {"type": "text", "content": policy.text(request.text)}
    return json.dumps([{"role": "user", "parts": [part]}], ensure_ascii=False)


def _question(request: Request) -> str:
    if request.text is not None:
        return request.text
    return next((turn.content for turn in reversed(request.turns) if turn.role == "user"), "")


def _simple(value: Any) -> Any:
    if isinstance(value, str | bool | int | float | list | tuple | dict):
        return value
    return str(value)
