"""POST /v1/chat/completions: what is accepted, and the Request it becomes.

Contract: fields of OpenAI's interface that have no effect here are accepted and named as such;
those we could not honour (audio, logit_bias, web search, ...) are refused with 400 and a reason.
Source: OpenAI's API reference, chat completions.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from denizen.serve.api import limits
from denizen.serve.api.openai.messages import Message, turn
from denizen.serve.api.openai.tools import (
    ResponseFormat,
    ToolChoice,
    Tools,
    answer_format,
    checked_choice,
    checked_tools,
)
from denizen.serve.api.shape import Body, Ignored, Name, Stops, folded_seed, stops
from denizen.serve.exchange import Fault, Request, Sampling

Tokens = Annotated[int, Field(ge=1, le=limits.TOKENS)]
Penalty = Annotated[float, Field(ge=-2, le=2)]
Temperature = Annotated[float, Field(ge=0, le=2)]
Share = Annotated[float, Field(ge=0, le=1)]
Choices = Annotated[int, Field(ge=1, le=limits.CHOICES)]
Seed = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
Alternatives = Annotated[int, Field(ge=0, le=limits.ALTERNATIVES)]
Metadata = Annotated[
    dict[
        Annotated[str, StringConstraints(min_length=1, max_length=64)],
        Annotated[str, StringConstraints(max_length=512)],
    ],
    Field(max_length=limits.METADATA),
]
NO_BIAS = "the probabilities of single tokens cannot be changed here"


class StreamOptions(Body):
    """What a stream holds besides the text."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class ChatBody(Body):
    """The body of a chat completion."""

    refused: ClassVar[dict[str, str]] = {
        "audio": "audio is not supported",
        "functions": "this old form is not supported; use 'tools'",
        "function_call": "this old form is not supported; use 'tool_choice'",
        "logit_bias": NO_BIAS,
        "modalities": "only text is supported",
        "moderation": "moderation is the server's own setting",
        "prediction": "predicted outputs are not supported",
        "web_search_options": "this server does not search the web",
    }

    model: Name
    messages: Annotated[
        list[Message], Field(min_length=1, max_length=limits.MESSAGES, fail_fast=True)
    ]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Tokens | None = None
    max_completion_tokens: Tokens | None = None
    temperature: Temperature | None = None
    top_p: Share | None = None
    n: Choices | None = None
    stop: Stops | None = None
    seed: Seed | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    logprobs: bool | None = None
    top_logprobs: Alternatives | None = None
    tools: Tools | None = None
    tool_choice: ToolChoice | None = None
    response_format: ResponseFormat | None = None
    user: Name | None = None
    metadata: Metadata | None = None
    modalities: Annotated[list[Literal["text"]], Field(max_length=2)] | None = None
    audio: None = None
    functions: None = None
    function_call: None = None
    logit_bias: Annotated[dict[str, float], Field(max_length=0)] | None = None
    moderation: None = None
    prediction: None = None
    web_search_options: None = None
    parallel_tool_calls: Ignored = None
    prompt_cache_key: Ignored = None
    prompt_cache_options: Ignored = None
    prompt_cache_retention: Ignored = None
    reasoning_effort: Ignored = None
    safety_identifier: Ignored = None
    service_tier: Ignored = None
    store: Ignored = None
    verbosity: Ignored = None


def chat_request(body: ChatBody) -> Request:
    """The request of a body; raises Fault 400 where its fields do not go together."""
    if body.top_logprobs is not None and not body.logprobs:
        raise Fault(
            400,
            "'top_logprobs' needs 'logprobs' to be true.",
            code="invalid_value",
            param="top_logprobs",
        )
    check_stream_options(body.stream, body.stream_options)
    tools = checked_tools([tool.function for tool in body.tools or ()], "tools")
    return Request(
        model=body.model,
        turns=tuple(turn(message) for message in body.messages),
        sampling=Sampling(
            max_tokens=_max_tokens(body),
            temperature=body.temperature,
            top_p=body.top_p,
            seed=folded_seed(body.seed),
            stop=stops(body.stop),
            presence_penalty=body.presence_penalty or 0.0,
            frequency_penalty=body.frequency_penalty or 0.0,
        ),
        n=body.n or 1,
        logprobs=(body.top_logprobs or 0) if body.logprobs else None,
        tools=tools,
        tool_choice=checked_choice(body.tool_choice, [t["function"]["name"] for t in tools]),
        format=answer_format(body.response_format),
        user=body.user or "",
        metadata=body.metadata or {},
    )


def check_stream_options(stream: bool | None, options: StreamOptions | None) -> None:
    """Raise Fault 400 for options of a stream that was not asked for."""
    if options is not None and not stream:
        raise Fault(
            400,
            "'stream_options' needs 'stream' to be true.",
            code="invalid_value",
            param="stream_options",
        )


def _max_tokens(body: ChatBody) -> int | None:
    old, new = body.max_tokens, body.max_completion_tokens
    if old is not None and new is not None and old != new:
        raise Fault(
            400,
            "'max_tokens' and 'max_completion_tokens' differ; send one of them.",
            code="invalid_value",
            param="max_tokens",
        )
    return new if new is not None else old
