"""POST /v1/completions: text that is gone on from, in OpenAI's older interface.

Contract: one prompt, a text; token arrays, `echo`, `suffix` and `best_of` beyond n are refused.
The answer is a Rendering like that of chat, with `text` in place of messages.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Discriminator, Field, Tag

from denizen.serve.api.metadata import bounded, metadata
from denizen.serve.api.openai.chat_answer import DONE, usage
from denizen.serve.api.openai.chat_body import (
    NO_BIAS,
    Choices,
    Penalty,
    Seed,
    Share,
    StreamOptions,
    Temperature,
    Tokens,
    check_stream_options,
)
from denizen.serve.api.openai.errors import envelope
from denizen.serve.api.rendering import around, dump, event, gather, quoted
from denizen.serve.api.shape import Body, Name, No, Stops, Text, folded_seed, shape_of, stops
from denizen.serve.exchange import Fault, Outcome, Piece, Request, Sampling, TokenLogprob

_HOLE = "\0"
_PROMPT = Annotated[
    Annotated[Text, Tag("<text>")]
    | Annotated[list[Text], Field(min_length=1, max_length=1), Tag("<list>")],
    Discriminator(
        shape_of,
        custom_error_type="shape",
        custom_error_message="must be a string, or one in a list",
    ),
]


class CompletionBody(Body):
    """The body of a completion."""

    refused: ClassVar[dict[str, str]] = {
        "echo": "the prompt is not sent back",
        "logit_bias": NO_BIAS,
        "prompt": "must be one text (lists of prompts and token numbers are not supported)",
        "suffix": "filling in before a suffix is not supported",
    }

    model: Name
    prompt: _PROMPT
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Tokens | None = None
    temperature: Temperature | None = None
    top_p: Share | None = None
    n: Choices | None = None
    best_of: Choices | None = None
    stop: Stops | None = None
    seed: Seed | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    logprobs: Annotated[int, Field(ge=0, le=5)] | None = None
    user: Name | None = None
    echo: No | None = None
    suffix: None = None
    logit_bias: Annotated[dict[str, float], Field(max_length=0)] | None = None


def completion_request(body: CompletionBody) -> Request:
    """The request of a body."""
    check_stream_options(body.stream, body.stream_options)
    if body.best_of is not None and body.best_of != (body.n or 1):
        raise Fault(
            400, "'best_of' must be equal to 'n'.", code="unsupported_value", param="best_of"
        )
    return Request(
        model=body.model,
        text=body.prompt if isinstance(body.prompt, str) else body.prompt[0],
        sampling=Sampling(
            max_tokens=body.max_tokens,
            temperature=body.temperature,
            top_p=body.top_p,
            seed=folded_seed(body.seed),
            stop=stops(body.stop),
            presence_penalty=body.presence_penalty or 0.0,
            frequency_penalty=body.frequency_penalty or 0.0,
        ),
        n=body.n or 1,
        logprobs=body.logprobs,
        user=body.user or "",
    )


class CompletionAnswer:
    """One completion."""

    media = "text/event-stream"

    def __init__(self, request: Request, *, include_usage: bool, key: str, created: int) -> None:
        self._request, self._include_usage = request, include_usage
        self._head = {
            "id": f"cmpl-{key}",
            "object": "text_completion",
            "created": created,
            "model": request.model,
        }
        self._choices = gather(request)
        self._offsets = [0] * request.n
        self._held = b""
        self._text = [around(self._chunk(i, _HOLE), _HOLE) for i in range(request.n)]

    def add(self, piece: Piece) -> None:
        """Take in a piece of a plain answer."""
        self._choices[piece.index].add(piece)

    def whole(self, outcome: Outcome) -> bytes:
        """The plain answer."""
        choices = []
        for index, choice in enumerate(self._choices):
            told = None
            if self._request.logprobs is not None:
                told = _logprobs(choice.logprobs, 0)
            choices.append(
                {
                    "index": index,
                    "text": choice.text,
                    "logprobs": told,
                    "finish_reason": choice.finish,
                }
            )
        end = {"usage": usage(outcome.usage), "denizen": metadata(outcome)}
        return dump({**self._head, "choices": choices, **end})

    def opening(self) -> bytes:
        """Nothing comes before the text."""
        return b""

    def piece(self, piece: Piece) -> bytes:
        """The chunks of one piece; a finish is held back until something follows it."""
        if piece.text and not (piece.logprobs or piece.finish or self._held):
            before, after = self._text[piece.index]
            return b"data: " + before + quoted(piece.text) + after + b"\n\n"
        if not (piece.text or piece.logprobs or piece.finish):
            return b""  # usage alone is told at the end
        parts = [event(self._held)] if self._held else []
        self._held = b""
        if piece.text or piece.logprobs:
            chunk = self._chunk(piece.index, piece.text)
            if piece.logprobs:
                told = _logprobs(piece.logprobs, self._offsets[piece.index])
                chunk["choices"][0]["logprobs"] = told
            self._offsets[piece.index] += len(piece.text)
            parts.append(event(dump(chunk)))
        if piece.finish:
            chunk = self._chunk(piece.index, "")
            chunk["choices"][0]["finish_reason"] = piece.finish
            self._held = dump(chunk)
        return b"".join(parts)

    def closing(self, outcome: Outcome) -> bytes:
        """The last chunks, with usage if wanted and with the metadata."""
        told = b',"denizen":' + dump(metadata(outcome)) + b"}"
        empty = {**self._head, "choices": []}
        if not self._include_usage:
            return event((self._held or dump(empty))[:-1] + told) + DONE
        finish = event(self._held) if self._held else b""
        last = dump({**empty, "usage": usage(outcome.usage)})
        return finish + event(last[:-1] + told) + DONE

    def broken(self, fault: Fault) -> bytes:
        """The last event of a stream that failed."""
        return event(dump(envelope(fault)))

    def _chunk(self, index: int, text: str) -> dict[str, Any]:
        choice = {"index": index, "text": text, "logprobs": None, "finish_reason": None}
        chunk = {**self._head, "choices": [choice]}
        return {**chunk, "usage": None} if self._include_usage else chunk


def _logprobs(told: tuple[TokenLogprob, ...] | list[TokenLogprob], offset: int) -> dict[str, Any]:
    offsets = []
    for one in told:
        offsets.append(offset)
        offset += len(one.token)
    return {
        "tokens": [one.token for one in told],
        "token_logprobs": [bounded(one.logprob) for one in told],
        "top_logprobs": [_alternatives(one) for one in told],
        "text_offset": offsets,
    }


def _alternatives(told: TokenLogprob) -> dict[str, float]:
    made: dict[str, float] = {}
    for token, value in told.top:  # parts of characters are spelt alike: the likeliest is told
        made.setdefault(token, bounded(value))
    return made
