"""The shipped GGUF, run by llama.cpp inside this process (xllamacpp): completions and token ids.

Contract: prompts are rendered text; special tokens are parsed and none is added.  Each request has
its own grammar; a greedy one is decoded choice by choice (`guided`).  xllamacpp opens an ephemeral
port on loopback, used here only to tokenise.  A corrupt file raises ArtefactError, not a crash
later.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

from denizen.models.gguf_vocabulary import read_vocabulary
from denizen.models.guided import GuidedDecoder, TooManyChoices
from denizen.project.errors import ArtefactError
from denizen.project.machine import cores

_MAGIC = b"GGUF"
# Lifts the allowed tokens above all others; float32 keeps their order to 1e-5.
_LIFT = 100.0


@dataclass(frozen=True)
class Completion:
    """What was generated, how it ended, and the counts of tokens."""

    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int


class LlamaEngine:
    """One loaded GGUF."""

    def __init__(self, gguf: Path, *, context: int = 2048, parallel: int = 1) -> None:
        _check_magic(gguf)
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path = str(gguf)
        params.n_ctx = context * parallel
        params.n_parallel = parallel
        params.cpuparams.n_threads = cores()
        params.cpuparams_batch.n_threads = cores()
        params.n_batch = 2048
        params.warmup = False
        params.verbosity = -1
        self.parallel = parallel
        self._path = gguf
        self._one_at_a_time = Lock()
        self._server = start_server(params)

    def complete(
        self,
        prompt: str,
        *,
        max_tokens: int = 128,
        grammar: str | None = None,
        stop: Sequence[str] = (),
        temperature: float = 0.0,
        seed: int = 0,
    ) -> Completion:
        """One completion; raises ArtefactError if llama.cpp refuses the request."""
        if grammar is not None and temperature == 0 and not stop:
            try:
                return self._guided(prompt, grammar, max_tokens)
            except TooManyChoices:
                pass  # an open grammar: llama.cpp masks every step itself
        request: dict[str, Any] = {
            "prompt": prompt,
            "max_tokens": max_tokens,
            "temperature": temperature,
            "seed": seed,
            "cache_prompt": True,
            "stop": list(stop),
        }
        if grammar is not None:
            request["grammar"] = grammar
        reply = self._request(request)
        choice, usage = reply["choices"][0], reply["usage"]
        return Completion(
            choice["text"],
            choice["finish_reason"],
            int(usage["prompt_tokens"]),
            int(usage["completion_tokens"]),
        )

    def _guided(self, prompt: str, grammar: str, limit: int) -> Completion:
        """Greedy under a grammar; conversations take turns, so that each keeps the cache."""
        ids = self.tokenize(prompt)
        with self._one_at_a_time:
            written = self._decoder.decode(ids, grammar, self._best, limit)
        reason = "length" if len(written) >= limit else "stop"
        return Completion(self._decoder.text(written), reason, len(ids), len(written))

    @cached_property
    def _decoder(self) -> GuidedDecoder:
        return GuidedDecoder(read_vocabulary(self._path), self.tokenize)

    def _best(self, ids: list[int], allowed: Sequence[int]) -> int:
        reply = self._request(
            {
                "prompt": ids,
                "max_tokens": 1,
                "temperature": 0.0,
                "cache_prompt": True,
                "logit_bias": [[token, _LIFT] for token in allowed],
                "logprobs": 1,
            }
        )
        return int(reply["choices"][0]["logprobs"]["content"][0]["id"])

    def _request(self, request: dict[str, Any]) -> dict[str, Any]:
        reply = self._server.handle_completions(request)
        if not isinstance(reply, dict) or "choices" not in reply:
            raise ArtefactError(
                "llama.cpp refused the request", where=str(reply)[:200], fix="shorten the prompt"
            )
        return reply

    def answer(
        self,
        prompts: Sequence[str],
        grammars: Sequence[str] | None = None,
        *,
        max_new_tokens: int = 128,
        on_done: Callable[[int], None] = lambda _: None,
    ) -> list[str]:
        """Greedy answers to many prompts, in order."""

        def one(index: int) -> str:
            grammar = grammars[index] if grammars else None
            text = self.complete(prompts[index], max_tokens=max_new_tokens, grammar=grammar).text
            on_done(1)
            return text

        if self.parallel == 1:
            return [one(i) for i in range(len(prompts))]
        with ThreadPoolExecutor(self.parallel) as pool:
            return list(pool.map(one, range(len(prompts))))

    def tokenize(self, text: str) -> list[int]:
        """Token ids of rendered text, special tokens parsed, none added."""
        import httpx

        question = {"content": text, "add_special": False, "parse_special": True}
        reply = httpx.post(f"{self._server.listening_address}/tokenize", json=question, timeout=30)
        return [int(t) for t in reply.raise_for_status().json()["tokens"]]

    def close(self) -> None:
        """Free the model."""
        self._server = None


def start_server(params: Any) -> Any:
    """A `xllamacpp.Server` whose loop runs: `params` as given, with its metrics on.

    Its constructor returns a moment before the loop begins, and a server that is freed in that
    moment is waited for without end, with the GIL held.  Metrics are told by the loop itself.
    """
    import xllamacpp

    params.endpoint_metrics = True
    server = xllamacpp.Server(params)
    server.handle_metrics()
    return server


def _check_magic(gguf: Path) -> None:
    try:
        with gguf.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise ArtefactError(
            "no such model file", where=str(gguf), fix="run `denizen quickstart` first"
        ) from error
    if magic != _MAGIC:
        raise ArtefactError(
            "not a GGUF file", where=str(gguf), fix="run the export again: `denizen quickstart`"
        )
