"""Moderation by others: an OpenAI-compatible endpoint, or a function of the operator's own.

Contract: `Moderation.flags(text)` gives "moderation: CATEGORY" for each category that was flagged.
When the endpoint does not answer in time, refuses or talks rubbish, shield.moderation_failure
holds: closed (Fault 503, the default: who asks for moderation wants nothing unjudged) or open (the
text passes, with the flag "moderation unavailable"). Never silence.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Literal

from denizen.serve.exchange import Fault

if TYPE_CHECKING:
    import httpx

Failure = Literal["open", "closed"]
# The operator's own check: categories of a text, none if it is fine.
Hook = Callable[[str], Iterable[str] | Awaitable[Iterable[str]]]
UNAVAILABLE = "moderation unavailable"
SECONDS = 3.0
_LONGEST = 32_000  # characters of one input; a longer text is sent as several
_MOST = 32  # categories that are believed
_FLAGGED = "flagged"  # by whatever has no name


class Moderation:
    """One endpoint, one function, both or neither."""

    def __init__(
        self,
        url: str = "",
        key: str = "",
        *,
        hook: Hook | None = None,
        failure: Failure = "closed",
        seconds: float = SECONDS,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._url, self._key, self._hook = url, key, hook
        self._failure, self._seconds, self._transport = failure, seconds, transport
        self._client: httpx.AsyncClient | None = None

    @property
    def configured(self) -> bool:
        """Whether anything is asked at all."""
        return bool(self._url or self._hook)

    async def flags(self, text: str) -> tuple[str, ...]:
        """What was flagged; raises Fault 503 if it cannot be told and the choice is closed."""
        found: list[str] = []
        try:
            async with asyncio.timeout(self._seconds):
                if self._hook is not None:
                    said = self._hook(text)
                    named = await said if isawaitable(said) else said
                    found += [named] if isinstance(named, str) else list(named)
                if self._url:
                    found += await self._ask(text)
        # Whatever an operator's function or a foreign server does, the request is decided here.
        except Exception as error:
            if self._failure == "closed":
                raise Fault(
                    503,
                    "moderation did not answer, and without it nothing is served",
                    kind="server_error",
                    code="moderation_unavailable",
                    retry_after=self._seconds,
                ) from error
            return (*_named(found), UNAVAILABLE)
        return _named(found)

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _ask(self, text: str) -> list[str]:
        import httpx

        if self._client is None:
            self._client = httpx.AsyncClient(timeout=self._seconds, transport=self._transport)
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        whole = text.encode("utf-8", "replace").decode("utf-8")
        # All of it: what stands behind a long preface is judged too.
        parts = [whole[at : at + _LONGEST] for at in range(0, len(whole), _LONGEST)]
        asked = parts if len(parts) > 1 else whole
        reply = await self._client.post(self._url, json={"input": asked}, headers=headers)
        reply.raise_for_status()
        return _categories(reply.json(), max(1, len(parts)))


def _categories(reply: Any, inputs: int) -> list[str]:
    """Flagged categories of a reply to so many inputs; raises ValueError for another shape."""
    results = reply.get("results") if isinstance(reply, dict) else None
    if not isinstance(results, list) or len(results) < inputs:
        raise ValueError("not a moderation reply")
    found: list[str] = []
    for result in results:
        if not isinstance(result, dict) or not isinstance(result.get("flagged"), bool):
            raise ValueError("not a moderation result")
        categories = result.get("categories")
        named = (
            [k for k, v in categories.items() if v is True] if isinstance(categories, dict) else []
        )
        found += named or ([_FLAGGED] if result["flagged"] else [])
    return found


def _named(categories: Iterable[object]) -> tuple[str, ...]:
    """Foreign words as flags: short, of harmless characters, each once."""
    plain = (re.sub(r"[^\w/ -]", "", str(category))[:40].strip() for category in categories)
    return tuple(f"moderation: {word or _FLAGGED}" for word in list(dict.fromkeys(plain))[:_MOST])
