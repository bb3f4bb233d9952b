"""What an answer of the server may look like: every status and every envelope, checked.

Contract: each function returns "" or what is wrong, in words.  Nothing here talks to a server.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

# Refusals for want of room may meet any request; they must say when to come back.
BUSY = (429, 503)
_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
}


def openai_error(status: int, headers: Mapping[str, str], body: bytes) -> str:
    """An error under /v1: OpenAI's envelope, a request id, Retry-After where it is busy."""
    told = parsed(body)
    error = told.get("error")
    if not isinstance(error, dict) or set(error) != {"message", "type", "param", "code"}:
        return f"no error envelope: {body[:120]!r}"
    if not isinstance(error["message"], str) or not error["message"]:
        return "an error without a message"
    if (kind := _KINDS.get(status)) and error["type"] != kind:
        return f"status {status} with type {error['type']!r}"
    return _common(status, headers)


def ollama_error(status: int, headers: Mapping[str, str], body: bytes) -> str:
    """An error under /api: one text."""
    told = parsed(body)
    if not isinstance(told.get("error"), str) or not told["error"]:
        return f"no error text: {body[:120]!r}"
    return _common(status, headers)


def _common(status: int, headers: Mapping[str, str]) -> str:
    if not headers.get("x-request-id"):
        return "no X-Request-Id"
    if status in BUSY and not headers.get("retry-after", "").isdigit():
        return f"status {status} without Retry-After"
    return ""


def completion(told: Mapping[str, Any]) -> str:
    """A whole chat completion."""
    choices, usage = told.get("choices"), told.get("usage")
    if told.get("object") != "chat.completion" or not isinstance(choices, list) or not choices:
        return "no chat completion"
    message = choices[0].get("message", {})
    if message.get("role") != "assistant":
        return "no assistant's message"
    if not isinstance(message.get("content"), str) and not message.get("tool_calls"):
        return "neither content nor tool calls"
    if choices[0].get("finish_reason") not in ("stop", "length", "tool_calls", "content_filter"):
        return f"finish_reason {choices[0].get('finish_reason')!r}"
    if not isinstance(usage, dict) or usage["total_tokens"] != (
        usage["prompt_tokens"] + usage["completion_tokens"]
    ):
        return "the counts of tokens do not add up"
    return marked(told)


def marked(told: Mapping[str, Any]) -> str:
    """Whatever is generated says so, and names its trace."""
    meta = told.get("denizen")
    if not isinstance(meta, dict) or meta.get("generated") is not True:
        return "not marked as generated"
    return "" if meta.get("trace_id") else "no trace"


def stream(lines: Sequence[str]) -> str:
    """Server-sent events of a chat completion, whole: chunks, the metadata, [DONE]."""
    events = [line[6:] for line in lines if line.startswith("data: ")]
    if not events or events[-1] != "[DONE]":
        return "the stream does not end with [DONE]"
    chunks = [parsed(event.encode()) for event in events[:-1]]
    if any(chunk.get("object") != "chat.completion.chunk" for chunk in chunks):
        return "an event that is no chunk"
    if chunks[0]["choices"][0]["delta"].get("role") != "assistant":
        return "the first chunk names no role"
    reasons = [c["choices"][0].get("finish_reason") for c in chunks if c["choices"]]
    if sum(reason is not None for reason in reasons) != 1:
        return "not one finish_reason"
    if not isinstance(chunks[-1].get("usage"), dict):
        return "no usage at the end"
    return marked(chunks[-1])


def ndjson(lines: Sequence[str]) -> str:
    """Ollama's stream: objects a line, `done` in the last alone."""
    told = [parsed(line.encode()) for line in lines if line]
    if not told or [one.get("done") for one in told] != [False] * (len(told) - 1) + [True]:
        return "the stream does not end with done"
    if not told[-1].get("eval_count", 0) >= 0 or "total_duration" not in told[-1]:
        return "no counts at the end"
    return marked(told[-1])


def vectors(told: Mapping[str, Any], count: int) -> str:
    """Embeddings: as many as were asked for, all of one length, finite."""
    rows = [row.get("embedding") for row in told.get("data", ())]
    if len(rows) != count or not all(isinstance(row, list) and row for row in rows):
        return "not as many vectors as texts"
    if len({len(row) for row in rows}) != 1 or not all(abs(v) <= 1.001 for r in rows for v in r):
        return "vectors of unlike length"
    return ""


def parsed(body: bytes) -> dict[str, Any]:
    """The object of a body; {} if it is none."""
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
