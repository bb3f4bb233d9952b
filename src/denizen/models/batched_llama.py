"""A GGUF that answers many prompts side by side, each under its own grammar: for scoring.

Contract: greedy, and what the grammar forces is taken at once; prompts share the cells of what they
begin with, and a finished row makes room for the next.  The very file is read by the very llama.cpp
that serves it; a row's answer does not depend on its neighbours beyond rounding (a test compares
with `LlamaEngine`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from denizen.models.gguf_vocabulary import read_vocabulary
from denizen.models.guided import GuidedDecoder
from denizen.models.llama_context import MAX_SEQUENCES, Context
from denizen.models.rows import Row, Rows, common, confidence
from denizen.project.errors import ArtefactError
from denizen.project.machine import cores


class Answered(NamedTuple):
    """An answer, its length in tokens, and how sure the model was of its choices.

    `confidence` is the probability of all choices made, among what the grammar allowed at each;
    None of a free answer.
    """

    text: str
    tokens: int
    confidence: float | None


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
        if not 0 < rows < MAX_SEQUENCES - 1:
            raise ValueError(f"need 1 to {MAX_SEQUENCES - 2} rows, got {rows}")
        self._longest, self._rows = context, rows
        vocabulary = read_vocabulary(gguf)
        self._control, self.end = vocabulary.control, vocabulary.end
        # Room for some long prompts, or for many of ordinary length.
        cells = context * 4 + 128 * rows
        self.context = Context(
            gguf,
            cells=cells,
            threads=threads or cores(),
            precise=precise,
            repacked=not precise,
        )
        self._decoder = GuidedDecoder(vocabulary, self.context.tokenize)
        self._running = Rows(self.context, vocabulary.control, cells)

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
        self._share(ids)
        answers = [Answered("", 0, None)] * len(ids)
        waiting = (
            Row(prompt, max_new_tokens, self._decoder.matcher(grammars[n]) if grammars else None)
            for n, prompt in enumerate(ids)
        )
        places: dict[Row, int] = {}
        coming, number = next(waiting, None), 0
        while coming or places:
            while coming and len(places) < self._rows and self._running.admit(coming):
                places[coming] = number
                coming, number = next(waiting, None), number + 1
            self._running.step()
            for row in [row for row in places if row.ended or self._said(row, stop)]:
                sure = None if row.matcher is None else confidence(row.decisions)
                answers[places.pop(row)] = Answered(self._text(row), len(row.written), sure)
                self._running.drop(row)
                on_done(1)
        return answers

    def _share(self, ids: list[list[int]]) -> None:
        """Decode what all prompts begin with; at least one token of each is left."""
        self._running.clear()
        shared = _common(ids) if len(ids) > 1 else 0
        if shared:
            self._running.pin(ids[0][:shared])

    def _said(self, row: Row, stop: Sequence[str]) -> bool:
        return bool(stop) and any(end in self._text(row) for end in stop)

    def _text(self, row: Row) -> str:
        written = [t for t in row.written if t not in self._control]
        return self._decoder.text(written[: row.limit])

    def tokenize(self, text: str) -> list[int]:
        """Token ids of rendered text, special tokens parsed, none added."""
        return self.context.tokenize(text)

    def close(self) -> None:
        """Free the model."""
        self.context.close()


def _common(ids: list[list[int]]) -> int:
    """How many tokens all begin with, the last of each left out."""
    return min(len(min(ids, key=len)) - 1, common(min(ids), max(ids)))
