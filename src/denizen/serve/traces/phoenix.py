"""Phoenix: OTLP with OpenInference's attributes, feedback as annotations of the trace.

Contract: POST {base}/v1/traces (protobuf, gzip); the project is an attribute of the resource. POST
{base}/v1/trace_annotations, whose identifier is the feedback's id: sent twice it is one. A trace
that Phoenix has not stored yet answers 404, which the exporter takes for "later".
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from denizen.serve.traces import names, otlp
from denizen.serve.traces.export import Call
from denizen.serve.traces.meaning import answer_of, question_of
from denizen.serve.traces.spans import SERVER, Feedback, Span
from denizen.serve.traces.targets import as_json, label

_KINDS = {
    names.CHAT: "LLM",
    names.COMPLETION: "LLM",
    names.EMBEDDINGS: "EMBEDDING",
    names.RETRIEVAL: "RETRIEVER",
    names.EXECUTE_TOOL: "TOOL",
}
_SAID = ("content", "response", "result")  # of a part; the last is what once it was called
_MESSAGES = 32  # of a conversation, the last ones: each becomes two attributes


@dataclass(frozen=True)
class Phoenix:
    """A Phoenix at `base`."""

    base: str
    key: str = field(default="", repr=False)
    project: str = "default"
    name: str = "phoenix"
    scores_at_once: int = 50

    @property
    def url(self) -> str:
        """Where OTLP goes."""
        return f"{self.base}/v1/traces"

    @property
    def headers(self) -> Mapping[str, str]:
        """With the key, if there is one."""
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

    def shape(self, span: Span) -> Span:
        """With OpenInference's attributes."""
        known = span.attributes
        source = span.source or otlp.OWN
        source = replace(source, attributes={**source.attributes, names.OI_PROJECT: self.project})
        if names.OI_KIND in known:  # it speaks OpenInference already
            return replace(span, source=source)
        root = span.kind == SERVER and not span.source
        outer = root and not known.get(names.LEAF, True)
        kind = _kind(span, outer)
        found: dict[str, Any] = {names.OI_KIND: kind, **_input_output(known)}
        if kind in ("LLM", "EMBEDDING"):
            found[names.OI_MODEL] = known.get(names.RESPONSE_MODEL) or known.get(
                names.REQUEST_MODEL
            )
            found[names.OI_PROVIDER] = known.get(names.PROVIDER)
        if kind == "LLM":
            found |= _llm(known)
        if kind == "RETRIEVER":
            found |= _documents(known.get(names.RETRIEVAL_DOCUMENTS))
        if kind == "TOOL":
            found[names.OI_TOOL_NAME] = known.get(names.TOOL_NAME)
            found[names.OI_TOOL_PARAMETERS] = _text(known.get(names.TOOL_ARGUMENTS))
        if root:
            found[names.OI_TAGS] = known.get(names.FLAGS)
            ours = {
                key: known[key] for key in (names.ORIGIN, names.EXACT, names.SKILL) if key in known
            }
            found[names.OI_METADATA] = json.dumps(ours)
        added = {key: value for key, value in found.items() if value is not None}
        return replace(span, attributes={**known, **added}, source=source)

    def score(self, feedback: Sequence[Feedback]) -> Call:
        """A body of annotations."""
        body = {
            "data": [
                {
                    "name": names.FEEDBACK_NAME,
                    "annotator_kind": "HUMAN",
                    "trace_id": one.trace_id,
                    "identifier": one.id,
                    "result": {
                        "score": one.score,
                        "label": label(one),
                        "explanation": one.comment or None,
                    },
                }
                for one in feedback
            ]
        }
        headers = {"Content-Type": "application/json", **self.headers}
        return Call(f"{self.base}/v1/trace_annotations?sync=true", as_json(body), headers)


def _kind(span: Span, outer: bool) -> str:
    if outer:
        return "AGENT"
    if span.attributes.get(names.STAGE) == "guard":
        return "GUARDRAIL"
    return _KINDS.get(str(span.attributes.get(names.OPERATION, "")), "CHAIN")


def _input_output(known: Mapping[str, Any]) -> dict[str, Any]:
    asked = question_of(known.get(names.INPUT_MESSAGES)) or known.get(names.RETRIEVAL_QUERY)
    asked = asked or _text(known.get(names.TOOL_ARGUMENTS))
    said = answer_of(known.get(names.OUTPUT_MESSAGES)) or _text(known.get(names.TOOL_RESULT))
    return {
        names.OI_INPUT: asked or None,
        names.OI_INPUT_TYPE: "text/plain" if asked else None,
        names.OI_OUTPUT: said or None,
        names.OI_OUTPUT_TYPE: "text/plain" if said else None,
    }


def _llm(known: Mapping[str, Any]) -> dict[str, Any]:
    asked, said = known.get(names.INPUT_TOKENS), known.get(names.OUTPUT_TOKENS)
    parameters = {
        key.rpartition(".")[2]: known[key]
        for key in (names.REQUEST_TEMPERATURE, names.REQUEST_MAX_TOKENS, names.REQUEST_TOP_P)
        if key in known
    }
    total = asked + said if isinstance(asked, int) and isinstance(said, int) else None
    return {
        names.OI_PROMPT_TOKENS: asked,
        names.OI_COMPLETION_TOKENS: said,
        names.OI_TOTAL_TOKENS: total,
        names.OI_PARAMETERS: json.dumps(parameters) if parameters else None,
        **_messages(names.OI_INPUT_MESSAGES, known.get(names.INPUT_MESSAGES)),
        **_messages(names.OI_OUTPUT_MESSAGES, known.get(names.OUTPUT_MESSAGES)),
    }


def _messages(prefix: str, text: Any) -> dict[str, Any]:
    """The conventions' messages as numbered attributes."""
    try:
        messages = json.loads(text) if isinstance(text, str) else text
    except (ValueError, RecursionError):
        return {}
    found = {}
    messages = messages if isinstance(messages, list) else []
    for place, message in enumerate(messages[-_MESSAGES:]):
        if isinstance(message, dict):
            parts = message.get("parts")
            said = [
                str(next((part[key] for key in _SAID if key in part), ""))
                for part in (parts if isinstance(parts, list) else [])
                if isinstance(part, dict)
            ]
            found[f"{prefix}.{place}.{names.OI_ROLE}"] = str(message.get("role", ""))
            found[f"{prefix}.{place}.{names.OI_CONTENT}"] = "".join(said)
    return found


def _documents(value: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for place, one in enumerate(value if isinstance(value, list) else []):
        prefix = f"{names.OI_DOCUMENTS}.{place}."
        if isinstance(one, dict):
            found[prefix + names.OI_DOCUMENT_ID] = str(one.get("id", ""))
            found[prefix + names.OI_DOCUMENT_SCORE] = one.get("score")
        else:
            found[prefix + names.OI_DOCUMENT_ID] = str(one)
    return found


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)
