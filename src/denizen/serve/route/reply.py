"""An upstream's reply, read without trust: its text, its tool calls, its counts of tokens.

Contract: `read_reply` gives a Reply or raises UpstreamFailed; what is not as OpenAI's chat
completions are, a refusal, and a call of a tool that was not offered are failures.  No message
quotes the reply.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from denizen.serve.exchange import Finish, ToolCall, Usage

_NOTHING = Usage()
_MOST_CALLS, _LONGEST_ID = 32, 128
_FINISHES: dict[Any, Finish] = {
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
}


class UpstreamFailed(Exception):
    """The upstream gave no answer that may be passed on; `reason` is a few words of our own.

    `usage` is what was written all the same, and is charged.
    """

    def __init__(self, reason: str, usage: Usage = _NOTHING) -> None:
        super().__init__(reason)
        self.reason, self.usage = reason, usage


@contextmanager
def paid(usage: Usage) -> Iterator[None]:
    """What fails in the block fails behind a reply that was written."""
    try:
        yield
    except UpstreamFailed as error:
        error.usage = usage
        raise


@dataclass(frozen=True, slots=True)
class Reply:
    """What was read, still with placeholders."""

    text: str
    tool_calls: tuple[ToolCall, ...]
    finish: Finish
    usage: Usage
    model: str


def read_reply(data: bytes, tools: Sequence[Mapping[str, Any]]) -> Reply:
    """Read a body; `tools` are those that were offered."""
    try:
        found = json.loads(data)
        used = found.get("usage") or {}
        usage = Usage(_count(used, "prompt_tokens"), _count(used, "completion_tokens"))
    except (ValueError, AttributeError, RecursionError):
        raise UpstreamFailed("a reply that is no chat completion") from None
    with paid(usage):
        return _read(found, usage, tools)


def _read(found: Any, usage: Usage, tools: Sequence[Mapping[str, Any]]) -> Reply:
    try:
        choice = found["choices"][0]
        message = choice["message"]
        text = message.get("content")
        refused = message.get("refusal")
        calls = message.get("tool_calls") or []
        finish = choice.get("finish_reason")
        model = found.get("model")
    except (KeyError, IndexError, TypeError, AttributeError):
        raise UpstreamFailed("a reply that is no chat completion") from None
    if refused:
        raise UpstreamFailed("a refusal")
    if text is not None and not isinstance(text, str):
        raise UpstreamFailed("a reply without text")
    if finish == "content_filter":
        raise UpstreamFailed("a filtered reply")
    return Reply(
        whole(text or ""),
        _calls(calls, _offered(tools)),
        _FINISHES.get(finish, "stop") if isinstance(finish, str) else "stop",
        usage,
        whole(model[:200]) if isinstance(model, str) else "",
    )


def whole(text: str) -> str:
    """Without halves of characters, which no reply of ours could be written with."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _offered(tools: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    functions = (tool.get("function") for tool in tools)
    return frozenset(str(f.get("name")) for f in functions if isinstance(f, Mapping))


def _calls(calls: Any, offered: frozenset[str]) -> tuple[ToolCall, ...]:
    if not isinstance(calls, list) or len(calls) > _MOST_CALLS:
        raise UpstreamFailed("tool calls that cannot be read")
    made = []
    for number, call in enumerate(calls):
        try:
            name, arguments = call["function"]["name"], call["function"]["arguments"]
            known = name in offered and isinstance(json.loads(arguments), dict)
            json.dumps(json.loads(arguments), allow_nan=False)  # Python alone reads NaN
        except (ValueError, KeyError, TypeError, RecursionError):
            known = False
        if not known:
            raise UpstreamFailed("a call of a tool that was not offered")
        mark = call.get("id")
        mark = whole(mark[:_LONGEST_ID]) if isinstance(mark, str) and mark else f"call_{number}"
        made.append(ToolCall(mark, name, whole(arguments)))
    return tuple(made)


def _count(usage: Any, name: str) -> int:
    value = usage.get(name) if isinstance(usage, dict) else None
    # A count is not paid for twice: what is no count is none.
    return value if type(value) is int and 0 <= value < 10**9 else 0
