"""The stronger model: any OpenAI-compatible chat endpoint over plain HTTP, asked with care.

Contract: `ask` gives a checked reply or raises UpstreamFailed with a reason in our own words; it
never waits longer than the timeout an attempt, reads no more than LARGEST bytes, follows no
redirect, and tries again only after 429, 5xx and connection errors.  Secrets and addresses leave
as placeholders and come back as they were; the key goes into one header and nowhere else.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from denizen.project.errors import ConfigError
from denizen.project.web import fits_header, web_address
from denizen.serve.exchange import Finish, ToolCall, Usage
from denizen.serve.route.budget import Budget
from denizen.serve.route.redaction import Mask
from denizen.serve.route.reply import UpstreamFailed, read_reply, whole
from denizen.serve.route.rubbish import why_rubbish
from denizen.serve.route.wire import body_of

if TYPE_CHECKING:
    import httpx

    from denizen.project.config import RouteConfig
    from denizen.serve.exchange import Request, Visit

LARGEST = 2**20  # bytes of a reply
LONGEST_WAIT = 5.0  # seconds a Retry-After may ask for; a caller is waiting
_FIRST_WAIT = 0.25  # seconds, doubled at each retry, with jitter
_AGAIN = frozenset({429, 500, 502, 503, 504, 529})
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Answered:
    """What the upstream wrote; `masked` counts the values that did not leave this machine."""

    text: str
    usage: Usage
    tool_calls: tuple[ToolCall, ...] = ()
    finish: Finish = "stop"
    model: str = ""
    masked: int = 0


class _Transient(Exception):
    """Worth asking again, after `wait` seconds if the server said so."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


class Upstream:
    """One endpoint with its budget; every escalation pays, failed ones too."""

    def __init__(
        self,
        url: str,
        model: str,
        *,
        key: str = "",
        timeout: float = 30.0,
        retries: int = 1,
        mask: bool = True,
        budget: Budget | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`mask` False sends requests as they are."""
        import httpx

        self.model, self.budget = model, budget or Budget(1.0, 1_000_000)
        self._url = url.rstrip("/") + "/chat/completions"
        self._timeout, self._retries = timeout, retries
        self._mask, self._sleep = mask, sleep
        headers = {"Accept": "application/json"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        self._http = httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(timeout, connect=min(10.0, timeout)),
            follow_redirects=False,
            transport=transport,
        )

    @classmethod
    def from_config(cls, route: RouteConfig) -> Upstream | None:
        """The upstream of `denizen.yaml`, None if none is named; raises ConfigError."""
        config = route
        if not config.upstream_url:
            return None
        key = _key(config.upstream_key_env)
        _check_address(config.upstream_url, bool(key))
        if not config.upstream_model:
            raise ConfigError(
                "the upstream has no model", where="route.upstream_model", fix="name one"
            )
        return cls(
            config.upstream_url,
            config.upstream_model,
            key=key,
            timeout=config.timeout,
            retries=config.retries,
            mask=config.redact,
            budget=Budget(config.budget, config.burst),
        )

    async def ask(self, request: Request, visit: Visit) -> Answered:
        """Escalate one request, if the budget allows it; raises UpstreamFailed."""
        if not self.budget.take():
            raise UpstreamFailed("over budget")
        return await self.check(request, visit)

    async def check(self, request: Request, visit: Visit) -> Answered:
        """The same for an audit or a report, which the escalation budget does not pay."""
        mask = Mask(_everything(request)) if self._mask else None
        body = body_of(request, self.model, mask.hide if mask else str)
        data = json.dumps(body).encode()
        # The caller may have chosen it: nothing leaves in it that would not leave in the text.
        told = mask.hide(visit.request_id) if mask else visit.request_id
        headers = {"Content-Type": "application/json", "X-Request-Id": told[:128]}
        for attempt in range(self._retries + 1):
            try:
                reply = read_reply(await self._once(data, headers), request.tools)
                break
            except _Transient as error:
                wait = _FIRST_WAIT * 2**attempt * random.uniform(0.5, 1.5)
                wait = wait if error.wait is None else error.wait
                if attempt == self._retries or wait > LONGEST_WAIT:
                    raise UpstreamFailed(str(error)) from None
                await self._sleep(wait)
        if not reply.tool_calls and (reason := why_rubbish(reply.text, request.format)):
            raise UpstreamFailed(reason, reply.usage)
        text, calls = reply.text, reply.tool_calls
        if mask is not None:
            text = _restored(text, mask, request.format.kind != "text")
            calls = tuple(ToolCall(c.id, c.name, _restored(c.arguments, mask, True)) for c in calls)
        count = mask.count if mask else 0
        return Answered(text, reply.usage, calls, reply.finish, reply.model, count)

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.aclose()

    async def _once(self, data: bytes, headers: dict[str, str]) -> bytes:
        """The body of one reply with status 200."""
        import httpx

        try:
            # A reply that drips never reaches a read timeout, so the whole attempt has one.
            async with (
                asyncio.timeout(self._timeout),
                self._http.stream("POST", self._url, content=data, headers=headers) as response,
            ):
                _check_status(response)
                found = bytearray()
                async for piece in response.aiter_bytes():
                    found += piece
                    if len(found) > LARGEST:
                        raise UpstreamFailed("a reply without end")
                return bytes(found)
        except (TimeoutError, httpx.TimeoutException):
            raise UpstreamFailed("timeout") from None
        except httpx.DecodingError:
            raise UpstreamFailed("a reply that cannot be decoded") from None
        except httpx.TransportError as error:
            # Its text may quote the server; its type is enough.
            raise _Transient(f"no connection ({type(error).__name__})") from None
        except httpx.HTTPError:
            raise UpstreamFailed("no reply") from None


def _check_status(response: httpx.Response) -> None:
    from denizen.evaluate.judge.client import retry_after

    code = response.status_code
    if code in _AGAIN:
        reason = "the upstream is busy" if code == 429 else f"the upstream answered HTTP {code}"
        raise _Transient(reason, retry_after(response.headers.get("Retry-After", "")))
    if code != 200:
        raise UpstreamFailed(f"refused (HTTP {code})")
    if "html" in response.headers.get("Content-Type", "").lower():
        raise UpstreamFailed("a web page")


def _restored(text: str, mask: Mask, as_json: bool) -> str:
    if not as_json:
        return mask.restore(text)
    try:
        return whole(json.dumps(mask.restore_all(json.loads(text)), ensure_ascii=False))
    except (ValueError, RecursionError):
        return mask.restore(text)


def _everything(request: Request) -> str:
    parts = [turn.content for turn in request.turns]
    parts += [call.arguments for turn in request.turns for call in turn.tool_calls]
    return "\n".join([*parts, request.text or "", json.dumps([dict(t) for t in request.tools])])


def _key(name: str) -> str:
    key = os.environ.get(name, "").strip() if name else ""
    if name and not (key and fits_header(key)):
        raise ConfigError(
            f"the environment variable {name} holds no usable key",
            where="route.upstream_key_env",
            fix="export the upstream's key under this name, or leave route.upstream_key_env empty",
        )
    return key


def _check_address(url: str, keyed: bool) -> None:
    fix = ""
    address = web_address(url)
    if address is None:
        fix = "write it like https://host/v1"
    elif address.username or address.password or address.query or address.fragment:
        fix = "leave credentials and queries out; name a key's variable in route.upstream_key_env"
    elif keyed and address.scheme == "http" and address.hostname not in _LOOPBACK:
        fix = "use https: a key would travel unencrypted"
    if fix:
        raise ConfigError(
            "the upstream's address cannot be used", where="route.upstream_url", fix=fix
        )
