"""Responses as they leave: the whole object, or the events that build it up.

Contract: a Rendering.  Events carry a running sequence_number; a message item opens with its first
text, each function call is an item of its own; the last event (response.completed, .incomplete or
.failed) holds the whole object with the `denizen` metadata.  Source: OpenAI's streaming events.
"""

from __future__ import annotations

from typing import Any

from denizen.serve.api.metadata import metadata, token_logprob
from denizen.serve.api.rendering import Gathered, around, dump, quoted
from denizen.serve.exchange import Fault, Finish, Outcome, Piece, Request, ToolCall, Usage

_HOLE = "\0"
_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


class ResponseAnswer:
    """One response; `echoed` is what its object repeats of the request."""

    media = "text/event-stream"

    def __init__(self, request: Request, *, echoed: dict[str, Any], key: str, created: int) -> None:
        self._key, self._created, self._echo = key, created, echoed
        self._model, self._wants = request.model, request.logprobs is not None
        self._finish: Finish = "stop"
        self._message: Gathered | None = None
        self._done: list[dict[str, Any]] = []
        self._number = 0
        self._delta: tuple[bytes, bytes] = (b"", b"")

    def add(self, piece: Piece) -> None:
        """Take in a piece of a plain answer: its items are those of the stream."""
        self.piece(piece)

    def whole(self, outcome: Outcome) -> bytes:
        """The plain answer."""
        self.closing(outcome)
        return dump(self._object(self._done, self._state()[0], outcome))

    def opening(self) -> bytes:
        """The response as it begins."""
        begun = self._object([], "in_progress", None)
        return self._event("response.created", response=begun) + self._event(
            "response.in_progress", response=begun
        )

    def piece(self, piece: Piece) -> bytes:
        """The events of one piece."""
        self._finish = piece.finish or self._finish
        parts = []
        if piece.text or piece.logprobs:
            if self._message is None:
                parts.append(self._open())
            assert self._message is not None
            self._message.add(piece)
            parts.append(self._text(piece))
        for call in piece.tool_calls:
            parts.append(self._close())
            parts.append(self._call(call))
        return b"".join(parts)

    def closing(self, outcome: Outcome) -> bytes:
        """The last events."""
        parts = []
        if self._message is None and not self._done:
            parts.append(self._open())
        parts.append(self._close())
        status, _ = self._state()
        whole = self._object(self._done, status, outcome)
        parts.append(self._event(f"response.{status}", response=whole))
        return b"".join(parts)

    def broken(self, fault: Fault) -> bytes:
        """The last events of a stream that failed."""
        told = {"code": fault.code or fault.kind, "message": fault.message}
        failed = self._object(self._done, "failed", None)
        failed["error"] = {**told, "code": "server_error"}
        return self._event("error", **told, param=fault.param) + self._event(
            "response.failed", response=failed
        )

    def _state(self) -> tuple[str, dict[str, str] | None]:
        reason = _INCOMPLETE.get(self._finish)
        return ("incomplete", {"reason": reason}) if reason else ("completed", None)

    def _open(self) -> bytes:
        self._message, place = Gathered(), len(self._done)
        item = {**self._item(self._message, place, "in_progress"), "content": []}
        where = {"item_id": item["id"], "output_index": place, "content_index": 0}
        template = {"type": "response.output_text.delta", **where, "logprobs": [], "delta": _HOLE}
        self._delta = around(template, _HOLE)
        return self._event(
            "response.output_item.added", output_index=place, item=item
        ) + self._event("response.content_part.added", **where, part=_part(self._message))

    def _text(self, piece: Piece) -> bytes:
        if piece.logprobs:
            where = self._where()
            told = [token_logprob(one) for one in piece.logprobs]
            return self._event(
                "response.output_text.delta", **where, delta=piece.text, logprobs=told
            )
        before, after = self._delta
        self._number += 1
        return b"".join(
            (
                b"event: response.output_text.delta\ndata: ",
                before,
                quoted(piece.text),
                after[:-1],
                b',"sequence_number":%d}\n\n' % (self._number - 1),
            )
        )

    def _close(self) -> bytes:
        if self._message is None:
            return b""
        message, where = self._message, self._where()
        status = self._state()[0]
        part = _part(message)
        item = self._item(message, where["output_index"], status)
        self._done.append(item)
        self._message = None
        return (
            self._event(
                "response.output_text.done", **where, text=part["text"], logprobs=part["logprobs"]
            )
            + self._event("response.content_part.done", **where, part=part)
            + self._event(
                "response.output_item.done", output_index=where["output_index"], item=item
            )
        )

    def _call(self, call: ToolCall) -> bytes:
        place = len(self._done)
        item = self._call_item(call, place, "completed")
        begun = {**item, "arguments": "", "status": "in_progress"}
        where = {"item_id": item["id"], "output_index": place}
        self._done.append(item)
        said = call.arguments
        return b"".join(
            (
                self._event("response.output_item.added", output_index=place, item=begun),
                self._event("response.function_call_arguments.delta", **where, delta=said),
                self._event(
                    "response.function_call_arguments.done",
                    **where,
                    name=call.name,
                    arguments=said,
                ),
                self._event("response.output_item.done", output_index=place, item=item),
            )
        )

    def _where(self) -> dict[str, Any]:
        place = len(self._done)
        return {"item_id": f"msg_{self._key}{place}", "output_index": place, "content_index": 0}

    def _event(self, kind: str, **content: Any) -> bytes:
        data = dump({"type": kind, **content, "sequence_number": self._number})
        self._number += 1
        return b"event: " + kind.encode("ascii") + b"\ndata: " + data + b"\n\n"

    def _item(self, said: Gathered, place: int, status: str) -> dict[str, Any]:
        return {
            "id": f"msg_{self._key}{place}",
            "type": "message",
            "role": "assistant",
            "status": status,
            "content": [_part(said)],
        }

    def _call_item(self, call: ToolCall, place: int, status: str) -> dict[str, Any]:
        return {
            "id": f"fc_{self._key}{place}",
            "type": "function_call",
            "call_id": call.id,
            "name": call.name,
            "arguments": call.arguments,
            "status": status,
        }

    def _object(
        self, output: list[dict[str, Any]], status: str, outcome: Outcome | None
    ) -> dict[str, Any]:
        ended = outcome is not None
        made = {
            "id": f"resp_{self._key}",
            "object": "response",
            "created_at": self._created,
            "status": status,
            "error": None,
            "incomplete_details": self._state()[1] if ended else None,
            "model": self._model,
            "output": output,
            **self._echo,
            "usage": _usage(outcome.usage) if outcome else None,
        }
        return {**made, "denizen": metadata(outcome)} if outcome else made


def _part(said: Gathered) -> dict[str, Any]:
    told = [token_logprob(one) for one in said.logprobs]
    return {"type": "output_text", "text": said.text, "annotations": [], "logprobs": told}


def _usage(counts: Usage) -> dict[str, Any]:
    return {
        "input_tokens": counts.prompt_tokens,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": counts.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": counts.prompt_tokens + counts.completion_tokens,
    }
