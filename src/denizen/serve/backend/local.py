"""The shipped GGUF in this process: free text by llama.cpp's server, guided answers by `Live`.

Contract: prompts are rendered by the file's own template and go in as token ids; one that leaves no
room for an answer is a Fault with both numbers before anything is generated, and none is cut.
Closing the iterator of `stream` frees the slot in llama.cpp.  Adapters come and go while requests
are answered: a server with the new list takes over, and the old one is drained.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path
from typing import Any

from denizen.project.errors import ArtefactError
from denizen.project.machine import cores
from denizen.serve.backend.adapters import Adapter, check_file, check_name
from denizen.serve.backend.engine import Engine
from denizen.serve.backend.grammars import grammar_of
from denizen.serve.backend.live import Live
from denizen.serve.backend.payload import completion, shutting_down, too_long
from denizen.serve.backend.rendering import Rendering
from denizen.serve.backend.streams import Streams
from denizen.serve.backend.tools import CallReader
from denizen.serve.exchange import BackendFacts, Fault, Guided, Piece, Request, Turn

_log = logging.getLogger("denizen.serve")
# Characters from which rendering and tokenising would hold up the event loop.
_LARGE = 20_000


class LocalBackend:
    """One GGUF, `parallel` requests of `context` tokens at a time. Implements Guiding.

    Fewer, with a warning, where the file was made for fewer: llama.cpp's server holds no more.
    `adapters` are LoRA-GGUF files by the name a request asks for them.  Raises ArtefactError.
    """

    def __init__(
        self,
        gguf: Path,
        *,
        context: int = 2048,
        parallel: int = 4,
        adapters: Mapping[str, Path] | None = None,
        threads: int | None = None,
    ) -> None:
        from denizen.export.gguf_header import read_header

        self._header, self._size = read_header(gguf), gguf.stat().st_size
        context = _held(context, self._header, gguf)
        self._gguf, self._context, self._parallel = gguf, context, parallel
        self._threads = threads or cores()
        self._live = Live(gguf, context=context, rows=parallel, threads=self._threads)
        try:
            self._rendering = Rendering.of(gguf, self._live.context)
            self._parameters = self._live.context.parameters
            self._adapters: dict[str, Adapter] = {}
            for name, path in (adapters or {}).items():
                self._check(name, path)
                self._adapters[name] = self._live.add(name, path).result()
            self._engine = self._start(self._adapters)
        except BaseException:
            self._live.close()
            raise
        self._streams = Streams(parallel)
        # The tokenizer is the model's: what is being encoded is waited for before that is freed.
        self._encoder = ThreadPoolExecutor(1, thread_name_prefix="denizen-encode")
        self._drains: set[asyncio.Task[None]] = set()
        self._changing = asyncio.Lock()
        self._closed = False

    @property
    def facts(self) -> BackendFacts:
        """What the file's header says, and the adapters loaded now."""
        from denizen.export.recipe import FILE_TYPES

        kind = self._header.get("general.file_type")
        return BackendFacts(
            model=str(self._header.get("general.name") or self._gguf.stem),
            context=self._context,
            adapters=tuple(self._adapters),
            quant=next((name for name, number in FILE_TYPES.items() if number == kind), ""),
            parameters=self._parameters,
            family=self._architecture,
            size=self._size,
        )

    async def stream(self, request: Request, adapter: str = "") -> AsyncIterator[Piece]:
        """Pieces of request.n choices, the last with the usage. Raises Fault."""
        prompt = await self._prompt(request)
        grammar = ""
        if request.tools or request.format.kind != "text":  # a large schema takes its time
            grammar = await asyncio.to_thread(grammar_of, request, self._rendering.dialect)
        if grammar:  # here and not first in llama.cpp, where all who are answered would wait
            await self._live.check(grammar)
        # From here to the first token nothing is awaited: the adapter's number is this engine's.
        engine, place = self._engine, self._place(adapter) if adapter else None
        bodies = [
            completion(
                request,
                prompt,
                room=self._context - len(prompt),
                grammar=grammar,
                adapter=place,
                adapters=len(self._adapters),
                index=index,
            )
            for index in range(request.n)
        ]
        told = self._streams.tell(engine, bodies, request, self._reader(request), len(prompt))
        async with aclosing(told):
            async for piece in told:
                yield piece

    async def guided(
        self, turns: tuple[Turn, ...], grammar: str, max_tokens: int, adapter: str = ""
    ) -> Guided:
        """A greedy answer under a grammar (GBNF or Lark), with every decision. Raises Fault."""
        prompt = await self._prompt(Request(model="", turns=turns))
        limit = min(max_tokens, self._context - len(prompt))
        handle = self._adapter(adapter).handle if adapter else None
        return await self._live.guided(prompt, grammar, limit, handle)

    async def count(self, request: Request) -> int:
        """Tokens of the rendered prompt. Raises Fault."""
        return len(await self._ids(request))

    async def ready(self) -> bool:
        """Whether requests are answered."""
        return not self._closed and self._live.alive

    async def load_adapter(self, name: str, path: Path) -> float:
        """Take in an adapter while serving; the change it made to a probe. Raises ArtefactError."""
        async with self._changing:
            await asyncio.to_thread(self._check, name, path)
            adapter = await asyncio.wrap_future(self._live.add(name, path))
            longer = {**self._adapters, name: adapter}
            try:
                engine = await asyncio.to_thread(self._successor, longer)
            except BaseException:
                self._live.remove(adapter.handle)
                raise
            self._take_over(engine, longer)
        return adapter.change

    async def unload_adapter(self, name: str) -> None:
        """Let an adapter go; requests that speak with it are finished. Raises ArtefactError."""
        async with self._changing:
            if name not in self._adapters:
                raise ArtefactError("no such adapter", where=name, fix="see GET /v1/models")
            gone = self._adapters[name]
            shorter = {key: one for key, one in self._adapters.items() if key != name}
            engine = await asyncio.to_thread(self._successor, shorter)
            self._take_over(engine, shorter)
        while not await asyncio.wrap_future(self._live.remove(gone.handle)):
            await asyncio.sleep(0.05)

    def busy(self) -> int:
        """Requests llama.cpp is working on now, streamed and guided."""
        return self._engine.busy() + self._live.busy()

    async def close(self) -> None:
        """End what is running and free the model."""
        if self._closed:
            return
        self._closed = True
        self._streams.close()
        await asyncio.to_thread(self._encoder.shutdown)
        await asyncio.to_thread(self._live.close)
        await asyncio.to_thread(self._engine.close)
        await asyncio.gather(*self._drains)

    def _start(self, adapters: Mapping[str, Adapter]) -> Engine:
        return Engine(
            self._gguf,
            context=self._context,
            parallel=self._parallel,
            threads=self._threads,
            adapters=[one.path for one in adapters.values()],
        )

    def _successor(self, adapters: Mapping[str, Adapter]) -> Engine:
        """A server with other adapters, loaded if the present one is: nobody waits for it then."""
        engine = self._start(adapters)
        if self._engine.started:
            engine.start()
        return engine

    def _take_over(self, engine: Engine, adapters: dict[str, Adapter]) -> None:
        old, self._engine, self._adapters = self._engine, engine, adapters
        drain = asyncio.create_task(asyncio.to_thread(old.close))
        self._drains.add(drain)
        drain.add_done_callback(self._drains.discard)

    @property
    def _architecture(self) -> str:
        return str(self._header.get("general.architecture", ""))

    def _check(self, name: str, path: Path) -> None:
        check_name(name)
        if name in self._adapters:
            raise ArtefactError(
                "an adapter of that name is loaded", where=name, fix="unload it first"
            )
        check_file(path, self._architecture)

    def _adapter(self, name: str) -> Adapter:
        if name not in self._adapters:
            raise Fault(404, f"no adapter {name[:80]!r}", code="model_not_found", param="model")
        return self._adapters[name]

    def _place(self, name: str) -> int:
        """The adapter's number in llama.cpp's list. Raises Fault."""
        return list(self._adapters.values()).index(self._adapter(name))

    async def _prompt(self, request: Request) -> list[int]:
        """Token ids that leave room for an answer. Raises Fault."""
        ids = await self._ids(request)
        if len(ids) >= self._context:
            raise too_long(len(ids), self._context)
        if not ids:
            raise Fault(400, "the prompt is empty", param="prompt")
        return ids

    async def _ids(self, request: Request) -> list[int]:
        length = len(request.text or "") + sum(len(turn.content) for turn in request.turns)
        if self._closed:
            raise shutting_down()
        if length > _LARGE:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._encoder, self._encode, request)
        return self._encode(request)

    def _encode(self, request: Request) -> list[int]:
        if request.text is not None:  # whoever asks for a raw completion writes the whole prompt
            return self._live.context.tokenize(request.text, begin=True)
        tools = () if request.tool_choice == "none" else request.tools
        return self._rendering.ids(request.turns, tools)

    def _reader(self, request: Request) -> list[CallReader]:
        if not request.tools or request.tool_choice == "none":
            return []
        return [CallReader(self._rendering.dialect, request.tools) for _ in range(request.n)]


def _held(wanted: int, header: Mapping[str, Any], gguf: Path) -> int:
    """Tokens of context that are wanted and that the file has."""
    made = header.get(f"{header.get('general.architecture', '')}.context_length")
    if not isinstance(made, int) or not 0 < made < wanted:
        return wanted
    _log.warning("%s holds %d tokens of context, not the %d asked for", gguf.name, made, wanted)
    return made
