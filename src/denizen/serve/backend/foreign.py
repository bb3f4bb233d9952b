"""What an OpenAI-compatible server is asked and answers: bodies, pieces, refusals.

Contract: a reply is data of a stranger: every value in it is checked before it is used, and what
cannot be read is Rubbish, which the backend tells as one fault without the server's words in it.
A refusal's message is handed on only for a request that the server calls wrong, cut short.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

from denizen.serve.exchange import Fault, Finish, Piece, Request, TokenLogprob, ToolCall, Usage

MAX_WORDS, MAX_RETRY, MAX_CALLS = 200, 3600.0, 64
_FINISHES: dict[str, Finish] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}
_OVERFLOW = re.compile(
    r"context[ _-]?(length|size|window)|maximum context|exceed_context|prompt is too long", re.I
)


class Rubbish(ValueError):
    """A reply that is none of a chat server's."""


def body_of(request: Request, model: str) -> dict[str, Any]:
    """The request for chat or raw completions, streamed, with usage."""
    how = request.sampling
    body: dict[str, Any] = {
        "model": model,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if request.text is not None:
        body["prompt"] = request.text
    else:
        body["messages"] = messages_of(request)
    told = {
        "max_tokens": how.max_tokens,
        "temperature": how.temperature,
        "top_p": how.top_p,
        "top_k": how.top_k,
        "seed": how.seed,
        "stop": list(how.stop) or None,
        "presence_penalty": how.presence_penalty or None,
        "frequency_penalty": how.frequency_penalty or None,
        "n": request.n if request.n > 1 else None,
    }
    body |= {key: value for key, value in told.items() if value is not None}
    if request.logprobs is not None:
        raw = request.text is not None
        body |= {"logprobs": request.logprobs} if raw else {"logprobs": True}
        if not raw and request.logprobs:
            body["top_logprobs"] = request.logprobs
    if request.tools:
        choice = request.tool_choice
        body["tools"] = [dict(tool) for tool in request.tools]
        body["tool_choice"] = choice if isinstance(choice, str) else dict(choice)
    if request.format.kind == "json_object":
        body["response_format"] = {"type": "json_object"}
    elif request.format.kind == "json_schema":
        schema = {
            "name": request.format.name or "answer",
            "schema": dict(request.format.schema or {}),
            "strict": request.format.strict,
        }
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    return body


def messages_of(request: Request) -> list[dict[str, Any]]:
    """Turns as chat messages."""
    messages = []
    for turn in request.turns:
        message: dict[str, Any] = {"role": turn.role, "content": turn.content}
        if turn.tool_calls:
            message["tool_calls"] = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": call.arguments},
                }
                for call in turn.tool_calls
            ]
        if turn.tool_call_id:
            message["tool_call_id"] = turn.tool_call_id
        if turn.name:
            message["name"] = turn.name
        messages.append(message)
    return messages


def json_of(data: bytes) -> dict[str, Any]:
    """A JSON object. Raises Rubbish."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Rubbish("no JSON") from error
    if not isinstance(value, dict):
        raise Rubbish("no object")
    return value


class Reader:
    """Puts the events of one reply together; `finishes` are held back until it has ended."""

    def __init__(self, choices: int) -> None:
        self._choices = choices
        self._calls: dict[tuple[int, int], list[str]] = {}
        self._finishes: dict[int, Finish] = {}
        self._usage = Usage()

    def feed(self, event: Mapping[str, Any]) -> list[Piece]:
        """The pieces of one event, or of a whole reply that was not streamed. Raises Rubbish."""
        if isinstance(usage := event.get("usage"), Mapping):
            self._usage = Usage(
                _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
            )
        choices = event.get("choices")
        if not isinstance(choices, list):
            raise Rubbish("no choices")
        return [piece for choice in choices if (piece := self._piece(choice)) is not None]

    def finish(self) -> list[Piece]:
        """The last piece of each choice. Raises Rubbish if one never ended."""
        if (ended := len(self._finishes)) < self._choices:
            # Ollama takes no `n` and answers once.
            of = f" after {ended} of {self._choices} answers" if ended else ""
            raise Rubbish(f"the reply broke off{of}")
        last = list(self._finishes)[-1]
        pieces = []
        for index, finish in self._finishes.items():
            calls = tuple(
                ToolCall(identity or f"call_{index}_{at}", name, arguments or "{}")
                for (choice, at), (identity, name, arguments) in sorted(self._calls.items())
                if choice == index and name
            )
            end: Finish = "tool_calls" if calls and finish == "stop" else finish
            usage = self._usage if index == last else None
            pieces.append(Piece(index, tool_calls=calls, finish=end, usage=usage))
        return pieces

    def _piece(self, choice: Any) -> Piece | None:
        if not isinstance(choice, Mapping):
            raise Rubbish("a choice is no object")
        index = choice.get("index", 0)
        if not isinstance(index, int) or not 0 <= index < self._choices:
            raise Rubbish("a choice that was not asked for")
        delta = choice.get("delta") or choice.get("message") or {"content": choice.get("text")}
        if not isinstance(delta, Mapping):
            raise Rubbish("no delta")
        text = delta.get("content") or ""
        if not isinstance(text, str):
            raise Rubbish("content is no text")
        self._collect(index, delta.get("tool_calls") or ())
        if (finish := choice.get("finish_reason")) is not None:
            self._finishes[index] = _FINISHES.get(str(finish), "stop")
        logprobs = _logprobs(choice.get("logprobs"))
        return Piece(index, text, logprobs=logprobs) if text or logprobs else None

    def _collect(self, index: int, deltas: Any) -> None:
        """Join what came of each tool call."""
        if not isinstance(deltas, list | tuple) or len(deltas) > MAX_CALLS:
            raise Rubbish("tool calls are no list")
        for place, delta in enumerate(deltas):
            if not isinstance(delta, Mapping) or not isinstance(delta.get("function"), Mapping):
                raise Rubbish("a tool call is no function")
            at = delta.get("index", place)
            if not isinstance(at, int) or not 0 <= at < MAX_CALLS:
                raise Rubbish("a tool call without a place")
            function = delta["function"]
            found = (delta.get("id"), function.get("name"), function.get("arguments"))
            call = self._calls.setdefault((index, at), ["", "", ""])
            for part, value in enumerate(found):
                if isinstance(value, Mapping):  # some servers send the object itself
                    value = json.dumps(value)
                if part < len(call) - 1 and call[part] == value:
                    continue  # some servers say id and name again with every piece
                call[part] += value if isinstance(value, str) else ""


def _logprobs(told: Any) -> tuple[TokenLogprob, ...]:
    if not isinstance(told, Mapping):
        return ()
    content = told.get("content")
    if not isinstance(content, list):
        content = list(_of_completions(told))
    return tuple(
        TokenLogprob(*_token(one), tuple(map(_token, one.get("top_logprobs") or ())))
        for one in content
        if isinstance(one, Mapping)
    )


def _of_completions(told: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The log probabilities of raw completions, which come as lists side by side."""
    names = ("tokens", "token_logprobs", "top_logprobs")
    tokens, values, tops = (told.get(name) or [] for name in names)
    if not (isinstance(tokens, list) and isinstance(values, list) and isinstance(tops, list)):
        raise Rubbish("logprobs are no lists")
    for token, value, top in zip_longest(tokens, values, tops):
        if value is None:  # an echoed prompt's first token follows nothing
            continue
        others = top.items() if isinstance(top, Mapping) else ()
        alternatives = [{"token": other, "logprob": one} for other, one in others]
        yield {"token": token, "logprob": value, "top_logprobs": alternatives}


def _token(told: Any) -> tuple[str, float]:
    token = told.get("token") if isinstance(told, Mapping) else None
    value = told.get("logprob") if isinstance(told, Mapping) else None
    if not isinstance(token, str) or not isinstance(value, int | float) or math.isnan(value):
        raise Rubbish("a logprob without token")
    return token, float(value)


def _count(value: Any) -> int:
    return value if isinstance(value, int) and 0 <= value < 2**40 else 0


def refusal(status: int, data: bytes, retry_after: str | None, secret: str) -> Fault:
    """The Fault for a reply that is no success; `secret` never shows in it."""
    if status in (429, 503):
        what = "the backend is busy" if status == 503 else "the backend limits its rate"
        code = "overloaded" if status == 503 else "rate_limit_exceeded"
        kind = "server_error" if status == 503 else "rate_limit_error"
        return Fault(status, what, kind=kind, code=code, retry_after=_seconds(retry_after))
    if status in (400, 413, 422):
        words, code = _words(data, secret)
        if _OVERFLOW.search(f"{words} {code}"):
            numbers = f": {words}" if re.search(r"\d", words) else ""
            return Fault(
                400,
                f"the prompt is longer than the backend's context{numbers}",
                code="context_length_exceeded",
                param="messages",
            )
        return Fault(400, f"the backend refuses the request: {words}", code="backend_refused")
    return broken(f"it answered with status {status}")


def broken(why: str) -> Fault:
    """The fault of a backend that does not do what it should."""
    return Fault(502, f"the backend failed: {why}", kind="server_error", code="backend_error")


def _words(data: bytes, secret: str) -> tuple[str, str]:
    """The message and the code of a refusal, printable and short."""
    try:
        error = json_of(data)
    except Rubbish:
        return "no reason given", ""
    inner = error.get("error", error)
    told: Mapping[str, Any] = inner if isinstance(inner, Mapping) else {"message": inner}
    message = str(told.get("message") or told.get("detail") or "no reason given")[:10_000]
    if secret:
        message = message.replace(secret, "[key]")
    plain = "".join(c if c.isprintable() else " " for c in message)
    code = f"{told.get('code')} {told.get('type')}"[:MAX_WORDS]
    return " ".join(plain.split())[:MAX_WORDS], code


def _seconds(text: str | None) -> float:
    """Retry-After as seconds, within reason (dates are not read)."""
    try:
        value = float(text or "1")
    except ValueError:
        return 1.0
    return min(max(value, 0.0), MAX_RETRY) if math.isfinite(value) else 1.0
