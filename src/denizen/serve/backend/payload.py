"""A request as llama.cpp's completions take it, and what comes back as Pieces.

Contract: the prompt goes as token ids, so that nothing in it is parsed again.  Without a
temperature the answer is greedy (several answers to one request are drawn at 1.0); a greedy token
costs no sorting of the vocabulary.  Log probabilities are the model's own, before any sampling.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from denizen.serve.exchange import Fault, Finish, Piece, Request, TokenLogprob, Usage

# Prompts longer than this report their progress, so that a cancelled one ends between batches.
LONG_PROMPT = 512
_SEEDS = 2**32 - 1
_HALF = re.compile("[\ud800-\udfff]")
MAX_WORDS = 200


def completion(
    request: Request,
    prompt: Sequence[int],
    *,
    room: int,
    grammar: str = "",
    adapter: int | None = None,
    adapters: int = 0,
    index: int = 0,
) -> bytes:
    """llama.cpp's request for choice `index`; `room` is how many tokens the context has left.

    `adapter` is the number of one of `adapters`; None: the base alone.
    """
    how = request.sampling
    wanted = room if how.max_tokens is None else min(how.max_tokens, room)
    temperature = how.temperature
    if temperature is None:
        temperature = 1.0 if request.n > 1 else 0.0
    body: dict[str, Any] = {
        "prompt": list(prompt),
        "stream": True,
        "max_tokens": wanted,
        "cache_prompt": True,
        "temperature": temperature,
        # Every scale is told: without one llama.cpp would go on from cells of another adapter.
        "lora": [{"id": n, "scale": float(n == adapter)} for n in range(adapters)],
        **_samplers(request, temperature, len(prompt) + room),
    }
    if how.seed is not None:
        body["seed"] = (how.seed + index) % _SEEDS
    if how.stop:  # half a character is never written, and llama.cpp's parser fails on it
        body["stop"] = [end for end in how.stop if end and not _HALF.search(end)]
    if grammar:
        body["grammar"] = grammar
    if request.logprobs is not None:
        body["logprobs"] = max(1, request.logprobs)
    if len(prompt) > LONG_PROMPT:
        body["return_progress"] = True
    return json.dumps(body).encode()


def _samplers(request: Request, temperature: float, context: int) -> dict[str, Any]:
    how = request.sampling
    chain, settings = [], dict[str, Any]()
    if how.presence_penalty or how.frequency_penalty:
        chain.append("penalties")
        settings["presence_penalty"] = how.presence_penalty
        settings["frequency_penalty"] = how.frequency_penalty
        settings["repeat_last_n"] = context
    if temperature <= 0:
        return {"samplers": [*chain, "top_k"], "top_k": 1, **settings}
    if how.top_k:
        chain.append("top_k")
        settings["top_k"] = how.top_k
    if how.top_p is not None and how.top_p < 1:
        chain.append("top_p")
        settings["top_p"] = how.top_p
    return {"samplers": [*chain, "temperature"], **settings}


def piece_of(data: Mapping[str, Any], index: int, alternatives: int | None) -> Piece | None:
    """The Piece of one event; None if it only tells of progress. Raises Fault for an error."""
    choices = data.get("choices")
    if choices is None:
        raise fault_of(data)
    if not choices:
        return None
    choice, usage = choices[0], data.get("usage")
    finish: Finish | None = choice.get("finish_reason")
    logprobs = choice.get("logprobs")
    piece = Piece(
        index=index,
        text=choice.get("text") or "",
        logprobs=_logprobs(logprobs, alternatives) if alternatives is not None else (),
        finish=finish,
        usage=Usage(int(usage["prompt_tokens"]), int(usage["completion_tokens"]))
        if finish and usage
        else None,
    )
    return piece if piece.text or piece.logprobs or finish else None


def processed(data: Mapping[str, Any]) -> int:
    """Tokens of the prompt that an event of progress says are done; 0 if it tells none."""
    progress = data.get("prompt_progress")
    return int(progress.get("processed", 0)) if isinstance(progress, Mapping) else 0


def _logprobs(told: Mapping[str, Any] | None, alternatives: int) -> tuple[TokenLogprob, ...]:
    found = (told or {}).get("content") or ()
    return tuple(
        TokenLogprob(
            one["token"],
            one["logprob"],
            tuple((o["token"], o["logprob"]) for o in one["top_logprobs"][:alternatives]),
        )
        for one in found
    )


def too_long(tokens: int, context: int) -> Fault:
    """The refusal of a prompt that leaves no room for an answer."""
    return Fault(
        400,
        f"the prompt has {tokens} tokens; the context is {context} tokens, the answer included",
        code="context_length_exceeded",
        param="messages",
    )


def shutting_down() -> Fault:
    """The refusal of whoever comes, or still waits, when the backend is closed."""
    return Fault(503, "the server is shutting down", kind="server_error", code="unavailable")


def fault_of(data: Mapping[str, Any]) -> Fault:
    """What llama.cpp refused a request with."""
    error = data.get("error", data)
    if not isinstance(error, Mapping):
        return Fault(500, "llama.cpp failed", kind="server_error", code="backend_error")
    if error.get("type") == "exceed_context_size_error":
        return too_long(int(error.get("n_prompt_tokens", 0)), int(error.get("n_ctx", 0)))
    status = error.get("code")
    if isinstance(status, int) and 400 <= status < 500:
        words = " ".join(str(error.get("message", "")).split())[:MAX_WORDS]
        return Fault(400, f"llama.cpp refuses the request: {words}", code="backend_refused")
    return Fault(500, "llama.cpp failed", kind="server_error", code="backend_error")
