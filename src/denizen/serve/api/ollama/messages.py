"""Messages of a conversation as Ollama writes them, and the Turns they become.

Contract: arguments of tool calls are objects here and JSON text in a Turn; calls have no ids of
their own, so a tool's answer belongs to the first open call of its name (or the first open one).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from denizen.serve.api import limits
from denizen.serve.api.shape import Body, Ignored, Name, Text
from denizen.serve.exchange import ToolCall, Turn


class OllamaFunction(Body):
    """The function of a tool call."""

    name: Name
    arguments: dict[str, Any] = Field(default_factory=dict)
    description: Ignored = None
    index: Ignored = None


class OllamaCall(Body):
    """A tool call an assistant made earlier."""

    id: Name | None = None
    type: Literal["function"] | None = None
    function: OllamaFunction


class OllamaMessage(Body):
    """One message."""

    role: Literal["system", "user", "assistant", "tool"]
    content: Text | None = None
    images: Annotated[list[str], Field(max_length=0)] | None = None
    tool_calls: (
        Annotated[list[OllamaCall], Field(max_length=limits.CALLS, fail_fast=True)] | None
    ) = None
    tool_name: Name | None = None
    tool_call_id: Name | None = None
    name: Name | None = None
    thinking: Ignored = None


def turns(messages: Sequence[OllamaMessage]) -> tuple[Turn, ...]:
    """The conversation."""
    made: list[Turn] = []
    waiting: list[ToolCall] = []
    for place, message in enumerate(messages):
        said = message.content or ""
        if message.role == "tool":
            named = message.tool_name or message.name or ""
            made.append(
                Turn("tool", said, tool_call_id=_answered(message, named, waiting), name=named)
            )
            continue
        calls = tuple(
            ToolCall(c.id or f"call_{place}_{i}", c.function.name, json.dumps(c.function.arguments))
            for i, c in enumerate(message.tool_calls or ())
        )
        waiting.extend(calls)
        made.append(Turn(message.role, said, calls))
    return tuple(made)


def _answered(message: OllamaMessage, named: str, waiting: list[ToolCall]) -> str:
    given = message.tool_call_id
    fits = [call for call in waiting if (call.id == given if given else call.name == named)]
    if not fits and not given:
        fits = waiting[:1]
    if fits:
        waiting.remove(fits[0])
    return given or (fits[0].id if fits else named)
