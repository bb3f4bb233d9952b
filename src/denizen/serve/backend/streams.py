"""Answers of llama.cpp as they come: worker threads write, a request reads Pieces.

Contract: each choice of a request is a completion of its own; a Fault of any of them ends the
request, and leaving the iterator ends them all.  The last piece of all carries the usage; the
request's meter counts as it goes: a prompt as it is processed, a token as it is written.  What is
not streamed comes in few, large pieces, since each waking of the loop takes time from llama.cpp.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import Any

from denizen.serve.backend.engine import Engine
from denizen.serve.backend.flow import Event, Flow
from denizen.serve.backend.payload import piece_of, processed, shutting_down
from denizen.serve.backend.tools import CallReader
from denizen.serve.exchange import AHEAD, Fault, Piece, Request, Usage
from denizen.serve.metering import meter

# How long the tokens of an answer that nobody streams may wait, in seconds: its end does not.
PAUSE = 0.5


class Streams:
    """Threads for `parallel` completions at a time, and for those that llama.cpp takes up next."""

    def __init__(self, parallel: int) -> None:
        self._pool = ThreadPoolExecutor(parallel + AHEAD, thread_name_prefix="denizen-stream")
        self._flows: set[Flow] = set()

    async def tell(
        self,
        engine: Engine,
        bodies: Sequence[bytes],
        request: Request,
        readers: Sequence[CallReader] = (),
        prompt: int = 0,
    ) -> AsyncGenerator[Piece, None]:
        """Pieces of one completion a body, with the tool calls its reader finds. Raises Fault.

        `prompt` is how many tokens the prompt has, which all bodies share.
        """
        flow = Flow(0.0 if request.streamed else PAUSE)
        self._flows.add(flow)
        work: list[Future[None]] = []
        try:
            for index, body in enumerate(bodies):
                work.append(self._begin(engine, body, index, flow))
            async with aclosing(_pieces(flow, request, readers, prompt)) as pieces:
                async for piece in pieces:
                    yield piece
        finally:
            flow.cancel()
            self._flows.discard(flow)
            for one in work:
                one.cancel()

    def close(self) -> None:
        """End all requests with a Fault."""
        for flow in self._flows:
            flow.end(shutting_down())
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _begin(self, engine: Engine, body: bytes, index: int, flow: Flow) -> Future[None]:
        """The engine stays until the worker is done or was never needed, whoever still reads."""
        engine.hold()
        try:
            work = self._pool.submit(_work, engine, body, index, flow)
        except RuntimeError as error:  # closed while the prompt was prepared
            engine.release()
            raise shutting_down() from error
        work.add_done_callback(lambda _: engine.release())
        return work


async def _pieces(
    flow: Flow, request: Request, readers: Sequence[CallReader], prompt: int
) -> AsyncGenerator[Piece, None]:
    """Events of all choices as Pieces."""
    told = _Told(request, readers, prompt)
    held: list[list[Piece]] = [[] for _ in range(request.n)]
    try:
        async with aclosing(flow.events(request.n)) as events:
            async for event in events:
                piece = told.piece(event)
                if piece is None:
                    continue
                if request.streamed:
                    yield piece
                    continue
                held[event.choice].append(piece)
                if piece.finish:
                    yield _joined(held[event.choice])
    finally:
        told.unread(flow.waiting)
    if told.finished < request.n:
        raise Fault(500, "llama.cpp ended early", kind="server_error", code="backend_error")


class _Told:
    """What llama.cpp's events of one request say, and what they cost."""

    def __init__(self, request: Request, readers: Sequence[CallReader], prompt: int) -> None:
        self._request, self._readers, self._prompt = request, readers, prompt
        self._used, self._written = meter(), [0] * request.n
        self._read = self.finished = 0

    def piece(self, event: Event) -> Piece | None:
        """The Piece of an event, if it has one; raises Fault."""
        if (piece := self._counted(event)) is None:
            return None
        if self._readers:
            piece = _with_calls(piece, self._readers[event.choice])
        if piece.finish:
            piece = replace(piece, usage=self._ended(piece, event.choice))
        return piece if piece.text or piece.logprobs or piece.finish else None

    def _counted(self, event: Event) -> Piece | None:
        if event.data is None or event.data == b"[DONE]":
            return None
        told = json.loads(event.data)
        piece = piece_of(told, event.choice, self._request.logprobs)
        # All choices share one prompt; the first token says that all of it was processed.
        now = processed(told) if piece is None else self._prompt
        if now > self._read:
            self._used.add(now - self._read)
            self._read = now
        if piece is not None and not piece.finish:
            self._written[event.choice] += 1
            self._used.add(0, 1)
        return piece

    def _ended(self, piece: Piece, choice: int) -> Usage | None:
        """The usage of all choices, with the last of them."""
        self.finished += 1
        whole = piece.usage or Usage(self._prompt, self._written[choice])
        self._used.add(0, whole.completion_tokens - self._written[choice])
        self._written[choice] = whole.completion_tokens
        if self.finished < self._request.n:
            return None
        return Usage(whole.prompt_tokens, sum(self._written))

    def unread(self, events: Sequence[Event]) -> None:
        """Count what was written for somebody who left."""
        with suppress(Fault):
            for event in events:
                self._counted(event)


def _joined(pieces: Sequence[Piece]) -> Piece:
    """The pieces of one choice as one."""
    return replace(
        pieces[-1],
        text="".join(piece.text for piece in pieces),
        tool_calls=tuple(call for piece in pieces for call in piece.tool_calls),
        logprobs=tuple(one for piece in pieces for one in piece.logprobs),
    )


def _with_calls(piece: Piece, reader: CallReader) -> Piece:
    text = reader.feed(piece.text)
    if not piece.finish:
        return replace(piece, text=text)
    rest, calls = reader.finish()
    finish = "tool_calls" if calls else piece.finish
    return replace(piece, text=text + rest, tool_calls=calls, finish=finish)


def _work(engine: Engine, body: bytes, index: int, flow: Flow) -> None:
    """In a worker thread: one choice from beginning to end."""

    def deliver(data: Any) -> bool:
        return flow.put(Event(index, data))

    try:
        if not flow.cancelled:
            engine.run(body, deliver)
    except BaseException:
        flow.put(Fault(500, "llama.cpp failed", kind="server_error", code="backend_error"))
    finally:
        flow.put(Event(index, None))
