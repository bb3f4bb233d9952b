"""Ollama's answers: one object, or one object a line (NDJSON) with `done` in the last.

Contract: a Rendering for chat and for generate; the last object carries counts, durations in
nanoseconds and the `denizen` metadata.  `created_at` is when the answer began.  Where reading and
writing were not timed apart (a guided answer) all of the time is told as that of writing, so that
no rate is overstated.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from denizen.serve.api.metadata import metadata, token_logprob
from denizen.serve.api.rendering import Gathered, around, dump, quoted
from denizen.serve.exchange import Fault, Outcome, Piece, Request, ToolCall
from denizen.serve.metering import meter

_HOLE = "\0"
_REASONS = {"tool_calls": "stop"}


class OllamaAnswer:
    """One answer; `chat` chooses between `message` and `response`."""

    media = "application/x-ndjson"

    def __init__(
        self,
        request: Request,
        *,
        chat: bool,
        created: float,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._request, self._chat, self._clock = request, chat, clock
        self._created = timestamp(created)
        self._all = Gathered()
        self._begun = clock()
        self._first: int | None = None
        self._text = around(self._line({"content": _HOLE}), _HOLE)

    def add(self, piece: Piece) -> None:
        """Take in a piece of a plain answer."""
        if self._first is None:
            self._first = meter().first
        self._all.add(piece)

    def whole(self, outcome: Outcome) -> bytes:
        """The plain answer."""
        said: dict[str, Any] = {"content": self._all.text}
        if self._all.calls:
            said["tool_calls"] = [_call(call) for call in self._all.calls]
        line = self._line(said)
        if self._request.logprobs is not None:
            line["logprobs"] = [token_logprob(one) for one in self._all.logprobs]
        return dump({**line, **self._end(outcome)})

    def opening(self) -> bytes:
        """Nothing comes before the text."""
        return b""

    def piece(self, piece: Piece) -> bytes:
        """The line of one piece."""
        if self._first is None:
            self._first = meter().first
        if piece.finish:
            self._all.finish = piece.finish
        if piece.logprobs or piece.tool_calls:
            said: dict[str, Any] = {"content": piece.text}
            if piece.tool_calls:
                said["tool_calls"] = [_call(call) for call in piece.tool_calls]
            line = self._line(said)
            if piece.logprobs:
                line["logprobs"] = [token_logprob(one) for one in piece.logprobs]
            return dump(line) + b"\n"
        if not piece.text:
            return b""
        before, after = self._text
        return before + quoted(piece.text) + after + b"\n"

    def closing(self, outcome: Outcome) -> bytes:
        """The last line."""
        return dump({**self._line({"content": ""}), **self._end(outcome)}) + b"\n"

    def broken(self, fault: Fault) -> bytes:
        """The last line of a stream that failed."""
        return dump(envelope(fault)) + b"\n"

    def _line(self, said: dict[str, Any]) -> dict[str, Any]:
        head = {"model": self._request.model, "created_at": self._created}
        if self._chat:
            return {**head, "message": {"role": "assistant", **said}, "done": False}
        return {**head, "response": said["content"], "done": False}

    def _end(self, outcome: Outcome) -> dict[str, Any]:
        now = self._clock()
        first = self._first if self._first is not None else self._begun
        return {
            "done": True,
            "done_reason": _REASONS.get(self._all.finish, self._all.finish),
            "total_duration": now - self._begun,
            "load_duration": 0,
            "prompt_eval_count": outcome.usage.prompt_tokens,
            "prompt_eval_duration": first - self._begun,
            "eval_count": outcome.usage.completion_tokens,
            "eval_duration": now - first,
            "denizen": metadata(outcome),
        }


def loaded(model: str, *, chat: bool, created: float, unload: bool) -> dict[str, Any]:
    """The answer to an empty request: the model is there (and stays, whatever was asked)."""
    said: dict[str, Any] = {"response": ""}
    if chat:
        said = {"message": {"role": "assistant", "content": ""}}
    reason = "unload" if unload else "load"
    head = {"model": model, "created_at": timestamp(created)}
    return {**head, **said, "done": True, "done_reason": reason}


def timestamp(seconds: float) -> str:
    """Unix time as RFC 3339, UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def envelope(fault: Fault) -> dict[str, Any]:
    """Ollama's error."""
    return {"error": fault.message}


def _call(call: ToolCall) -> dict[str, Any]:
    try:
        arguments = json.loads(call.arguments)
        dump(arguments)  # NaN and 1e999 are read, and are not JSON
    except (ValueError, RecursionError):
        arguments = None
    if not isinstance(arguments, dict):
        # A model may write anything: what is no object is handed on as the text it is.
        arguments = {"arguments": call.arguments}
    return {"id": call.id, "function": {"name": call.name, "arguments": arguments}}
