"""Messages of a conversation as OpenAI writes them, and the Turns they become.

Contract: content is a text or a list of text parts, which are joined; images, audio and files are
refused by name.  A tool's message names the call it answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from denizen.serve.api import limits
from denizen.serve.api.shape import SOME_PARTS, TEXT_OR_PARTS, Body, Ignored, Name, Text
from denizen.serve.exchange import ToolCall, Turn


def _only_text(value: Any) -> Any:
    if isinstance(value, str) and value not in ("text", "refusal"):
        raise PydanticCustomError(
            "part", "only parts of text are accepted, not images, audio or files"
        )
    return value


class Part(Body):
    """A part of a content: what its type promises must be there, for nothing is lost silently."""

    text: Text | None = None
    refusal: Text | None = None

    @model_validator(mode="after")
    def _kept(self) -> Self:
        refused = getattr(self, "type", "") == "refusal"
        if (self.text is None) != refused or (self.refusal is None) == refused:
            name = "refusal" if refused else "text"
            raise PydanticCustomError("part", "needs its '{name}', and that alone", {"name": name})
        return self


class TextPart(Part):
    """A part of a message's content."""

    type: Annotated[Literal["text", "refusal"], BeforeValidator(_only_text)]


Content = Annotated[
    Annotated[Text, Tag("<text>")] | Annotated[list[TextPart], SOME_PARTS, Tag("<list>")],
    TEXT_OR_PARTS,
]


class CalledFunction(Body):
    """The function of a tool call; `arguments` is JSON text."""

    name: Name
    arguments: Text


class Call(Body):
    """A tool call an assistant made earlier."""

    id: Name
    type: Literal["function"] = "function"
    function: CalledFunction


class SystemMessage(Body):
    """What the assistant was told before."""

    role: Literal["system", "developer"]
    content: Content
    name: Name | None = None


class UserMessage(Body):
    """What the user said."""

    role: Literal["user"]
    content: Content
    name: Name | None = None


class AssistantMessage(Body):
    """What the assistant said or called; as clients echo it, with its empty fields."""

    role: Literal["assistant"]
    content: Content | None = None
    tool_calls: Annotated[list[Call], Field(max_length=limits.CALLS, fail_fast=True)] | None = None
    name: Name | None = None
    refusal: Text | None = None
    audio: None = None
    function_call: None = None
    annotations: Ignored = None


class ToolMessage(Body):
    """What a tool answered."""

    role: Literal["tool"]
    content: Content
    tool_call_id: Name
    name: Name | None = None


_TAGS = {
    "system": "<system>",
    "developer": "<system>",
    "user": "<user>",
    "assistant": "<assistant>",
    "tool": "<tool>",
}


def _role(value: Any) -> str | None:
    role = value.get("role") if isinstance(value, dict) else getattr(value, "role", None)
    return _TAGS.get(role) if isinstance(role, str) else None


Message = Annotated[
    Annotated[SystemMessage, Tag("<system>")]
    | Annotated[UserMessage, Tag("<user>")]
    | Annotated[AssistantMessage, Tag("<assistant>")]
    | Annotated[ToolMessage, Tag("<tool>")],
    Discriminator(
        _role,
        custom_error_type="role",
        custom_error_message=(
            "must be an object whose 'role' is system, developer, user, assistant or tool"
        ),
    ),
]


def turn(message: SystemMessage | UserMessage | AssistantMessage | ToolMessage) -> Turn:
    """A message as the server knows it."""
    said = plain(message.content)
    if isinstance(message, AssistantMessage):
        calls = tuple(
            ToolCall(c.id, c.function.name, c.function.arguments) for c in message.tool_calls or ()
        )
        return Turn("assistant", said or message.refusal or "", calls, name=message.name or "")
    if isinstance(message, ToolMessage):
        return Turn("tool", said, tool_call_id=message.tool_call_id, name=message.name or "")
    return Turn(message.role, said, name=message.name or "")


def plain(content: str | Sequence[Part] | None) -> str:
    """Content as one text."""
    if content is None or isinstance(content, str):
        return content or ""
    return "".join(part.text or part.refusal or "" for part in content)
