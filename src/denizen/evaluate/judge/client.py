"""One question to any OpenAI-compatible chat endpoint over plain HTTP, with a hard deadline.

Contract: `ChatClient.ask(messages)` gives the reply's text and the model that the server says
wrote it.  Slow, cut, rubbish, 5xx and rate-limited replies are retried (Retry-After is obeyed) and
then are Unjudged; a refused key or a wrong address is a JudgeError at once.  The key comes from
the environment variable that is named, goes into one header, and is in no message, log or repr.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from denizen.evaluate.judge.errors import JudgeError, Unjudged
from denizen.project.web import fits_header, web_address

if TYPE_CHECKING:
    import httpx

_LARGEST = 2**20  # bytes of a reply
_FIRST_WAIT = 0.5  # seconds, doubled at each retry
_AGAIN = frozenset({408, 409, 425, 429})
_THIS_ITEM = frozenset({400, 413, 422})  # too long, or filtered: the next one may pass
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0"})

Messages = Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class JudgeSettings:
    """Where the judge is and how patient to be.

    `base_url` ends before "/chat/completions"; `api_key_env` names an environment variable, empty
    for an endpoint without a key.  `timeout`: seconds for one reply in all; `longest_wait`: the
    longest Retry-After (seconds) that is waited for; `parallel`: questions at a time.
    """

    base_url: str
    model: str
    api_key_env: str = ""
    timeout: float = 60.0
    retries: int = 3
    longest_wait: float = 30.0
    parallel: int = 4
    max_tokens: int = 512

    def __post_init__(self) -> None:
        address = web_address(self.base_url)
        if address is None:
            raise JudgeError(
                "the judge's address is no URL",
                where="judge.base_url",
                fix="write it like http://127.0.0.1:8080/v1",
            )
        if address.username or address.password or address.query:
            raise JudgeError(
                "the judge's address holds credentials or a query",
                where="judge.base_url",
                fix="name an environment variable in judge.api_key_env instead",
            )
        if self.api_key_env and address.scheme == "http" and address.hostname not in LOOPBACK:
            raise JudgeError(
                "a key would travel unencrypted", where="judge.base_url", fix="use https"
            )
        if not self.model:
            raise JudgeError("the judge has no model", where="judge.model", fix="name one")
        if self.retries < 0 or self.timeout <= 0 or self.parallel < 1:
            raise ValueError("need retries >= 0, timeout > 0 and parallel >= 1")


class Reply(NamedTuple):
    """What the judge wrote, and the model that the server says wrote it."""

    text: str
    model: str


class _Transient(Exception):
    """Worth asking again, after `wait` seconds if the server said so."""

    def __init__(self, why: str, wait: float | None = None) -> None:
        super().__init__(why)
        self.wait = wait


class ChatClient:
    """A connection pool to one endpoint; safe to share between threads. Close it after use."""

    def __init__(
        self,
        settings: JudgeSettings,
        *,
        sleep: Callable[[float], None] = time.sleep,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        import httpx

        self.settings = settings
        self._sleep = sleep
        headers = {"Accept": "application/json"}
        if settings.api_key_env:
            headers["Authorization"] = f"Bearer {_key(settings.api_key_env)}"
        # No redirects: a key must not follow one to another place.
        self._http = httpx.Client(
            headers=headers,
            timeout=httpx.Timeout(settings.timeout, connect=min(10.0, settings.timeout)),
            follow_redirects=False,
            transport=transport,
        )
        self._url = settings.base_url.rstrip("/") + "/chat/completions"

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def ask(self, messages: Messages, accept: Callable[[str], Any] = str) -> tuple[Any, Reply]:
        """(accept(text), reply); `accept` raises ValueError for a text that is no verdict.

        Raises Unjudged after the retries, and JudgeError for what no retry mends.
        """
        why = "not asked"
        for attempt in range(self.settings.retries + 1):
            try:
                reply = self._once(messages)
                return accept(reply.text), reply
            except ValueError as error:
                why, wait = f"no verdict in the reply ({error})", 0.0
            except _Transient as error:
                why = str(error)
                wait = _FIRST_WAIT * 2**attempt if error.wait is None else error.wait
            if wait > self.settings.longest_wait:
                raise Unjudged(f"{why}; the judge asks to wait {wait:.0f} s")
            if attempt < self.settings.retries:
                self._sleep(wait)
        raise Unjudged(f"{why}, {self.settings.retries + 1} times asked")

    def _once(self, messages: Messages) -> Reply:
        import httpx

        body = {
            "model": self.settings.model,
            "messages": list(messages),
            "temperature": 0,
            "max_tokens": self.settings.max_tokens,
        }
        deadline = time.monotonic() + self.settings.timeout
        try:
            with self._http.stream("POST", self._url, json=body) as response:
                _check_status(response)
                data = bytearray()
                for piece in response.iter_bytes():
                    data += piece
                    # A reply that drips never reaches a read timeout.
                    if time.monotonic() > deadline:
                        raise _Transient("the judge timed out")
                    if len(data) > _LARGEST:
                        raise _Transient("the reply is too large")
        except httpx.TimeoutException:
            raise _Transient("the judge timed out") from None
        except httpx.InvalidURL:
            raise JudgeError(
                "the judge's address is no URL", where="judge.base_url", fix="mend it"
            ) from None
        except httpx.HTTPError as error:
            # Its text may quote a server; its type is enough.
            raise _Transient(f"the connection failed ({type(error).__name__})") from None
        return _read(bytes(data))


def _key(name: str) -> str:
    key = os.environ.get(name, "").strip()
    if not key:
        raise JudgeError(
            f"the environment variable {name} is not set",
            where="judge.api_key_env",
            fix="export the judge's key under this name, or leave judge.api_key_env empty",
        )
    if not fits_header(key):
        raise JudgeError(
            f"the environment variable {name} holds no usable key",
            where="judge.api_key_env",
            fix="export the key alone, without line ends",
        )
    return key


def _check_status(response: httpx.Response) -> None:
    code = response.status_code
    if code == 200:
        return
    if code in _AGAIN or code >= 500:
        what = "the judge is rate limited" if code == 429 else f"the judge answered HTTP {code}"
        raise _Transient(what, retry_after(response.headers.get("Retry-After", "")))
    if code in _THIS_ITEM:
        raise Unjudged(f"the judge refused this question (HTTP {code})")
    fix = {
        401: "check the key in the variable that judge.api_key_env names",
        403: "check the key in the variable that judge.api_key_env names",
    }.get(code, "check judge.base_url and judge.model")
    raise JudgeError(f"the judge answered HTTP {code}", where="judge.base_url", fix=fix)


def retry_after(value: str) -> float | None:
    """Seconds of a Retry-After header (a number or an HTTP date); None without a readable one."""
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return None
    return max(0.0, seconds) if seconds < float("inf") else None


def _read(data: bytes) -> Reply:
    try:
        found = json.loads(data)
        text = found["choices"][0]["message"]["content"]
        model = found.get("model", "")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        raise _Transient("the reply is no chat completion") from None
    if not isinstance(text, str):
        raise _Transient("the reply has no text")
    return Reply(text, model if isinstance(model, str) else "")
