"""How an answer leaves the server: one interface for every dialect, plain and streamed.

Contract: a Rendering is made for one request.  Plain: `add` each piece, then `whole`.  Streamed:
`opening`, `piece` each, then `closing`, or `broken` if a Fault came after the first bytes.
`piece` runs for every token, so its constant part is rendered before.
"""

from __future__ import annotations

import json
from json.encoder import encode_basestring_ascii
from typing import Any, Protocol

from denizen.serve.exchange import Fault, Finish, Outcome, Piece, Request, TokenLogprob, ToolCall


class Rendering(Protocol):
    """One answer in one dialect."""

    @property
    def media(self) -> str:
        """The media type of the stream."""
        ...

    def add(self, piece: Piece) -> None: ...
    def whole(self, outcome: Outcome) -> bytes: ...
    def opening(self) -> bytes: ...
    def piece(self, piece: Piece) -> bytes: ...
    def closing(self, outcome: Outcome) -> bytes: ...
    def broken(self, fault: Fault) -> bytes: ...


class Gathered:
    """The parts of one choice, put together."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self.calls: list[ToolCall] = []
        self.logprobs: list[TokenLogprob] = []
        self.finish: Finish = "stop"

    @property
    def text(self) -> str:
        """All text so far."""
        return "".join(self._texts)

    def add(self, piece: Piece) -> None:
        """Take in one piece of this choice."""
        if piece.text:
            self._texts.append(piece.text)
        self.calls.extend(piece.tool_calls)
        self.logprobs.extend(piece.logprobs)
        if piece.finish:
            self.finish = piece.finish


def gather(request: Request) -> list[Gathered]:
    """An empty choice for each that was asked for."""
    return [Gathered() for _ in range(request.n)]


def dump(value: Any) -> bytes:
    """Compact JSON in ASCII, so that no text of a model can fail to be written."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode("ascii")


def quoted(text: str) -> bytes:
    """One JSON string."""
    return encode_basestring_ascii(text).encode("ascii")


def around(template: dict[str, Any], hole: str) -> tuple[bytes, bytes]:
    """What stands before and after the JSON string `hole` in a rendered template."""
    before, after = dump(template).split(quoted(hole))
    return before, after


def event(data: bytes) -> bytes:
    """A server-sent event (HTML Living Standard, 9.2)."""
    return b"data: " + data + b"\n\n"
