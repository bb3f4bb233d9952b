"""Answers of llama.cpp as they come: worker threads write, a request reads Pieces.

Contract: each choice of a request is a completion of its own; a Fault of any of them ends the
request, and leaving the iterator ends them all.  The last piece of all carries the usage; the
request's meter counts as it goes: a prompt as it is processed, a token as it is written.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from denizen.serve.backend.engine import Engine
from denizen.serve.backend.flow import Event, Flow
from denizen.serve.backend.payload import piece_of, processed, shutting_down
from denizen.serve.backend.tools import CallReader
from denizen.serve.exchange import Fault, Piece, Request, Usage
from denizen.serve.metering import meter


class Streams:
    """Threads for `parallel` completions at a time."""

    def __init__(self, parallel: int) -> None:
        self._pool = ThreadPoolExecutor(parallel, thread_name_prefix="denizen-stream")
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
        flow = Flow()
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
    total, finished = Usage(), 0
    used, written = meter(), [0] * request.n
    read = 0
    async with aclosing(flow.events(request.n)) as events:
        async for event in events:
            if event.data is None or event.data == b"[DONE]":
                continue
            told = json.loads(event.data)
            piece = piece_of(told, event.choice, request.logprobs)
            # All choices share one prompt; the first token says that all of it was processed.
            now = processed(told) if piece is None else prompt
            if now > read:
                used.add(now - read)
                read = now
            if piece is None:
                continue
            if not piece.finish:
                written[event.choice] += 1
                used.add(0, 1)
            if readers:
                piece = _with_calls(piece, readers[event.choice])
            if piece.finish:
                finished += 1
                whole = piece.usage or Usage(prompt, written[event.choice])
                used.add(0, whole.completion_tokens - written[event.choice])
                total = Usage(
                    whole.prompt_tokens, total.completion_tokens + whole.completion_tokens
                )
                piece = replace(piece, usage=total if finished == request.n else None)
            if piece.text or piece.logprobs or piece.finish:
                yield piece
    if finished < request.n:
        raise Fault(500, "llama.cpp ended early", kind="server_error", code="backend_error")


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
