"""Another server behind this one: vLLM, Ollama, llama-server, anything that speaks OpenAI's HTTP.

Contract: streams over plain httpx with timeouts and bounded replies; rubbish is a Fault 502
"backend_error", a refused connection 503, a slow one 504, and no fault holds the key or an
exception's text.  Closing the iterator closes the connection, which is how such servers are told to
stop.  Proxies and .netrc of the environment are not used.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any

from denizen.serve.backend.foreign import (
    Reader,
    Rubbish,
    body_of,
    broken,
    json_of,
    messages_of,
    refusal,
)
from denizen.serve.backend.sse import TooMuch, events, until, whole
from denizen.serve.exchange import BackendFacts, Fault, Piece, Request, Usage
from denizen.serve.metering import meter

if TYPE_CHECKING:
    import httpx

_CONNECT, _PROBE = 5.0, 5.0
_SMALL = 2**16  # bytes of a refusal, or of a count
_TOKENS = 8 * 2**20  # bytes of a list of token ids


class RemoteBackend:
    """The server at `url` (ends in /v1). Implements Backend.

    `timeout`: seconds for a whole reply; `context`: its longest prompt, 0 if not known.
    """

    def __init__(
        self,
        url: str,
        model: str,
        key: str = "",
        timeout: float = 120.0,
        *,
        context: int = 0,
    ) -> None:
        import httpx

        self._url, self._model, self._key, self._timeout = url.rstrip("/"), model, key, timeout
        self._context = context
        headers = {"Accept-Encoding": "identity", "Content-Type": "application/json"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        self._client = httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(timeout, connect=min(_CONNECT, timeout)),
            trust_env=False,
            follow_redirects=False,
        )

    @property
    def facts(self) -> BackendFacts:
        """What is known without asking."""
        return BackendFacts(model=self._model, context=self._context)

    async def stream(self, request: Request, adapter: str = "") -> AsyncIterator[Piece]:
        """Pieces of request.n choices, the last with the usage. Raises Fault."""
        path = "/completions" if request.text is not None else "/chat/completions"
        reader, deadline = Reader(request.n), time.monotonic() + self._timeout
        used, read, written = meter(), 0, 0
        # vLLM knows its adapters as models.
        body = body_of(request, adapter or self._model)
        async with self._asked("POST", f"{self._url}{path}", body) as reply:
            async with aclosing(_told(reply, deadline)) as told:
                async for event in told:
                    if event.get("error"):
                        raise refusal(_status(event), _dumped(event), None, self._key)
                    for piece in reader.feed(event):
                        # Guesses, until the server tells: who leaves early is charged for them.
                        read, written = read or _guess(request), written + 1
                        used.add(read if written == 1 else 0, 1)
                        yield piece
            for piece in reader.finish():
                if piece.usage and piece.usage != Usage():
                    last = piece.usage
                    used.add(last.prompt_tokens - read, last.completion_tokens - written)
                yield piece

    async def count(self, request: Request) -> int:
        """Tokens of the rendered prompt, as the server counts them; 0 if it does not say."""
        root = self._url.removesuffix("/v1")
        try:
            if request.text is not None:
                return await self._counted(root, {"prompt": request.text, "content": request.text})
            messages = messages_of(request)
            asked: dict[str, Any] = {"messages": messages, "add_generation_prompt": True}
            if request.tools:
                asked["tools"] = [dict(tool) for tool in request.tools]
            if found := await self._counted(root, asked):
                return found
            async with self._asked("POST", f"{root}/apply-template", asked) as reply:
                prompt = json_of(await whole(reply.aiter_raw(), _TOKENS)).get("prompt")
            return await self._counted(root, {"content": prompt, "parse_special": True})
        except Fault:
            return 0

    async def _counted(self, root: str, body: dict[str, Any]) -> int:
        """vLLM answers with a count, llama-server with the ids."""
        body = {"model": self._model, **body}
        async with self._asked("POST", f"{root}/tokenize", body) as reply:
            told = json_of(await whole(reply.aiter_raw(), _TOKENS))
        count, tokens = told.get("count"), told.get("tokens")
        if isinstance(count, int) and count >= 0:
            return count
        return len(tokens) if isinstance(tokens, list) else 0

    async def ready(self) -> bool:
        """Whether the server answers."""
        import httpx

        try:
            async with self._client.stream("GET", f"{self._url}/models", timeout=_PROBE) as reply:
                return reply.status_code < 500
        except httpx.HTTPError:
            return False

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    @asynccontextmanager
    async def _asked(self, method: str, url: str, body: Any) -> AsyncIterator[httpx.Response]:
        """A successful reply, not yet read; whatever else happens is a Fault."""
        import httpx

        try:
            # Escaped by json: half a character (a lone surrogate) is no reason to fail here.
            async with self._client.stream(method, url, content=json.dumps(body)) as reply:
                if reply.status_code != 200:
                    data = await _beginning(reply)
                    retry = reply.headers.get("retry-after")
                    raise refusal(reply.status_code, data, retry, self._key)
                if reply.headers.get("content-encoding", "identity") != "identity":
                    raise broken("it packed its reply")
                yield reply
        except httpx.ConnectError:
            raise Fault(
                503, "the backend cannot be reached", kind="server_error", code="backend_down"
            ) from None
        except (httpx.TimeoutException, TimeoutError):
            raise _slow() from None
        except httpx.HTTPError:
            raise broken("the connection broke") from None
        except httpx.InvalidURL:
            raise broken("its address cannot be used") from None
        except (Rubbish, TooMuch) as error:
            raise broken(f"rubbish ({error})") from None


def _guess(request: Request) -> int:
    """Tokens of a prompt that nobody has counted: four characters each."""
    length = len(request.text or "") + sum(len(turn.content) for turn in request.turns)
    return length // 4 + 1


async def _told(reply: httpx.Response, deadline: float) -> AsyncGenerator[dict[str, Any], None]:
    """The objects of a streamed reply, or the one of a server that does not stream."""
    kind = reply.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind == "application/json":
        yield json_of(await whole(until(deadline, reply.aiter_raw())))
        return
    if kind != "text/event-stream":
        raise Rubbish("no event stream")
    async with aclosing(events(until(deadline, reply.aiter_raw()))) as lines:
        async for data in lines:
            if data == b"[DONE]":
                return
            if data:
                yield json_of(data)


async def _beginning(reply: httpx.Response) -> bytes:
    """What a refusal says, if that is short."""
    try:
        return await whole(reply.aiter_raw(), _SMALL)
    except TooMuch:
        return b""


def _status(event: dict[str, Any]) -> int:
    error = event["error"]
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, int) else 500


def _dumped(event: dict[str, Any]) -> bytes:
    return json.dumps(event).encode()


def _slow() -> Fault:
    return Fault(504, "the backend took too long", kind="server_error", code="backend_timeout")
