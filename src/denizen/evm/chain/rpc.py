"""JSON-RPC over HTTP that survives real nodes: retries, rate limits, stalls, redacted errors.

Contract: `call` returns a result or raises RpcError; what can pass (429, 5xx, a dropped or garbled
answer) is retried with exponential backoff and jitter, honouring Retry-After.  An answer that
trickles is cut at a deadline.  The URL may hold a key: only scheme and host are ever shown.
Source: JSON-RPC 2.0, the Ethereum execution API, EIP-1474 error codes.
"""

from __future__ import annotations

import json
import logging
import random
import re
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import httpx

from denizen.project.errors import DenizenError

_HASH = re.compile(r"0x[0-9a-f]{64}")
_LARGEST_ANSWER = 256 * 2**20
_LONGEST_WAIT = 300.0  # seconds; a node that asks for more is not waited for
_RATE = re.compile(
    r"rate.?limit|too many requests|per second|throughput|capacity|throttl|quota|slow down"
    r"|^limit exceeded|request (count|limit)",
    re.I,
)
_SIZE = re.compile(
    r"range|results|size|too (many|large|wide|big)|more than|limited to|time.?d? ?out|exceed", re.I
)
_PASSING = re.compile(r"try again|temporar|overloaded|unavailable|header not found|busy", re.I)


class RpcError(DenizenError):
    """The node refused, lied, or cannot be reached."""


class Refused(RpcError):
    """A JSON-RPC error that repeating the call would not change."""


class Stalled(RpcError):
    """No whole answer within the time allowed."""


class _Again(Exception):
    """A failure that may pass, and the seconds the node asked for."""

    def __init__(self, reason: str, wait: float | None = None, stalled: bool = False) -> None:
        self.reason, self.wait, self.stalled = reason, wait, stalled
        super().__init__(reason)


class Header(NamedTuple):
    """What identifies a block."""

    number: int
    hash: str
    parent_hash: str
    timestamp: int


class Rpc:
    """One node.  `sleep`, `jitter` (0..1) and `transport` are there to be replaced in a test."""

    def __init__(
        self,
        url: str,
        *,
        timeout: float = 30.0,
        attempts: int = 7,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.name, self._secrets = _redacted(url)
        # httpx logs every request with its whole URL at INFO, and httpcore the path at DEBUG.
        for library in ("httpx", "httpcore"):
            logging.getLogger(library).setLevel(logging.WARNING)
        self._url, self._timeout, self._attempts = url, timeout, attempts
        self._sleep, self._jitter = sleep, jitter
        self._client = httpx.Client(timeout=timeout, transport=transport)
        self.requests = 0

    def __enter__(self) -> Rpc:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()

    def call(self, method: str, *params: Any, patient: bool = True) -> Any:
        """The result; if not `patient`, a stall is raised at once (the caller asks for less)."""
        reason = ""
        for attempt in range(self._attempts):
            try:
                return self._once(method, params)
            except _Again as again:
                if again.stalled and not patient:
                    raise Stalled(f"{method}: {again.reason}", where=self.name) from None
                reason, wait = again.reason, again.wait
            if wait is not None and wait > _LONGEST_WAIT:
                raise RpcError(
                    f"the node asks to wait {wait:.0f} s", where=self.name, fix="come back then"
                )
            if attempt + 1 < self._attempts:
                backoff = min(0.5 * 2**attempt, 30.0) * (0.5 + self._jitter() / 2)
                self._sleep(backoff if wait is None else wait + self._jitter() / 2)
        raise RpcError(
            f"{method} failed {self._attempts} times: {reason}",
            where=self.name,
            fix="check the URL and the node, then run the same command again",
        )

    def chain_id(self) -> int:
        """The chain's number (EIP-155)."""
        return self.quantity(self.call("eth_chainId"), "eth_chainId")

    def head(self) -> int:
        """Number of the newest block."""
        return self.quantity(self.call("eth_blockNumber"), "eth_blockNumber")

    def header(self, number: int) -> Header | None:
        """A block by number, None if the node does not have it."""
        found = self.call("eth_getBlockByNumber", hex(number), False)
        if found is None:
            return None
        try:
            header = Header(
                int(found["number"], 16),
                str(found["hash"]).lower(),
                str(found["parentHash"]).lower(),
                int(found["timestamp"], 16),
            )
        except (TypeError, KeyError, ValueError):
            raise RpcError(f"block {number} is malformed", where=self.name) from None
        if not (_HASH.fullmatch(header.hash) and _HASH.fullmatch(header.parent_hash)):
            raise RpcError(f"block {number} has a malformed hash", where=self.name)
        if header.number != number:
            raise RpcError(f"asked for block {number}, got {header.number}", where=self.name)
        return header

    def read(self, to: str, data: bytes) -> bytes:
        """eth_call at the newest block."""
        return self.unhex(self.call("eth_call", {"to": to, "data": "0x" + data.hex()}, "latest"))

    def code(self, address: str) -> bytes:
        """Runtime code at the newest block."""
        return self.unhex(self.call("eth_getCode", address, "latest"))

    def quantity(self, value: Any, what: str) -> int:
        """A hex quantity; raises RpcError on anything else."""
        if not isinstance(value, str) or not re.fullmatch(r"0x[0-9a-fA-F]+", value):
            raise RpcError(f"{what} is not a number: {str(value)[:40]!r}", where=self.name)
        return int(value, 16)

    def unhex(self, value: Any) -> bytes:
        """Hex data; raises RpcError on anything else."""
        try:
            return bytes.fromhex(value.removeprefix("0x"))
        except (AttributeError, ValueError):
            raise RpcError(f"not hex data: {str(value)[:40]!r}", where=self.name) from None

    def _once(self, method: str, params: tuple[Any, ...]) -> Any:
        self.requests += 1
        ask = {"jsonrpc": "2.0", "id": self.requests, "method": method, "params": list(params)}
        try:
            status, headers, body = self._post(ask)
        except httpx.TimeoutException:
            raise _Again(f"no answer in {self._timeout:g} s", stalled=True) from None
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, UnicodeError):  # or its host's name
            raise RpcError("not a usable URL", where=self.name, fix="http(s)://HOST/...") from None
        except httpx.HTTPError as error:  # its text may hold the URL
            raise _Again(type(error).__name__) from None
        if status == 429:
            raise _Again("rate limited (HTTP 429)", _retry_after(headers))
        if status in (401, 403):
            raise RpcError(
                f"access denied (HTTP {status})", where=self.name, fix="check the key in the URL"
            )
        if status == 413:
            raise Refused("HTTP 413: too large", where=self.name)
        return self._result(method, ask["id"], status, headers, body)

    def _result(
        self, method: str, number: Any, status: int, headers: httpx.Headers, body: bytes
    ) -> Any:
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            answer = None
        error = answer.get("error") if isinstance(answer, dict) else None
        if error:
            raise self._failure(method, error, headers)
        if status >= 500 or status == 408:
            raise _Again(f"HTTP {status}", _retry_after(headers), stalled=status in (408, 504))
        if status != 200:
            raise RpcError(f"{method}: HTTP {status}", where=self.name, fix="check the URL")
        if not isinstance(answer, dict) or "result" not in answer or answer.get("id") != number:
            raise _Again("an answer that is not ours, or cut short")
        return answer["result"]

    def _failure(self, method: str, error: Any, headers: httpx.Headers) -> Exception:
        code = error.get("code") if isinstance(error, dict) else None
        message = self._clean(str(error.get("message") if isinstance(error, dict) else error))
        text = f"{method}: {message} (code {code})"
        logs = method == "eth_getLogs"
        if code == 429 or _RATE.search(message) or (code == -32005 and not logs):
            return _Again(text, _retry_after(headers))
        if logs and _SIZE.search(message):
            return Refused(text, where=self.name)
        if code == -32603 or _PASSING.search(message):
            return _Again(text)
        return Refused(text, where=self.name)

    def _post(self, ask: Any) -> tuple[int, httpx.Headers, bytes]:
        """Reads under one deadline: httpx's own timeout starts anew with every chunk."""
        deadline = time.monotonic() + self._timeout
        body = bytearray()
        with self._client.stream("POST", self._url, json=ask) as response:
            for chunk in response.iter_bytes():
                body += chunk
                if time.monotonic() > deadline:
                    raise httpx.ReadTimeout("the answer trickles")
                if len(body) > _LARGEST_ANSWER:
                    raise Refused("the answer is too large", where=self.name)
            return response.status_code, response.headers, bytes(body)

    def _clean(self, text: str) -> str:
        """A node's message on one line, without URLs or anything of ours."""
        text = re.sub(r"\w+://\S+", "[url]", " ".join(text.split()))
        for secret in self._secrets:
            text = text.replace(secret, "[key]")
        return text[:200]


def _redacted(url: str) -> tuple[str, list[str]]:
    """Scheme and host to show, and the words of the URL never to show; raises RpcError."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        parts, port = urlsplit(""), ""
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise RpcError("not a usable URL", where="--rpc", fix="give http(s)://HOST/...")
    words = [*parts.path.split("/"), *re.split("[&=;]", parts.query), parts.fragment]
    words += [value for _, value in parse_qsl(parts.query)]
    words += [parts.username or "", parts.password or ""]
    secrets = sorted({word for word in words if len(word) >= 6}, key=len, reverse=True)
    return f"{parts.scheme}://{parts.hostname}{port}", secrets


def _retry_after(headers: httpx.Headers) -> float | None:
    """Seconds from a Retry-After header, which is a number or a date (RFC 9110)."""
    text = headers.get("retry-after", "").strip()
    try:
        return max(float(text), 0.0)
    except ValueError:
        pass
    try:
        return max(parsedate_to_datetime(text).timestamp() - time.time(), 0.0)
    except (ValueError, TypeError):
        return None
