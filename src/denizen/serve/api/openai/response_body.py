"""POST /v1/responses: what is accepted, and the Request it becomes.

Contract: text in and out, function tools, text.format; nothing is stored, so `store` has no effect
and `previous_response_id` is refused.  Items of `input` become Turns in their order.
Source: OpenAI's API reference, responses.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag

from denizen.serve.api import limits
from denizen.serve.api.openai.chat_body import (
    Alternatives,
    Metadata,
    Share,
    StreamOptions,
    Temperature,
    Tokens,
)
from denizen.serve.api.openai.response_items import Item, response_turns
from denizen.serve.api.openai.tools import (
    FORMAT_ERROR,
    Function,
    FunctionName,
    JsonSchema,
    NamedFunction,
    NamedTool,
    ObjectFormat,
    TextFormat,
    checked_choice,
    checked_tools,
    format_tag,
    schema_format,
)
from denizen.serve.api.shape import Body, Ignored, Name, No, Text, shape_of
from denizen.serve.exchange import Format, Request, Sampling


class FunctionTool(Function):
    """A function tool, in the flat form of this interface."""

    type: Literal["function"]


class NamedChoice(Body):
    """The choice of one tool, in the flat form of this interface."""

    type: Literal["function"]
    name: FunctionName


class SchemaText(JsonSchema):
    """A JSON object of a schema, in the flat form of this interface."""

    type: Literal["json_schema"]


class TextConfig(Body):
    """What the answer must be."""

    format: (
        Annotated[
            Annotated[TextFormat, Tag("<text>")]
            | Annotated[ObjectFormat, Tag("<any>")]
            | Annotated[SchemaText, Tag("<schema>")],
            Discriminator(
                format_tag, custom_error_type="format", custom_error_message=FORMAT_ERROR
            ),
        ]
        | None
    ) = None
    verbosity: Ignored = None


_LOGPROBS = "message.output_text.logprobs"


class ResponseBody(Body):
    """The body of a request for a response."""

    refused: ClassVar[dict[str, str]] = {
        "background": "answers are not made in the background",
        "context_management": "conversations are not compacted",
        "conversation": "conversations are not stored; send the whole input",
        "moderation": "moderation is the server's own setting",
        "previous_response_id": "responses are not stored; send the whole conversation as input",
        "prompt": "prompts are not stored; send instructions and input",
        "truncation": "nothing is ever cut silently; only 'disabled' is supported",
    }

    model: Name
    input: Annotated[
        Annotated[Text, Tag("<text>")]
        | Annotated[
            list[Item],
            Field(min_length=1, max_length=limits.MESSAGES, fail_fast=True),
            Tag("<list>"),
        ],
        Discriminator(
            shape_of,
            custom_error_type="shape",
            custom_error_message="must be a string or a list of items",
        ),
    ]
    instructions: Text | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_output_tokens: Tokens | None = None
    temperature: Temperature | None = None
    top_p: Share | None = None
    top_logprobs: Alternatives | None = None
    include: (
        Annotated[
            list[Literal["message.output_text.logprobs", "reasoning.encrypted_content"]],
            Field(max_length=8),
        ]
        | None
    ) = None
    text: TextConfig | None = None
    tools: Annotated[list[FunctionTool], Field(max_length=limits.TOOLS, fail_fast=True)] | None = (
        None
    )
    tool_choice: (
        Annotated[
            Annotated[Literal["none", "auto", "required"], Tag("<text>")]
            | Annotated[NamedChoice, Tag("<object>")],
            Discriminator(
                shape_of,
                custom_error_type="shape",
                custom_error_message="must be 'none', 'auto', 'required' or name a function",
            ),
        ]
        | None
    ) = None
    user: Name | None = None
    metadata: Metadata | None = None
    background: No | None = None
    context_management: None = None
    conversation: None = None
    moderation: None = None
    previous_response_id: None = None
    prompt: None = None
    truncation: Literal["disabled"] | None = None
    max_tool_calls: Ignored = None
    parallel_tool_calls: bool | None = None
    prompt_cache_key: Ignored = None
    prompt_cache_options: Ignored = None
    prompt_cache_retention: Ignored = None
    reasoning: Ignored = None
    safety_identifier: Ignored = None
    service_tier: Ignored = None
    store: Ignored = None


def response_request(body: ResponseBody) -> Request:
    """The request of a body; raises Fault 400 where its fields do not go together."""
    tools = checked_tools(
        [Function(**t.model_dump(exclude={"type"})) for t in body.tools or ()], "tools"
    )
    choice = body.tool_choice
    if isinstance(choice, NamedChoice):
        named: str | NamedTool | None = NamedTool(
            type="function", function=NamedFunction(name=choice.name)
        )
    else:
        named = choice
    wants = _LOGPROBS in (body.include or ()) or body.top_logprobs is not None
    return Request(
        model=body.model,
        turns=response_turns(body.instructions, body.input),
        sampling=Sampling(
            max_tokens=body.max_output_tokens, temperature=body.temperature, top_p=body.top_p
        ),
        logprobs=(body.top_logprobs or 0) if wants else None,
        tools=tools,
        tool_choice=checked_choice(named, [t["function"]["name"] for t in tools]),
        format=_format(body.text),
        user=body.user or "",
        metadata=body.metadata or {},
    )


def echo(body: ResponseBody) -> dict[str, Any]:
    """What a response object repeats of the request."""
    asked = body.text.format if body.text else None
    if asked is None:
        form: dict[str, Any] = {"type": "text"}
    else:
        form = asked.model_dump(by_alias=True, exclude_none=True)
        if isinstance(asked, SchemaText):
            form.setdefault("schema", {})
    tools = [
        {"strict": None, "parameters": None, **t.model_dump(exclude_none=True)}
        for t in body.tools or ()
    ]
    choice = body.tool_choice
    return {
        "instructions": body.instructions,
        "max_output_tokens": body.max_output_tokens,
        "metadata": body.metadata or {},
        "parallel_tool_calls": body.parallel_tool_calls is not False,
        "previous_response_id": None,
        "store": False,
        "temperature": body.temperature,
        "text": {"format": form},
        "tool_choice": choice.model_dump() if isinstance(choice, NamedChoice) else choice or "auto",
        "tools": tools,
        "top_p": body.top_p,
        "truncation": "disabled",
    }


def _format(text: TextConfig | None) -> Format:
    asked = text.format if text else None
    if isinstance(asked, SchemaText):
        return schema_format(asked.name, asked.schema_, asked.strict, "text.format.schema")
    return Format() if asked is None else Format(asked.type)
