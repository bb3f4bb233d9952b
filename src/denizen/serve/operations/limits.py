"""Rate limits: token buckets for requests and tokens a minute, for each key or address.

Contract: `take` lets a request in or raises Fault 429 with the exact seconds until it would be let
in; what an answer cost is known only afterwards, so `spend` may leave a debt that delays the next
request. IPv6 callers are one for each /64. Memory is bounded: the callers seen longest ago are
forgotten. Headers of proxies are never looked at: the address is that of the connection.
"""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from denizen.serve.exchange import Fault

_REMEMBERED = 10_000  # callers of each kind
_FAILURES = 10  # failed authentications a minute and address
_NEARLY = 1e-6  # what rounding may lose of a token


@dataclass(slots=True)
class Bucket:
    """`capacity` tokens that come back within a minute; `level` may be a debt. `at`: seconds."""

    capacity: int
    level: float
    at: float

    def refill(self, now: float) -> None:
        """Add what came back since the last look."""
        gained = max(0.0, now - self.at) * self.capacity / 60
        self.level, self.at = min(float(self.capacity), self.level + gained), now

    def wait(self, cost: float = 1.0) -> float:
        """Seconds until `cost` is there; 0: now."""
        missing = cost - self.level
        return 0.0 if missing <= _NEARLY else missing * 60 / self.capacity

    def until_full(self) -> float:
        """Seconds until nothing is missing."""
        return (self.capacity - self.level) * 60 / self.capacity


class _Buckets:
    """The buckets of the callers seen last."""

    def __init__(self, remembered: int) -> None:
        self._remembered = remembered
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def of(self, who: str, capacity: int, now: float) -> Bucket:
        bucket = self._buckets.get(who)
        if bucket is None:
            bucket = self._buckets[who] = Bucket(capacity, float(capacity), now)
            while len(self._buckets) > self._remembered:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(who)
        bucket.refill(now)
        if bucket.capacity != capacity:  # the key's limit was changed
            bucket.capacity, bucket.level = capacity, min(bucket.level, float(capacity))
        return bucket


class Limits:
    """Limits of every caller, 0: none. A caller is named by `who`: a key's id or `network`."""

    def __init__(
        self,
        requests_per_minute: int = 0,
        tokens_per_minute: int = 0,
        *,
        failures_per_minute: int = _FAILURES,
        remembered: int = _REMEMBERED,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._requests, self._tokens = requests_per_minute, tokens_per_minute
        self._failures, self._clock = failures_per_minute, clock
        # Apart: a flood of addresses must not make the server forget what a key owes.
        self._of = {
            kind: _Buckets(remembered) for kind in ("key", "address", "key-tokens", "tokens")
        }
        self._failed = _Buckets(remembered)

    def take(self, who: str, *, key: bool = False, requests: int = 0) -> None:
        """Count a request; `requests` is the key's own limit a minute. Raises Fault 429."""
        tokens = self._token_bucket(who, key)
        if tokens is not None and (seconds := tokens.wait()) > 0:
            raise _too_many("tokens", tokens.capacity, seconds)
        bucket = self._request_bucket(who, key, requests)
        if bucket is None:
            return
        if (seconds := bucket.wait()) > 0:
            raise _too_many("requests", bucket.capacity, seconds)
        bucket.level -= 1

    def spend(self, who: str, tokens: int, *, key: bool = False) -> None:
        """Take what an answer cost; the debt is waited for in full."""
        if (bucket := self._token_bucket(who, key)) is not None:
            bucket.level -= tokens

    def headers(self, who: str, *, key: bool = False, requests: int = 0) -> dict[str, str]:
        """x-ratelimit headers by OpenAI's names; resets are seconds until all has come back."""
        found = {
            "requests": self._request_bucket(who, key, requests),
            "tokens": self._token_bucket(who, key),
        }
        headers = {}
        for unit, bucket in found.items():
            if bucket is not None:
                headers[f"x-ratelimit-limit-{unit}"] = str(bucket.capacity)
                headers[f"x-ratelimit-remaining-{unit}"] = str(max(0, int(bucket.level + _NEARLY)))
                headers[f"x-ratelimit-reset-{unit}"] = f"{bucket.until_full():.3f}s"
        return headers

    def failed(self, address: str) -> None:
        """Count a failed authentication; Fault 429 instead of another 401 when there are too many.

        Only failures are counted and only failures refused: a right key opens at once, whoever
        else guesses from behind the same address.
        """
        bucket = self._failed.of(network(address), self._failures, self._clock())
        if (seconds := bucket.wait()) > 0:
            raise _too_many("failed authentications", bucket.capacity, seconds)
        bucket.level -= 1

    def _request_bucket(self, who: str, key: bool, requests: int) -> Bucket | None:
        limit = requests or self._requests
        kind = "key" if key else "address"
        return self._of[kind].of(who, limit, self._clock()) if limit else None

    def _token_bucket(self, who: str, key: bool) -> Bucket | None:
        kind = "key-tokens" if key else "tokens"
        return self._of[kind].of(who, self._tokens, self._clock()) if self._tokens else None


def network(address: str) -> str:
    """Who an address belongs to: itself, or its /64 in IPv6, of which one caller has 2^64."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((int(found), 64), strict=False))
    return str(found)


def _too_many(what: str, limit: int, seconds: float) -> Fault:
    return Fault(
        429,
        f"too many {what}: {limit} a minute are allowed, try again in {seconds:.1f} s",
        kind=what if what in ("requests", "tokens") else "invalid_request_error",
        code="rate_limit_exceeded",
        retry_after=seconds,
    )
