"""A GGUF that answers many prompts side by side, each under its own grammar: for scoring.

Contract: greedy, and what the grammar forces is taken at once; prompts share the cells of what they
begin with, and a finished row makes room for the next.  The very file is read by the very llama.cpp
that serves it; a row's answer does not depend on its neighbours beyond rounding (a test compares
with `LlamaEngine`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from denizen.models.gguf_vocabulary import read_vocabulary
from denizen.models.guided import GuidedDecoder
from denizen.models.llama_context import MAX_SEQUENCES, Context, Fresh
from denizen.project.errors import ArtefactError
from denizen.project.machine import cores

# The sequence that holds what all prompts begin with.
_SHARED = MAX_SEQUENCES - 1


class Answered(NamedTuple):
    """An answer, its length in tokens, and how sure the model was of its choices.

    `confidence` is the probability of all choices made, among what the grammar allowed at each;
    None of a free answer.
    """

    text: str
    tokens: int
    confidence: float | None


@dataclass(eq=False)
class _Row:
    """One prompt that is being answered in a sequence of its own."""

    index: int
    sequence: int
    position: int
    fresh: list[int]
    matcher: Any
    written: list[int] = field(default_factory=list)
    log_confidence: float = 0.0


class BatchedLlama:
    """One loaded GGUF; `context` is the longest prompt with its answer, in tokens.

    `precise` attends in float32 instead of half precision, more slowly.
    """

    def __init__(
        self,
        gguf: Path,
        *,
        context: int = 2048,
        rows: int = 16,
        threads: int | None = None,
        precise: bool = False,
    ) -> None:
        if not 0 < rows < _SHARED:
            raise ValueError(f"need 1 to {_SHARED - 1} rows, got {rows}")
        self._longest, self._rows = context, rows
        vocabulary = read_vocabulary(gguf)
        self._control, self.end = vocabulary.control, vocabulary.end
        # Room for some long prompts, or for many of ordinary length.
        self._cells = context * 4 + 128 * rows
        self.context = Context(
            gguf,
            cells=self._cells,
            threads=threads or cores(),
            precise=precise,
            repacked=not precise,
        )
        self._decoder = GuidedDecoder(vocabulary, self.context.tokenize)

    def answer(
        self,
        prompts: Sequence[str],
        grammars: Sequence[str] | None = None,
        *,
        max_new_tokens: int = 128,
        stop: Sequence[str] = (),
        on_done: Callable[[int], None] = lambda _: None,
    ) -> list[str]:
        """The texts of `answers`."""
        made = self.answers(
            prompts, grammars, max_new_tokens=max_new_tokens, stop=stop, on_done=on_done
        )
        return [one.text for one in made]

    def answers(
        self,
        prompts: Sequence[str],
        grammars: Sequence[str] | None = None,
        *,
        max_new_tokens: int = 128,
        stop: Sequence[str] = (),
        on_done: Callable[[int], None] = lambda _: None,
    ) -> list[Answered]:
        """Greedy answers to rendered prompts, in order; raises ArtefactError if one is too long.

        An answer ends with the turn, or after it has written one of `stop`.
        """
        ids = [self.tokenize(prompt) for prompt in prompts]
        for number, prompt in enumerate(ids):
            if len(prompt) + max_new_tokens > self._longest:
                raise ArtefactError(
                    f"prompt {number + 1} has {len(prompt)} tokens, and its answer may have "
                    f"{max_new_tokens}: more than the context of {self._longest}",
                    fix="raise export.context, or shorten the prompt",
                )
        shared = self._share(ids)
        waiting = list(range(len(ids)))[::-1]
        answers = [Answered("", 0, None)] * len(ids)
        running: list[_Row] = []
        free = list(range(self._rows))
        while waiting or running:
            while waiting and free and self._fits(running, ids[waiting[-1]], max_new_tokens):
                index = waiting.pop()
                sequence = free.pop()
                self.context.copy(_SHARED, sequence)
                matcher = self._decoder.matcher(grammars[index]) if grammars else None
                running.append(_Row(index, sequence, shared, ids[index][shared:], matcher))
            going = [
                row
                for row in self._step(running, max_new_tokens)
                if not any(end in self._text(row, max_new_tokens) for end in stop)
            ]
            for row in running:
                if row not in going:
                    sure = None if row.matcher is None else math.exp(row.log_confidence)
                    text = self._text(row, max_new_tokens)
                    answers[row.index] = Answered(text, len(row.written), sure)
                    self.context.drop(row.sequence)
                    free.append(row.sequence)
                    on_done(1)
            running = going
        return answers

    def _share(self, ids: list[list[int]]) -> int:
        """Decode what all prompts begin with; at least one token of each is left."""
        self.context.clear()
        shared = _common(ids) if len(ids) > 1 else 0
        if shared:
            self.context.decode([Fresh(_SHARED, 0, ids[0][:shared])])
        return shared

    def _fits(self, running: list[_Row], prompt: list[int], limit: int) -> bool:
        """Whether the cells suffice for one more; a lone row always fits."""
        taken = sum(row.position + len(row.fresh) + limit for row in running)
        return not running or taken + len(prompt) + limit + self._longest <= self._cells

    def _step(self, running: list[_Row], limit: int) -> list[_Row]:
        """One decode of every row and one choice each; the rows that go on."""
        logits = self.context.decode([Fresh(r.sequence, r.position, r.fresh) for r in running])
        going = []
        for row, scores in zip(running, logits, strict=True):
            row.position += len(row.fresh)
            row.fresh = self._next(row, scores)
            row.written += row.fresh
            ended = row.matcher is not None and row.matcher.is_stopped()
            if row.fresh and not ended and len(row.written) < limit:
                going.append(row)
        return going

    def _next(self, row: _Row, scores: Any) -> list[int]:
        """The token chosen and what the grammar forces after it; empty at the end of the turn."""
        import numpy as np

        if row.matcher is None:
            token = int(scores.argmax())
            return [] if token in self._control else [token]
        forced = list(row.matcher.compute_ff_tokens())
        if not forced:
            allowed = np.flatnonzero(np.frombuffer(row.matcher.compute_logit_bias(), np.uint8))
            likely = scores[allowed]
            best = int(likely.argmax())
            row.log_confidence -= math.log(float(np.exp(likely - likely[best]).sum()))
            forced = [int(allowed[best])]
        row.matcher.try_consume_tokens(forced)
        if not row.matcher.is_stopped():
            more = list(row.matcher.compute_ff_tokens())
            row.matcher.try_consume_tokens(more)
            forced += more
        return forced

    def _text(self, row: _Row, limit: int) -> str:
        return self._decoder.text([t for t in row.written if t not in self._control][:limit])

    def tokenize(self, text: str) -> list[int]:
        """Token ids of rendered text, special tokens parsed, none added."""
        return self.context.tokenize(text)

    def close(self) -> None:
        """Free the model."""
        self.context.close()


def _common(ids: list[list[int]]) -> int:
    """How many tokens all begin with, the last of each left out."""
    first, last = min(ids), max(ids)
    same = next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), None)
    return min(len(min(ids, key=len)) - 1, len(first) if same is None else same)
