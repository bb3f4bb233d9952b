"""One llama.cpp server inside this process, spoken to without HTTP.

Contract: the model is loaded with the first `run`, because a server's OpenMP threads slow down the
guided decoder even while they wait (see `models.llama_library.rest`).  `run` hands each event to a
function in the calling thread, which ends the work by returning True: the slot is free one token
later.  The server's own port stays on loopback behind a key that nobody is told.  Signal handlers
are as they were before (llama.cpp sets its own), also when one starts while another answers, and
grammars of two servers never begin at once (see `models.llama_grammars`).
"""

from __future__ import annotations

import ctypes
import itertools
import secrets
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from denizen.models.llama import start_server
from denizen.models.llama_grammars import TURNS
from denizen.project.errors import ArtefactError

_ACTION = 256  # more than the bytes of a struct sigaction
_NUMBERS = itertools.count()
# As JSON escapes quotation marks, it is a key, or a whole string and then a turn for nothing.
_GRAMMAR = b'"grammar"'


class Engine:
    """A GGUF with `adapters`, `parallel` requests of `context` tokens at a time."""

    def __init__(
        self,
        gguf: Path,
        *,
        context: int,
        parallel: int,
        threads: int,
        adapters: Sequence[Path] = (),
    ) -> None:
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path = str(gguf)
        params.n_ctx, params.n_parallel = context * parallel, parallel
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
        params.n_batch = 512
        params.warmup, params.verbosity = False, -1
        # Prompts of past requests in memory beside the cells: gigabytes, if it is allowed to.
        params.cache_ram_mib = 0
        params.ui = False
        params.api_keys = [secrets.token_urlsafe(32)]
        # A scale of 0 until a request asks for the adapter.
        params.lora_adapters = [
            xllamacpp.CommonAdapterLoraInfo(str(path), 0.0) for path in adapters
        ]
        self._params, self._gguf = params, gguf
        self._server: Any = None
        self._number = -1
        self._starting = threading.Lock()
        self._idle = threading.Condition()
        self._held = 0

    def start(self) -> Any:
        """Load the model unless it is loaded; the server. Raises ArtefactError."""
        with self._starting:
            if self._server is None:
                try:
                    with _signals_kept():
                        self._number, self._server = next(_NUMBERS), start_server(self._params)
                except Exception as error:
                    raise ArtefactError(
                        "llama.cpp cannot serve the model",
                        where=str(self._gguf),
                        fix="export the model again, or lower serve.parallel or export.context",
                    ) from error
            return self._server

    @property
    def started(self) -> bool:
        """Whether the model is loaded."""
        return self._server is not None

    def hold(self) -> None:
        """Do not free it before `release`: work for it is on its way."""
        with self._idle:
            self._held += 1

    def release(self) -> None:
        """The work is done, or will not be."""
        with self._idle:
            self._held -= 1
            self._idle.notify_all()

    def run(self, body: bytes, deliver: Callable[[bytes], bool]) -> None:
        """One completion, streamed to `deliver` until it returns True; blocks."""
        server = self.start()
        if _GRAMMAR not in body:
            server.handle_completions(body, deliver)
            return
        with TURNS.turn(self._number) as begun:

            def first(event: bytes) -> bool:
                begun()
                return deliver(event)

            server.handle_completions(body, first)

    def busy(self) -> int:
        """Requests that llama.cpp is working on."""
        server = self._server
        if server is None:
            return 0
        found = server.handle_metrics()
        text = found.decode() if isinstance(found, bytes) else str(found)
        line = next(x for x in text.splitlines() if x.startswith("llamacpp:requests_processing"))
        return int(float(line.split()[1]))

    def close(self, patience: float | None = None) -> None:
        """Wait until nobody holds it (at most `patience` seconds), then free the model."""
        with self._idle:
            self._idle.wait_for(lambda: self._held == 0, patience)
            self._server = None


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Put back the process's handlers, which llama.cpp replaces; works from any thread."""
    action = getattr(ctypes.CDLL(None), "sigaction", None) if hasattr(signal, "SIGTERM") else None
    if action is None:
        yield
        return
    kept = {number: ctypes.create_string_buffer(_ACTION) for number in _HANDLED}
    for number, place in kept.items():
        action(int(number), None, place)
    try:
        yield
    finally:
        for number, place in kept.items():
            action(int(number), place, None)


_HANDLED = (signal.SIGINT, signal.SIGTERM)
