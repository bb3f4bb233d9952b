"""What a request has used so far: counted where tokens are read and written, charged where it ends.

Contract: `metered()` opens a count for the request of this task; a backend adds to `meter()` as it
goes, so that what was cancelled or failed is charged for what it really used.  Outside a request
the count is one nobody reads.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from denizen.serve.exchange import Usage


@dataclass(slots=True)
class Meter:
    """Tokens of prompts that were processed, and tokens written."""

    read: int = 0
    written: int = 0
    first: int | None = None  # time.monotonic_ns() of the first token, if it was counted by itself

    def add(self, read: int = 0, written: int = 0) -> None:
        """Count tokens; corrections may be negative."""
        if written == 1 and not self.written:
            self.first = time.monotonic_ns()
        self.read += read
        self.written += written

    def count(self, usage: Usage) -> None:
        """Count what another server told."""
        self.add(usage.prompt_tokens, usage.completion_tokens)

    @property
    def usage(self) -> Usage:
        """The count as it is told."""
        return Usage(self.read, self.written)


_CURRENT: ContextVar[Meter] = ContextVar("denizen_meter")


def meter() -> Meter:
    """The count of this request."""
    return _CURRENT.get(None) or Meter()


@contextmanager
def metered() -> Iterator[Meter]:
    """Open a count for the block."""
    token = _CURRENT.set(Meter())
    try:
        yield _CURRENT.get()
    finally:
        _CURRENT.reset(token)
