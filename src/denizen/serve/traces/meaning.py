"""Question, answer, model and flags out of what others record, in whatever shape they have it.

Contract: pure. Takes a text, JSON in a text, a message, a list of messages (OpenAI's, Langfuse's,
the GenAI conventions' parts) or an object with a telling key; gives plain text, empty when there is
none. Nothing is executed and nothing raises; depth is bounded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from denizen.serve.traces import names
from denizen.serve.traces.spans import Arrived, Content, Span, Trace

_QUESTION = ("question", "query", "prompt", "user_input", "input", "text", "content", "value")
_ANSWER = ("answer", "output", "completion", "response", "text", "content", "result", "value")
_DEPTH = 6
_INDEX = re.compile(r"\.(\d+)\.(?:message\.)?content$")


def question_of(value: Any) -> str:
    """What was asked last."""
    return _text(value, ("user", "human"), _QUESTION, 0).strip()


def answer_of(value: Any) -> str:
    """What was answered last."""
    return _text(value, ("assistant", "ai", "model"), _ANSWER, 0).strip()


def _text(value: Any, roles: Sequence[str], keys: Sequence[str], depth: int) -> str:
    if depth > _DEPTH or value is None:
        return ""
    if isinstance(value, str):
        return _of_string(value, roles, keys, depth)
    if isinstance(value, list):
        return _of_list(value, roles, keys, depth)
    if not isinstance(value, Mapping):
        return ""
    if isinstance(parts := value.get("parts"), list):
        return _parts(parts)
    if isinstance(choices := value.get("choices"), list) and choices:
        return _text(choices[0], roles, keys, depth + 1)
    for key in ("messages", "message"):
        if key in value:
            return _text(value[key], roles, keys, depth + 1)
    for key in keys:
        if (inner := value.get(key)) and (found := _text(inner, roles, keys, depth + 1)):
            return found
    # An object without a telling key is itself what was said.
    odd = depth == 0 and value and not value.keys() & {*keys, "role"}
    return json.dumps(value, ensure_ascii=False, default=str) if odd else ""


def _of_string(value: str, roles: Sequence[str], keys: Sequence[str], depth: int) -> str:
    if value.lstrip()[:1] not in ("[", "{", '"'):
        return value
    try:
        inner = json.loads(value)
    except (ValueError, RecursionError):
        return value
    # JSON without a telling key is itself what was said, as it was said.
    return _text(inner, roles, keys, depth + 1) or value


def _of_list(value: list[Any], roles: Sequence[str], keys: Sequence[str], depth: int) -> str:
    messages = [one for one in value if isinstance(one, Mapping)]
    if any("role" in one for one in messages):
        mine = [one for one in messages if str(one.get("role", "")).lower() in roles]
        return _message(mine[-1], depth) if mine else ""
    if messages and all("type" in one for one in messages):
        return _parts(messages)
    if messages:
        return _text(messages[-1], roles, keys, depth + 1)
    if value and isinstance(value[-1], list):  # LangChain: a batch of conversations
        return _text(value[-1], roles, keys, depth + 1)
    return value[-1] if value and isinstance(value[-1], str) else ""


def _message(message: Mapping[str, Any], depth: int) -> str:
    if isinstance(parts := message.get("parts"), list):
        return _parts(parts)
    content = message.get("content")
    if isinstance(content, list):
        return _parts(content)
    return content if isinstance(content, str) else ""


def _parts(parts: Iterable[Any]) -> str:
    found = []
    for part in parts:
        if isinstance(part, str):
            found.append(part)
        elif isinstance(part, Mapping) and part.get("type") in ("text", "input_text", None):
            text = part.get("content", part.get("text", ""))
            found.append(text if isinstance(text, str) else "")
    return "".join(found)


def describe(
    spans: Sequence[Span],
    content: Content,
    arrived: Arrived,
    *,
    consent: bool = False,
    licence: str = "",
    provenance: str = "",
) -> list[Trace]:
    """One Trace for every trace id among spans that came from elsewhere."""
    groups: dict[str, list[Span]] = {}
    for span in spans:
        groups.setdefault(span.trace_id, []).append(span)
    return [
        _describe(key, group, content, arrived, consent, licence, provenance)
        for key, group in groups.items()
    ]


def _describe(
    key: str,
    spans: list[Span],
    content: Content,
    arrived: Arrived,
    consent: bool,
    licence: str,
    provenance: str,
) -> Trace:
    here = {span.span_id for span in spans}
    # The outermost span first: what the user saw, before what the model was sent.
    ordered = sorted(spans, key=lambda s: (s.parent in here, s.start))
    question = next(filter(None, (_asked(span) for span in ordered)), "")
    answer = next(filter(None, (_answered(span) for span in ordered)), "")
    known: dict[str, Any] = {}
    for span in ordered:
        for name, value in span.attributes.items():
            known.setdefault(name, value)
    failed = next((s for s in ordered if s.status == 2 and s.parent not in here), None)
    error = str(known.get(names.ERROR_TYPE) or "error") if failed else ""
    flags = known.get(names.FLAGS)
    return Trace(
        id=key,
        started=min(span.start for span in spans),
        ended=max(span.end for span in spans),
        arrived=arrived,
        model=str(known.get(names.RESPONSE_MODEL) or known.get(names.REQUEST_MODEL) or ""),
        origin="foreign",
        error=error[:256],
        flags=tuple(str(flag)[:256] for flag in flags[:32]) if isinstance(flags, list) else (),
        prompt_tokens=_count(known.get(names.INPUT_TOKENS)),
        completion_tokens=_count(known.get(names.OUTPUT_TOKENS)),
        content=content,
        question=question if content != "none" else "",
        answer=answer if content != "none" else "",
        consent=consent,
        licence=licence,
        provenance=provenance,
    )


def _asked(span: Span) -> str:
    for holder in _holders(span):
        for name in (names.INPUT_MESSAGES, names.LANGFUSE_INPUT, names.OI_INPUT):
            if found := question_of(holder.get(name)):
                return found
        if found := _indexed(holder, names.OLD_PROMPT):
            return found
    return ""


def _answered(span: Span) -> str:
    for holder in _holders(span):
        for name in (names.OUTPUT_MESSAGES, names.LANGFUSE_OUTPUT, names.OI_OUTPUT):
            if found := answer_of(holder.get(name)):
                return found
        if found := _indexed(holder, names.OLD_COMPLETION):
            return found
    return ""


def _holders(span: Span) -> list[Mapping[str, Any]]:
    return [span.attributes, *(e.attributes for e in span.events)]


def _indexed(holder: Mapping[str, Any], prefix: str) -> str:
    """`gen_ai.prompt.1.content`: the one with the highest number."""
    found = [
        (int(match[1]), value)
        for key, value in holder.items()
        if key.startswith(prefix + ".")
        and isinstance(value, str)
        and (match := _INDEX.search(key)) is not None
        and len(match[1]) < 6
    ]
    return max(found)[1] if found else ""


def _count(value: Any) -> int:
    return value if isinstance(value, int) and 0 <= value < 2**40 else 0
