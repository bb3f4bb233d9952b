"""Ollama's requests: chat, generate, embed and show; what is accepted, and what it becomes.

Contract: streams unless `stream` is false; `format` is "json" or a schema; an empty chat or prompt
only asks whether the model is there.  Images, thinking and templates are refused with a reason.
Nothing is ever cut or shifted out, so `truncate` and `shift` have no effect: too long is a 400.
Source: Ollama's API reference.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Discriminator, Field, StringConstraints, Tag

from denizen.serve.api import limits
from denizen.serve.api.ollama.messages import OllamaMessage, turns
from denizen.serve.api.ollama.options import Options, sampling
from denizen.serve.api.openai.chat_body import Alternatives
from denizen.serve.api.openai.tools import Function, checked_tools
from denizen.serve.api.schemas import check_schema
from denizen.serve.api.shape import Body, Ignored, Name, No, Text, shape_of
from denizen.serve.exchange import Fault, Format, Request, Turn

_Format = Annotated[
    Annotated[Literal["", "json"], Tag("<text>")] | Annotated[dict[str, Any], Tag("<object>")],
    Discriminator(
        shape_of,
        custom_error_type="shape",
        custom_error_message="must be 'json' or a JSON Schema",
    ),
]
_MaybeName = Annotated[str, StringConstraints(max_length=limits.NAME)]
_AS_IT_IS = "a model is shown as it is"
_NO_THINKING = "the model has no thinking of its own"
# What Ollama 0.9 and later send; only "do not think" can be honoured.
_Think = No


class OllamaTool(Body):
    """A tool."""

    type: Literal["function"] = "function"
    function: Function


class OllamaChatBody(Body):
    """The body of /api/chat."""

    refused: ClassVar[dict[str, str]] = {"think": _NO_THINKING}

    model: Name
    messages: (
        Annotated[list[OllamaMessage], Field(max_length=limits.MESSAGES, fail_fast=True)] | None
    ) = None
    stream: bool | None = None
    format: _Format | None = None
    options: Options | None = None
    tools: Annotated[list[OllamaTool], Field(max_length=limits.TOOLS, fail_fast=True)] | None = None
    think: _Think | None = None
    logprobs: bool | None = None
    top_logprobs: Alternatives | None = None
    truncate: bool | None = None
    shift: bool | None = None
    keep_alive: Ignored = None


class OllamaGenerateBody(Body):
    """The body of /api/generate."""

    refused: ClassVar[dict[str, str]] = {
        "think": _NO_THINKING,
        "suffix": "filling in before a suffix is not supported",
        "images": "images are not supported",
        "template": "the model's own template is used",
        "context": "the old form of a conversation is not supported; use /api/chat",
    }

    model: Name
    prompt: Text | None = None
    system: Text | None = None
    stream: bool | None = None
    raw: bool | None = None
    format: _Format | None = None
    options: Options | None = None
    think: _Think | None = None
    logprobs: bool | None = None
    top_logprobs: Alternatives | None = None
    truncate: bool | None = None
    shift: bool | None = None
    suffix: Literal[""] | None = None
    template: Literal[""] | None = None
    images: Annotated[list[str], Field(max_length=0)] | None = None
    context: Annotated[list[int], Field(max_length=0)] | None = None
    keep_alive: Ignored = None


class OllamaShowBody(Body):
    """The body of /api/show; `name` is its older field, and one of them is needed.

    Ollama's own command line sends every field, empty where it has nothing to say.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"required": [key], "properties": {key: {"type": "string"}}}
                for key in ("model", "name")
            ]
        }
    )

    refused: ClassVar[dict[str, str]] = {"system": _AS_IT_IS, "template": _AS_IT_IS}

    model: _MaybeName | None = None
    name: _MaybeName | None = None
    system: Literal[""] | None = None
    template: Literal[""] | None = None
    options: Options | None = None
    verbose: Ignored = None


def chat_request(body: OllamaChatBody, context: int | None) -> Request:
    """The request of a chat; `context` is that of the model, in tokens."""
    tools = checked_tools([tool.function for tool in body.tools or ()], "tools")
    return Request(
        model=body.model,
        turns=turns(body.messages or ()),
        sampling=sampling(body.options, context),
        logprobs=_logprobs(body),
        tools=tools,
        format=_format(body.format),
    )


def generate_request(body: OllamaGenerateBody, context: int | None) -> Request:
    """The request of a generation: one turn, or the bare text if it is raw."""
    made = Request(
        model=body.model,
        sampling=sampling(body.options, context),
        logprobs=_logprobs(body),
        format=_format(body.format),
    )
    if body.raw:
        if body.system:
            raise Fault(
                400,
                "'system' has no place in a raw prompt.",
                code="invalid_value",
                param="system",
            )
        return replace(made, text=body.prompt or "")
    system = (Turn("system", body.system),) if body.system else ()
    return replace(made, turns=(*system, Turn("user", body.prompt or "")))


def _logprobs(body: OllamaChatBody | OllamaGenerateBody) -> int | None:
    if body.top_logprobs is not None and not body.logprobs:
        raise Fault(
            400,
            "'top_logprobs' needs 'logprobs' to be true.",
            code="invalid_value",
            param="top_logprobs",
        )
    return (body.top_logprobs or 0) if body.logprobs else None


def _format(asked: str | dict[str, Any] | None) -> Format:
    if asked is None or asked == "":
        return Format()
    if isinstance(asked, str):
        return Format("json_object")
    check_schema(asked, "format")
    return Format("json_schema", asked, strict=True)
