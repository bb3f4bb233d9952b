"""Items of a response's input, and the Turns they become.

Contract: messages of text, function calls and their outputs, as clients write them and as they
echo earlier outputs; other items (images, files, reasoning, references) are refused by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Tag
from pydantic_core import PydanticCustomError

from denizen.serve.api.openai.messages import Part, plain
from denizen.serve.api.shape import SOME_PARTS, TEXT_OR_PARTS, Body, Ignored, Name, Text
from denizen.serve.exchange import ToolCall, Turn

_TEXTS = ("input_text", "output_text", "refusal")


def _only_text(value: Any) -> Any:
    if isinstance(value, str) and value not in _TEXTS:
        raise PydanticCustomError("part", "only parts of text are accepted, not images or files")
    return value


class ItemPart(Part):
    """A part of an item's content, written by a client or echoed from an output."""

    type: Annotated[Literal["input_text", "output_text", "refusal"], BeforeValidator(_only_text)]
    annotations: Ignored = None
    logprobs: Ignored = None


ItemContent = Annotated[
    Annotated[Text, Tag("<text>")] | Annotated[list[ItemPart], SOME_PARTS, Tag("<list>")],
    TEXT_OR_PARTS,
]


class MessageItem(Body):
    """A message."""

    type: Literal["message"] = "message"
    role: Literal["user", "assistant", "system", "developer"]
    content: ItemContent
    id: Name | None = None
    status: Ignored = None
    phase: Ignored = None


class CallItem(Body):
    """A function call the model made earlier."""

    type: Literal["function_call"]
    call_id: Name
    name: Name
    arguments: Text
    id: Name | None = None
    status: Ignored = None


class OutputItem(Body):
    """What a function answered."""

    type: Literal["function_call_output"]
    call_id: Name
    output: ItemContent
    id: Name | None = None
    name: Name | None = None
    status: Ignored = None


_TAGS = {
    "message": "<message>",
    "function_call": "<call>",
    "function_call_output": "<output>",
}


def _item(value: Any) -> str | None:
    if not isinstance(value, dict):
        return _TAGS.get(getattr(value, "type", ""))
    kind = value.get("type", "message")
    return _TAGS.get(kind) if isinstance(kind, str) else None


Item = Annotated[
    Annotated[MessageItem, Tag("<message>")]
    | Annotated[CallItem, Tag("<call>")]
    | Annotated[OutputItem, Tag("<output>")],
    Discriminator(
        _item,
        custom_error_type="item",
        custom_error_message="must be a message, a function_call or a function_call_output",
    ),
]


def response_turns(
    instructions: str | None, given: str | Sequence[MessageItem | CallItem | OutputItem]
) -> tuple[Turn, ...]:
    """The conversation; calls that follow each other are one turn of the assistant."""
    turns = [Turn("system", instructions)] if instructions else []
    if isinstance(given, str):
        return (*turns, Turn("user", given))
    for item in given:
        if isinstance(item, MessageItem):
            turns.append(Turn(item.role, plain(item.content)))
        elif isinstance(item, OutputItem):
            turns.append(Turn("tool", plain(item.output), tool_call_id=item.call_id))
        else:
            call = ToolCall(item.call_id, item.name, item.arguments)
            if turns and turns[-1].role == "assistant":
                turns[-1] = replace(turns[-1], tool_calls=(*turns[-1].tool_calls, call))
            else:
                turns.append(Turn("assistant", "", (call,)))
    return tuple(turns)
