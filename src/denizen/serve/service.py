"""The service behind both interfaces: a request in, pieces and one Outcome out.

Contract: `Service` implements Answering.  The order of a turn is fixed: validate, guard, then the
Analyst's pipeline or direct generation, each with its own checks; every request is traced from its
start to its end, also when it is refused, times out (Fault 504) or is cancelled, which closes the
backend's iterator.  The trace is finished before the Outcome is handed over.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from denizen.project.config import Config
from denizen.project.errors import DenizenError
from denizen.serve.adapting import Adapting
from denizen.serve.answering import wording
from denizen.serve.answering.analyst import Analyst
from denizen.serve.answering.auditing import Audits
from denizen.serve.answering.direct import Direct
from denizen.serve.answering.embedding import embedded
from denizen.serve.answering.escalating import undecided
from denizen.serve.answering.formats import check_format
from denizen.serve.answering.guarding import guarded, refuse_too_long
from denizen.serve.answering.naming import EMBEDDER, Named, Names, is_direct
from denizen.serve.answering.ports import (
    Asking,
    Auditing,
    Encodes,
    NullShield,
    NullTracer,
    Parts,
    Recorded,
    Routing,
    Shielding,
    Telling,
    Tracing,
    Untold,
)
from denizen.serve.answering.timing import deadline, within
from denizen.serve.exchange import (
    Backend,
    Fault,
    ModelCard,
    Outcome,
    Piece,
    Request,
    Turn,
    Usage,
    Visit,
)

if TYPE_CHECKING:
    from denizen.retrieve import Index
    from denizen.tasks import Suite

MOST_CHOICES = 16
MOST_TEXTS = 2048
_WARMING = "Is a position from 2,000 to 3,000 in range at 2,500?"
_log = logging.getLogger("denizen.serve")


class Service:
    """The Analyst in production: `name` as clients ask for it, `created` in seconds since 1970.

    Without an `encoder` nothing embeds. `stale`: why a calibration is not used.
    """

    def __init__(
        self,
        backend: Backend,
        suite: Suite,
        *,
        name: str = "denizen",
        config: Config | None = None,
        tracer: Tracing | None = None,
        shield: Shielding | None = None,
        router: Routing | None = None,
        upstream: Asking | None = None,
        auditor: Auditing | None = None,
        index: Index | None = None,
        encoder: Encodes | None = None,
        told: Telling | None = None,
        stale: str = "",
        created: int = 0,
        artefacts: Path | None = None,
    ) -> None:
        parts = Parts(
            backend,
            suite,
            name,
            config or Config(),
            tracer or NullTracer(),
            shield or NullShield(),
            router,
            upstream,
            auditor,
            index,
            encoder,
            told or Untold(),
            stale,
        )
        self.parts, self.stale = parts, stale
        embeds = encoder is not None
        self.names = Names(name, backend, created, embeds, lambda: parts.skills)
        self._adapting = Adapting(parts, self.names, artefacts)
        self._audits = Audits(parts)
        self._analyst = Analyst(parts, self._audits)
        self._direct = Direct(parts)

    @property
    def models(self) -> tuple[ModelCard, ...]:
        """The names that may be asked for, the Analyst first."""
        return self.names.cards

    async def chat(self, request: Request, visit: Visit) -> AsyncGenerator[Piece | Outcome, None]:
        """Pieces and at the end one Outcome; raises Fault. Closing it cancels the work."""
        trace = self.parts.tracer.start(visit, request)
        said: list[str] = []
        outcome: Outcome | None = None
        fault: Fault | None = None
        try:
            async with aclosing(self._answered(request, visit, trace)) as answer:
                async for thing in answer:
                    if isinstance(thing, Outcome):
                        outcome = replace(thing, trace_id=trace.trace_id)
                        trace.finish(outcome, "".join(said), None)
                    else:
                        if not thing.index:
                            said.append(thing.text)
                        yield thing
            if outcome is not None:
                yield outcome
        except Fault as error:
            fault = error
            raise
        except Exception as error:
            # Its text may hold what a user wrote: the class and the place alone are told.
            last = traceback.extract_tb(error.__traceback__)[-1]
            _log.error(
                "a request failed: %s at %s:%s", type(error).__name__, last.filename, last.lineno
            )
            fault = Fault(
                500, "the server failed on this request", kind="server_error", code="internal"
            )
            raise fault from error
        finally:
            if outcome is None:
                trace.finish(None, "".join(said), fault)

    async def _answered(
        self, request: Request, visit: Visit, trace: Recorded
    ) -> AsyncGenerator[Piece | Outcome, None]:
        named = self._validated(request)
        until = deadline(self.parts.config.serve.request_seconds)
        self.parts.shield.logprobs(request, visit.caller)
        direct = is_direct(request, named, self.parts.suite)
        await within(until, refuse_too_long(self.parts, request, direct))
        if direct:
            guard = asyncio.create_task(self._guarded(request, visit, trace, until))
            if not self._beside(request):
                await guard
            generated = self._direct.answer(request, named, until, trace)
            try:
                async with aclosing(generated) as pieces:
                    async for piece in pieces:
                        flags = await guard
                        if isinstance(piece, Outcome):
                            told = (*flags, *undecided(self.parts, named))
                            piece = replace(piece, flags=(*told, *piece.flags))
                        yield piece
            except Fault:
                # What the guard refuses is refused, whatever else went wrong.
                await guard
                raise
            finally:
                guard.cancel()
                await asyncio.gather(guard, return_exceptions=True)
            return
        flags = await self._guarded(request, visit, trace, until)
        work = self._analyst.answer(request, named, visit, flags, trace, until)
        reply = await within(until, work)
        for word in wording.pieces(reply.text):
            yield Piece(text=word)
        yield Piece(finish=reply.finish, usage=reply.outcome.usage)
        yield reply.outcome

    async def _guarded(
        self, request: Request, visit: Visit, trace: Recorded, until: float
    ) -> tuple[str, ...]:
        """The guard's flags; what it lets pass puts its share into the escalation budget."""
        flags = await within(until, guarded(self.parts, request, visit, trace))
        if (budget := getattr(self.parts.upstream, "budget", None)) is not None:
            budget.credit()
        return flags

    def _beside(self, request: Request) -> bool:
        """Whether the model may begin while the guard still reads: no piece leaves before it spoke.

        Not where the prompt itself would leave, and not for what is written out before it is sent.
        """
        streamed = request.format.kind == "text" and request.logprobs is None
        return streamed and self.parts.config.serve.backend == "llama.cpp"

    def _validated(self, request: Request) -> Named:
        """What a request must be before anything is done for it; raises Fault."""
        named = self.names.find(request.model)
        if named.kind == "embedding":
            raise Fault(
                400,
                f"'{request.model}' only embeds; ask '{self.names.release}'",
                code="model_not_supported",
                param="model",
            )
        if not 1 <= request.n <= MOST_CHOICES:
            raise Fault(400, f"n is between 1 and {MOST_CHOICES}", param="n")
        if request.text is None and not request.turns:
            raise Fault(400, "'messages' is empty", param="messages")
        check_format(request.format)
        self.parts.shield.tools(request)
        return named

    async def embed(
        self, model: str, texts: tuple[str, ...], visit: Visit
    ) -> tuple[tuple[tuple[float, ...], ...], Usage]:
        """Vectors of texts, by the embedder's name."""
        trace = self.parts.tracer.start(visit, Request(model))
        fault: Fault | None = None
        done: Outcome | None = None
        try:
            if self.names.find(model).kind != "embedding":
                who = f"ask '{EMBEDDER}'" if self.parts.encoder else "nothing does here"
                raise Fault(
                    400,
                    f"'{model[:80]}' does not embed; {who}",
                    code="model_not_supported",
                    param="model",
                )
            if not texts or len(texts) > MOST_TEXTS or not all(map(str.strip, texts)):
                raise Fault(
                    400, f"input is 1 to {MOST_TEXTS} texts, none of them empty", param="input"
                )
            until = deadline(self.parts.config.serve.request_seconds)
            with trace.span("embed", texts=len(texts)):
                vectors, usage = await within(until, embedded(self.parts, texts))
            done = Outcome(model, usage, trace_id=trace.trace_id)
            return vectors, usage
        except Fault as error:
            fault = error
            raise
        finally:
            trace.finish(done, "", fault)

    async def load_adapter(self, name: str, path: str, families: tuple[str, ...] = ()) -> float:
        """Take in an adapter of the workspace's artefacts while serving; see Adapting."""
        return await self._adapting.load(name, path, families)

    async def unload_adapter(self, name: str) -> None:
        """Let an adapter go; see Adapting."""
        await self._adapting.unload(name)

    async def feedback(self, trace_id: str, score: float, comment: str, visit: Visit) -> None:
        """What a user thought of an answer; Fault 404 for an unknown trace."""
        await asyncio.to_thread(self.parts.tracer.feedback, trace_id, score, comment, visit)

    async def warm(self) -> None:
        """Load what a first request would wait for: grammars, the model's table, the embedder."""
        request = Request(self.names.release, (Turn("user", _WARMING),))
        with suppress(Fault, DenizenError):
            await asyncio.to_thread(self.parts.shield.check_input, request)
            await self._analyst.warm(request)

    async def ready(self) -> bool:
        """Whether an answer could be given now."""
        return await self.parts.backend.ready()

    async def close(self) -> None:
        """End audits, flush traces, free the model and let go of the index."""
        await self._audits.close()
        upstream: Any = self.parts.upstream
        if upstream is not None and hasattr(upstream, "close"):
            await upstream.close()
        await self.parts.shield.close()
        await self.parts.backend.close()
        if self.parts.index is not None:
            self.parts.index.close()
        await asyncio.to_thread(self.parts.tracer.close)
