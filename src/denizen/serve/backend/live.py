"""Guided answers of many requests at once: one thread decodes the rows of whoever has come.

Contract: a request is admitted as soon as there are cells for it, first come first served; its
answer is what it would be alone but for ties (rounding depends on the rows in a decode; a test
compares), and every decision in it carries its margin and probability.  A cancelled request is
dropped before the next decode.  A failed decode fails the requests in it, no later ones.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from denizen.models.gguf_vocabulary import read_vocabulary
from denizen.models.guided import GuidedDecoder
from denizen.models.llama_context import Context
from denizen.models.llama_library import rest
from denizen.models.rows import Row, Rows
from denizen.project.errors import ArtefactError
from denizen.serve.backend.adapters import Adapter, load
from denizen.serve.backend.payload import shutting_down
from denizen.serve.exchange import Choice, Fault, Guided, Usage
from denizen.serve.metering import meter

if TYPE_CHECKING:
    from llguidance import LLMatcher

T = TypeVar("T")
# Cells for each further row (an ordinary question with its answer), and for probing adapters.
_ORDINARY, _PROBE = 512, 256
COMPILE_SECONDS = 5.0  # of a caller's grammar; what goes on after that ends at llguidance's limits


class Live:
    """One mapped GGUF with up to `rows` rows; `context` is the longest prompt with its answer."""

    def __init__(
        self,
        gguf: Path,
        *,
        context: int,
        rows: int,
        threads: int,
        precise: bool = False,
    ) -> None:
        vocabulary = read_vocabulary(gguf)
        cells = context + _ORDINARY * (rows - 1)
        self.context = Context(
            gguf, cells=cells + _PROBE, threads=threads, precise=precise, repacked=not precise
        )
        self._control, self._most = vocabulary.control, rows
        self._decoder = GuidedDecoder(vocabulary, self.context.tokenize)
        self._rows = Rows(self.context, vocabulary.control, cells, keep=rows)
        self._waiting: deque[tuple[Row, Future[Row]]] = deque()
        self._running: dict[Row, Future[Row]] = {}
        self._speaking: Counter[int | None] = Counter()
        self._errands: deque[Callable[[], None]] = deque()
        self._news = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="denizen-guided", daemon=True)
        self._thread.start()

    async def guided(
        self, prompt: Sequence[int], grammar: str, max_tokens: int, adapter: int | None = None
    ) -> Guided:
        """The greedy answer to token ids under a grammar (GBNF or Lark). Raises Fault."""
        self._speaking[adapter] += 1  # from here on the adapter is not freed
        row = Row(list(prompt), max_tokens, None, adapter)
        try:
            row.matcher = await self._matcher(grammar)
            return self._guided(await asyncio.wrap_future(self._submit(row)))
        finally:
            if row.written:  # the first choice comes after the whole prompt
                meter().add(len(row.prompt), len(row.written))
            else:
                meter().add(row.position)
            self._speaking[adapter] -= 1

    async def check(self, grammar: str) -> None:
        """Compile a grammar beside the event loop, under llguidance's limits. Raises Fault 400."""
        await self._matcher(grammar)

    async def _matcher(self, grammar: str) -> LLMatcher:
        try:
            async with asyncio.timeout(COMPILE_SECONDS):
                matcher = await asyncio.to_thread(self._decoder.matcher, grammar)
            problem = matcher.get_error() if matcher.is_error() else ""
        except TimeoutError:
            problem = "it takes too long to compile"
        except Exception as error:  # the translation of GBNF has errors of its own
            problem = str(error)
        if problem:
            raise Fault(400, f"no grammar: {problem}"[:300], code="invalid_grammar")
        return matcher

    def _guided(self, row: Row) -> Guided:
        written = [token for token in row.written if token not in self._control]
        choices = tuple(
            Choice(self._decoder.text([made.token]), made.margin, made.probability)
            for made in row.decisions
        )
        return Guided(
            self._decoder.text(written[: row.limit]),
            choices,
            "length" if row.ended == "length" or len(written) > row.limit else "stop",
            Usage(len(row.prompt), len(row.written)),
        )

    def errand(self, work: Callable[[], T]) -> Future[T]:
        """Do something with the context between two decodes, in its thread."""
        result: Future[T] = Future()

        def run() -> None:
            if not result.set_running_or_notify_cancel():  # who wanted it has gone
                return
            try:
                result.set_result(work())
            except BaseException as error:
                result.set_exception(error)

        with self._news:
            if self._closing:
                raise shutting_down()
            self._errands.append(run)
            self._news.notify()
        return result

    @property
    def alive(self) -> bool:
        """Whether requests are taken."""
        return self._thread.is_alive() and not self._closing

    def busy(self) -> int:
        """Requests that are being answered or wait."""
        return len(self._running) + len(self._waiting)

    def add(self, name: str, path: Path) -> Future[Adapter]:
        """Load an adapter between two decodes; the future raises ArtefactError."""

        def work() -> Adapter:
            self._rows.leave_adapter()
            return load(self.context, name, path)

        return self.errand(work)

    def remove(self, adapter: int) -> Future[bool]:
        """Free an adapter, unless a request is still answered with it: then False."""

        def work() -> bool:
            rows = [*self._running, *(row for row, _ in self._waiting)]
            if self._speaking[adapter] or any(row.adapter == adapter for row in rows):
                return False
            self._rows.forget(adapter)
            self.context.free_adapter(adapter)
            return True

        return self.errand(work)

    def close(self) -> None:
        """Fail what is unanswered, end the thread and free the model."""
        with self._news:
            self._closing = True
            self._news.notify()
        self._thread.join()
        self.context.close()

    def _submit(self, row: Row) -> Future[Row]:
        future: Future[Row] = Future()
        with self._news:
            if self._closing:
                raise shutting_down()
            self._waiting.append((row, future))
            self._news.notify()
        return future

    def _work(self) -> None:
        while self._wait():
            for errand in self._take_errands():
                errand()
            self._drop_cancelled()
            self._admit()
            try:
                ended = self._rows.step()
            except Exception as error:
                self._fail(error)
                continue
            for row in ended:
                self._rows.drop(row)
                _tell(self._running.pop(row), row)
        self._fail(shutting_down())

    def _wait(self) -> bool:
        """Until there is work; False if there will be none any more."""
        with self._news:
            if not self._wanted():
                rest()
                self._news.wait_for(self._wanted)
            return not self._closing

    def _wanted(self) -> bool:
        return bool(self._closing or self._errands or self._waiting or self._running)

    def _take_errands(self) -> list[Callable[[], None]]:
        with self._news:
            taken = list(self._errands)
            self._errands.clear()
        return taken

    def _drop_cancelled(self) -> None:
        for row in [row for row, future in self._running.items() if future.cancelled()]:
            self._rows.drop(row)
            del self._running[row]

    def _admit(self) -> None:
        while self._waiting and len(self._running) < self._most:
            row, future = self._waiting[0]
            if not future.cancelled():
                if not self._rows.admit(row):
                    return
                self._running[row] = future
            self._waiting.popleft()

    def _fail(self, error: Exception) -> None:
        """A decode went wrong, or this is the end: nobody waits for ever."""
        unanswered = list(self._running.values())
        if self._closing:
            unanswered += [future for _, future in self._waiting]
            self._waiting.clear()
            for errand in self._take_errands():
                errand()
        self._running.clear()
        self._rows.clear()
        fault = error if isinstance(error, Fault) else _failed(error)
        for future in unanswered:
            _tell(future, fault)


def _tell(future: Future[Row], result: Row | Fault) -> None:
    """Give a result to whoever may have gone away at this moment."""
    if not future.set_running_or_notify_cancel():
        return
    if isinstance(result, Fault):
        future.set_exception(result)
    else:
        future.set_result(result)


def _failed(error: Exception) -> Fault:
    words = error.what if isinstance(error, ArtefactError) else type(error).__name__
    return Fault(500, f"decoding failed: {words}", kind="server_error", code="backend_error")
