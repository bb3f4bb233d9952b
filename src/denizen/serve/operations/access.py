"""The line a request leaves in the log, and how the rooms below add to it without being handed it.

Contract: `current()` is the record of the request that is being answered, in this task or in one
it started; whoever learns who asked, or what it cost, writes it there. Outside a request it is a
record nobody reads.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(slots=True)
class Access:
    """One request. Never its secret, its query or its body; `begun` is of time.perf_counter."""

    method: str = ""
    path: str = ""
    key: str = ""
    turn: str = ""  # whose turn it takes in the queue
    request_id: str = ""
    status: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    begun: float = field(default_factory=time.perf_counter)

    def line(self) -> dict[str, object]:
        """What is logged; seconds since the request was read."""
        return {
            "event": "request",
            "request_id": self.request_id[:128],
            "key": self.key,
            "method": self.method[:16],
            "path": self.path[:256],
            "status": self.status,
            "seconds": round(time.perf_counter() - self.begun, 4),
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
        }


_CURRENT: ContextVar[Access] = ContextVar("denizen_access")


def current() -> Access:
    """The record of this request."""
    return _CURRENT.get(None) or Access()


@contextmanager
def recorded(access: Access) -> Iterator[Access]:
    """Make `access` the current record for the block."""
    token = _CURRENT.set(access)
    try:
        yield access
    finally:
        _CURRENT.reset(token)
