"""What the interfaces ask before and after each request: who asks, may he, is there room.

Contract: `admit` names the caller (Fault 401), `need` asks for a scope (403), `take` for a rate
and a quota (429), `place` for room (503); `spend` counts what it cost. All of it in microseconds,
for the event loop waits. A start that would leave a reachable server without keys is refused.
"""

from __future__ import annotations

import ipaddress
import logging
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from denizen.project.errors import ConfigError
from denizen.serve.exchange import Caller, Fault, Usage
from denizen.serve.operations.access import current
from denizen.serve.operations.admission import AdmissionQueue, closing
from denizen.serve.operations.keyring import KeyRing
from denizen.serve.operations.keys import SCOPES
from denizen.serve.operations.limits import Limits, network
from denizen.serve.operations.metrics import Metrics
from denizen.serve.operations.quotas import Quotas

if TYPE_CHECKING:
    from denizen.project.config import ServeConfig

_EVERYTHING = frozenset(SCOPES)
# Without keys but reachable: no logprobs (they make copying a model cheap), nothing of others.
_STRANGERS = frozenset({"chat", "embeddings", "feedback"})
_LONGEST_SECRET = 512
_LOG = logging.getLogger("denizen.serve")


class Operations:
    """The gatekeeper of one server; one event loop uses it."""

    def __init__(
        self,
        ring: KeyRing,
        quotas: Quotas,
        *,
        limits: Limits | None = None,
        queue: AdmissionQueue | None = None,
        keys: Literal["auto", "on", "off"] = "auto",
        loopback: bool = True,
    ) -> None:
        self._ring, self._quotas = ring, quotas
        self._limits = limits or Limits()
        self.queue = queue or AdmissionQueue(4, 64, 30.0)
        self._keys, self._loopback = keys, loopback
        self.metrics = Metrics()
        self.metrics.watch(
            waiting=lambda: self.queue.waiting,
            used=lambda: self.queue.used,
            places=self.queue.places,
            draining=lambda: self.draining,
        )

    @classmethod
    def from_config(
        cls,
        serve: ServeConfig,
        workspace: Path,
        *,
        ahead: int = 0,
        warn: Callable[[str], None] = lambda line: print(f"warning: {line}", file=sys.stderr),
    ) -> Operations:
        """What denizen.yaml says. Raises ConfigError when a reachable server would have no key.

        `ahead`: how many requests more than serve.parallel are let in, to be made ready.
        """
        ring, loopback = KeyRing(workspace), is_loopback(serve.host)
        if serve.keys != "off":
            usable = ring.usable
            if ring.broken is not None:
                raise ring.broken
            if not usable and (serve.keys == "on" or not loopback or ring.made):
                raise ConfigError(
                    "keys are asked for, and none is active",
                    where=f"serve.keys: {serve.keys}, serve.host: {serve.host}",
                    fix="make one: denizen keys create NAME --scope chat",
                )
        elif not loopback:
            warn(
                f"serve.keys is off and {serve.host} is not loopback: everyone who reaches "
                "this port may ask; make a key and remove `keys: off`"
            )
        return cls(
            ring,
            Quotas(workspace),
            limits=Limits(serve.requests_per_minute, serve.tokens_per_minute),
            queue=AdmissionQueue(serve.parallel + ahead, serve.queue, serve.queue_seconds),
            keys=serve.keys,
            loopback=loopback,
        )

    @property
    def keyed(self) -> bool:
        """Whether a key is asked for now; with `auto` the first key made turns it on."""
        if self._keys == "auto":
            return not self._loopback or self._ring.made
        return self._keys == "on"

    def admit(self, authorization: str, address: str) -> Caller:
        """Who asks, by the Authorization header ("Bearer dnz_..."). Raises Fault 401 or 429."""
        if not self.keyed:
            scopes = _EVERYTHING if self._loopback else _STRANGERS
            return self._admitted(Caller("local", scopes, address))
        try:
            key = self._ring.find(_secret_of(authorization))
        except Fault as fault:
            if fault.status == 401:
                self._limits.failed(address)
            raise
        scopes = _EVERYTHING if "admin" in key.scopes else frozenset(key.scopes)
        return self._admitted(Caller(key.id, scopes, address))

    def need(self, caller: Caller, scope: str) -> None:
        """Raises Fault 403 when the caller's key lacks a scope."""
        if scope not in caller.scopes:
            raise Fault(
                403,
                f"this needs the scope {scope!r}, which the caller does not have",
                code="insufficient_scope",
            )

    def take(self, caller: Caller) -> None:
        """Count a request. Raises Fault 429 with retry_after, 503 while the server ends."""
        if self.draining:
            raise closing()
        who, keyed, requests = self._who(caller)
        if keyed and (key := self._ring.get(caller.id)) is not None:
            self._quotas.check(key.id, key.tokens_per_day)
        self._limits.take(who, key=keyed, requests=requests)

    def spend(self, caller: Caller, usage: Usage) -> None:
        """Count what an answer cost, against the rate, the daily quota, the metrics and the log."""
        who, keyed, _ = self._who(caller)
        tokens = usage.prompt_tokens + usage.completion_tokens
        self._limits.spend(who, tokens, key=keyed)
        if keyed:
            self._quotas.add(caller.id, tokens)
        self.metrics.used(usage)
        access = current()
        access.prompt_tokens += usage.prompt_tokens
        access.completion_tokens += usage.completion_tokens

    def headers(self, caller: Caller) -> dict[str, str]:
        """x-ratelimit headers of an answer to this caller; none without limits."""
        who, keyed, requests = self._who(caller)
        return self._limits.headers(who, key=keyed, requests=requests)

    def place(self, caller: Caller | None = None) -> AbstractAsyncContextManager[None]:
        """A place for one answer; callers take turns. Raises Fault 503 with retry_after."""
        return self.queue.place(self._who(caller)[0] if caller else current().turn)

    @property
    def draining(self) -> bool:
        """Whether new requests are refused."""
        return self.queue.draining

    def drain(self) -> None:
        """Refuse new requests from now on; those that wait or run go on."""
        self.queue.drain()

    def close(self) -> None:
        """Write what is counted, and let go of the files."""
        self._quotas.close()

    def _admitted(self, caller: Caller) -> Caller:
        access = current()
        access.key, access.turn = caller.id, self._who(caller)[0]
        return caller

    def _who(self, caller: Caller) -> tuple[str, bool, int]:
        """Whose limits count: the key's, with its own requests a minute, or the network's."""
        if caller.id == "local":
            return network(caller.address), False, 0
        key = self._ring.get(caller.id)
        return caller.id, True, key.requests_per_minute if key else 0


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that listens on `host`."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _secret_of(authorization: str) -> str:
    scheme, _, secret = authorization.strip().partition(" ")
    secret = secret.strip()
    if scheme.lower() != "bearer" or not secret or len(secret) > _LONGEST_SECRET:
        raise Fault(
            401,
            "an API key is needed, as the header `Authorization: Bearer dnz_...`",
            code="invalid_api_key",
        )
    return secret
