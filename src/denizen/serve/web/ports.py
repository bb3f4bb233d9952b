"""What the endpoint needs of the room operations/, and what every route can reach.

Contract: structural types only; `Operations` of operations/ fits `Operating`, and so do the fakes
of the tests.  A Site is made once per server and never changes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from denizen.project.config import ServeConfig
from denizen.serve.exchange import Answering, Caller, Outcome, Usage

Otlp = Callable[[bytes, str], Awaitable[bytes]]


class Measuring(Protocol):
    """Counts of what was served, as Prometheus reads them."""

    def observe(self, route: str, status: int, seconds: float, outcome: Outcome | None) -> None: ...
    def first_token(self, seconds: float) -> None: ...
    def text(self) -> str: ...


class Operating(Protocol):
    """Keys, scopes, quotas, the admission queue, metrics; each refusal is a Fault."""

    @property
    def draining(self) -> bool: ...
    @property
    def keyed(self) -> bool: ...
    @property
    def metrics(self) -> Measuring: ...
    def admit(self, authorization: str, address: str) -> Caller: ...
    def need(self, caller: Caller, scope: str) -> None: ...
    def take(self, caller: Caller) -> None: ...
    def spend(self, caller: Caller, usage: Usage) -> None: ...
    def headers(self, caller: Caller) -> dict[str, str]: ...
    def place(self, caller: Caller | None = None) -> AbstractAsyncContextManager[None]: ...


@dataclass(frozen=True)
class Site:
    """One server: what answers, what guards it, how it is set up."""

    answering: Answering
    operations: Operating
    name: str
    version: str
    settings: ServeConfig = field(default_factory=ServeConfig)
    otlp: Otlp | None = None
