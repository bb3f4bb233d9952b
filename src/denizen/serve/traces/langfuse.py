"""Langfuse: OTLP with its own attributes beside the conventions', feedback as scores.

Contract: POST {base}/api/public/otel/v1/traces (protobuf, gzip) with Basic keys and the ingestion
version that makes traces appear at once; POST {base}/api/public/scores with a JSON array, ids ours,
so that a score sent twice is one (Langfuse 5, public API). `key` is public:secret.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from denizen.serve.traces import names
from denizen.serve.traces.export import Call
from denizen.serve.traces.spans import ERROR, SERVER, Feedback, Span
from denizen.serve.traces.targets import as_json

_TYPES = {
    names.CHAT: "generation",
    names.COMPLETION: "generation",
    names.EMBEDDINGS: "embedding",
    names.RETRIEVAL: "retriever",
    names.EXECUTE_TOOL: "tool",
}
_PARAMETERS = {
    "max_tokens": names.REQUEST_MAX_TOKENS,
    "temperature": names.REQUEST_TEMPERATURE,
    "top_p": names.REQUEST_TOP_P,
    "seed": names.REQUEST_SEED,
}


@dataclass(frozen=True)
class Langfuse:
    """A Langfuse at `base`."""

    base: str
    key: str = field(repr=False)
    name: str = "langfuse"
    scores_at_once: int = 50

    @property
    def url(self) -> str:
        """Where OTLP goes."""
        return f"{self.base}/api/public/otel/v1/traces"

    @property
    def headers(self) -> Mapping[str, str]:
        """Basic keys, and the version of the protocol."""
        token = base64.b64encode(self.key.encode()).decode()
        return {"Authorization": f"Basic {token}", "x-langfuse-ingestion-version": "4"}

    def shape(self, span: Span) -> Span:
        """With type, input, output, model and usage as Langfuse reads them."""
        known = span.attributes
        root = span.kind == SERVER and not span.source
        found: dict[str, Any] = {names.LANGFUSE_TYPE: _type(span, root)}
        asked = known.get(names.INPUT_MESSAGES) or known.get(names.RETRIEVAL_QUERY)
        asked = asked or known.get(names.TOOL_ARGUMENTS)
        said = known.get(names.OUTPUT_MESSAGES) or known.get(names.RETRIEVAL_DOCUMENTS)
        said = said or known.get(names.TOOL_RESULT)
        found[names.LANGFUSE_INPUT] = _text(asked)
        found[names.LANGFUSE_OUTPUT] = _text(said)
        if span.status == ERROR:
            found[names.LANGFUSE_LEVEL] = "ERROR"
            found[names.LANGFUSE_STATUS] = span.message or str(known.get(names.ERROR_TYPE, ""))
        if root:
            found[names.LANGFUSE_TRACE_NAME] = span.name
            found[names.LANGFUSE_TRACE_INPUT] = _text(asked)
            found[names.LANGFUSE_TRACE_OUTPUT] = _text(said)
            found[names.LANGFUSE_TRACE_TAGS] = known.get(names.FLAGS)
        if found[names.LANGFUSE_TYPE] == "generation":
            found[names.LANGFUSE_MODEL] = known.get(names.RESPONSE_MODEL) or known.get(
                names.REQUEST_MODEL
            )
            parameters = {k: known[name] for k, name in _PARAMETERS.items() if name in known}
            found[names.LANGFUSE_PARAMETERS] = json.dumps(parameters) if parameters else None
            found[names.LANGFUSE_USAGE] = _usage(known)
        added = {key: value for key, value in found.items() if value is not None}
        # Tokens that stand on a stage too would be counted twice.
        counted = (names.INPUT_TOKENS, names.OUTPUT_TOKENS)
        twice = root and not known.get(names.LEAF, True)
        kept = {k: v for k, v in known.items() if not (twice and k in counted)}
        return replace(span, attributes={**kept, **added})

    def score(self, feedback: Sequence[Feedback]) -> Call:
        """An array."""
        body = [
            {
                "id": one.id,
                "traceId": one.trace_id,
                "name": names.FEEDBACK_NAME,
                "value": one.score,
                "dataType": "NUMERIC",
                **({"comment": one.comment} if one.comment else {}),
            }
            for one in feedback
        ]
        headers = {"Content-Type": "application/json", **self.headers}
        return Call(f"{self.base}/api/public/scores", as_json(body), headers)


def _type(span: Span, root: bool) -> str:
    if root and not span.attributes.get(names.LEAF, True):
        return "agent"
    if span.attributes.get(names.STAGE) == "guard":
        return "guardrail"
    return _TYPES.get(str(span.attributes.get(names.OPERATION, "")), "span")


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def _usage(known: Mapping[str, Any]) -> str | None:
    asked, said = known.get(names.INPUT_TOKENS), known.get(names.OUTPUT_TOKENS)
    if not isinstance(asked, int) or not isinstance(said, int):
        return None
    return json.dumps({"input": asked, "output": said, "total": asked + said})
