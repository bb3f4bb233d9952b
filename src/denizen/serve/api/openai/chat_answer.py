"""Chat completions as they leave: the whole object, or its chunks as server-sent events.

Contract: a Rendering.  The last chunk carries the `denizen` metadata: the one with usage if that
was asked for, else the one with the last finish_reason (which waits for the outcome).
"""

from __future__ import annotations

from typing import Any

from denizen.serve.api.metadata import metadata, token_logprob
from denizen.serve.api.openai.errors import envelope
from denizen.serve.api.rendering import around, dump, event, gather, quoted
from denizen.serve.exchange import Fault, Outcome, Piece, Request, TokenLogprob, ToolCall, Usage

_HOLE = "\0"  # no name of a model holds it: bodies with NUL are refused
DONE = b"data: [DONE]\n\n"


class ChatAnswer:
    """One chat completion; `created` is Unix time in seconds, `key` makes its id unique."""

    media = "text/event-stream"

    def __init__(self, request: Request, *, include_usage: bool, key: str, created: int) -> None:
        self._request, self._include_usage = request, include_usage
        self._id, self._created = f"chatcmpl-{key}", created
        self._choices = gather(request)
        self._calls = [0] * request.n
        self._held: bytes = b""
        # Text is nearly all a stream is made of: for each choice its chunk is rendered once.
        self._text = [
            around(self._chunk(index, {"content": _HOLE}), _HOLE) for index in range(request.n)
        ]

    def add(self, piece: Piece) -> None:
        """Take in a piece of a plain answer."""
        self._choices[piece.index].add(piece)

    def whole(self, outcome: Outcome) -> bytes:
        """The plain answer."""
        choices = []
        for index, choice in enumerate(self._choices):
            message: dict[str, Any] = {"role": "assistant", "content": choice.text, "refusal": None}
            if choice.calls:
                message["content"] = choice.text or None
                message["tool_calls"] = [_call(call) for call in choice.calls]
            logprobs = None
            if self._request.logprobs is not None:
                logprobs = _logprobs(choice.logprobs)
            choices.append(
                {
                    "index": index,
                    "message": message,
                    "logprobs": logprobs,
                    "finish_reason": choice.finish,
                }
            )
        head = {**self._head("chat.completion"), "choices": choices}
        return dump({**head, "usage": usage(outcome.usage), "denizen": metadata(outcome)})

    def opening(self) -> bytes:
        """The chunks that name the role."""
        delta = {"role": "assistant", "content": ""}
        return b"".join(event(dump(self._chunk(i, delta))) for i in range(self._request.n))

    def piece(self, piece: Piece) -> bytes:
        """The chunks of one piece; a finish is held back until something follows it."""
        if piece.text and not (piece.logprobs or piece.tool_calls or piece.finish or self._held):
            before, after = self._text[piece.index]
            return b"data: " + before + quoted(piece.text) + after + b"\n\n"
        return self._rare(piece)

    def _rare(self, piece: Piece) -> bytes:
        if not (piece.text or piece.logprobs or piece.tool_calls or piece.finish):
            return b""  # usage alone is told at the end
        parts = [event(self._held)] if self._held else []
        self._held = b""
        if piece.text or piece.logprobs:
            chunk = self._chunk(piece.index, {"content": piece.text})
            if piece.logprobs:
                chunk["choices"][0]["logprobs"] = _logprobs(piece.logprobs)
            parts.append(event(dump(chunk)))
        for call in piece.tool_calls:
            place = self._calls[piece.index]
            self._calls[piece.index] += 1
            delta = {"tool_calls": [{"index": place, **_call(call)}]}
            parts.append(event(dump(self._chunk(piece.index, delta))))
        if piece.finish:
            chunk = self._chunk(piece.index, {})
            chunk["choices"][0]["finish_reason"] = piece.finish
            self._held = dump(chunk)
        return b"".join(parts)

    def closing(self, outcome: Outcome) -> bytes:
        """The last chunks, with usage if wanted and with the metadata."""
        told = b',"denizen":' + dump(metadata(outcome)) + b"}"
        if not self._include_usage:
            last = self._held or dump({**self._head("chat.completion.chunk"), "choices": []})
            return event(last[:-1] + told) + DONE
        finish = event(self._held) if self._held else b""
        last = dump(
            {
                **self._head("chat.completion.chunk"),
                "choices": [],
                "usage": usage(outcome.usage),
            }
        )
        return finish + event(last[:-1] + told) + DONE

    def broken(self, fault: Fault) -> bytes:
        """The last event of a stream that failed."""
        return event(dump(envelope(fault)))

    def _head(self, kind: str) -> dict[str, Any]:
        return {
            "id": self._id,
            "object": kind,
            "created": self._created,
            "model": self._request.model,
            "system_fingerprint": None,
        }

    def _chunk(self, index: int, delta: dict[str, Any]) -> dict[str, Any]:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": None}
        chunk = {**self._head("chat.completion.chunk"), "choices": [choice]}
        return {**chunk, "usage": None} if self._include_usage else chunk


def usage(counts: Usage) -> dict[str, int]:
    """Counts of tokens as OpenAI writes them."""
    return {
        "prompt_tokens": counts.prompt_tokens,
        "completion_tokens": counts.completion_tokens,
        "total_tokens": counts.prompt_tokens + counts.completion_tokens,
    }


def _call(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}


def _logprobs(told: tuple[TokenLogprob, ...] | list[TokenLogprob]) -> dict[str, Any]:
    return {"content": [token_logprob(one) for one in told], "refusal": None}
