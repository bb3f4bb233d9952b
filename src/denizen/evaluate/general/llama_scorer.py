"""Log-likelihoods of a GGUF itself: llama.cpp multiplies by the very bytes that ship.

Contract: the same branches and figures as the transformers scorer, from llama.cpp's logits.  What
an item's branches have in common is decoded once and its cells are shared; the branches follow as
sequences of their own, several items at a time.  Texts are split by the GGUF's own tokenizer,
begun with `start` (the beginning-of-text token of models that have one), or by `encode`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from denizen.evaluate.general.items import Branch
from denizen.evaluate.general.loglikelihood import Encode, Likelihood, Pair, encode_branch
from denizen.models.llama_context import MAX_SEQUENCES, Context, Fresh
from denizen.project.machine import cores

if TYPE_CHECKING:
    import numpy as np


class _Shared(NamedTuple):
    """An item: what its branches begin with, and the sequences that carry them."""

    pairs: list[Pair]
    length: int
    first: int  # the sequence of the beginning; branch n goes on in first + n

    @property
    def cells(self) -> int:
        return self.length + sum(len(pair.ids) - self.length for pair in self.pairs)


class LlamaScorer:
    """A GGUF as a `Scorer`.  `precise` attends in float32; what ships attends in half precision."""

    def __init__(
        self,
        gguf: Path,
        encode: Encode | None = None,
        *,
        start: Sequence[int] = (),
        context: int = 2048,
        threads: int | None = None,
        precise: bool = False,
    ) -> None:
        self._longest = context
        # Branches of one question lie side by side: room for a long one's, or several short ones'.
        self._cells = 2 * context
        self._llama = Context(
            gguf,
            cells=self._cells,
            threads=threads or cores(),
            precise=precise,
            repacked=not precise,
        )
        self._encode: Encode = encode or (lambda text: [*start, *self._llama.tokenize(text)])

    def __call__(self, items: Sequence[Sequence[Branch]]) -> list[list[Likelihood]]:
        """Likelihoods of every branch of every item, in order.  Raises ArtefactError."""
        return self.pairs(
            [[encode_branch(b, self._encode, self._longest) for b in item] for item in items]
        )

    def pairs(self, items: Sequence[list[Pair]]) -> list[list[Likelihood]]:
        """The same of items that are tokens already."""
        found: list[list[Likelihood]] = []
        wave: list[_Shared] = []
        used = cells = 0
        for item in items:
            one = _Shared(item, _common(item), used)
            if wave and (used + len(item) > MAX_SEQUENCES or cells + one.cells > self._cells):
                found += self._score(wave)
                wave, used, cells = [], 0, 0
                one = one._replace(first=0)
            wave.append(one)
            used, cells = used + len(item), cells + one.cells
        return found + (self._score(wave) if wave else [])

    def close(self) -> None:
        """Free the model."""
        self._llama.close()

    def _score(self, wave: list[_Shared]) -> list[list[Likelihood]]:
        self._llama.clear()
        begun = [one for one in wave if one.length]
        heads = self._decode(
            [Fresh(one.first, 0, one.pairs[0].ids[: one.length]) for one in begun],
            [[pair.ids[one.length] for pair in one.pairs] for one in begun],
        )
        ends = {one.first: end for one, end in zip(begun, heads, strict=True)}
        parts: list[Fresh] = []
        next_tokens: list[list[int]] = []
        for one in wave:
            for n, pair in enumerate(one.pairs):
                if n:
                    self._llama.copy(one.first, one.first + n)
                for fresh in _parts(pair, one.length, one.first + n):
                    parts.append(fresh)
                    next_tokens.append([pair.ids[fresh.position + len(fresh.tokens)]])
        steps = iter(self._decode(parts, next_tokens))
        found = []
        for one in wave:
            each = []
            for n, pair in enumerate(one.pairs):
                known = [ends[one.first][n]] if pair.context == one.length else []
                known += [next(steps)[0] for _ in range(len(pair.ids) - pair.context - len(known))]
                each.append(Likelihood(sum(k.nats for k in known), all(k.greedy for k in known)))
            found.append(each)
        return found

    def _decode(self, parts: list[Fresh], tokens: list[list[int]]) -> list[list[Likelihood]]:
        """Of each part, how likely each of its `tokens` is to come next."""
        found: list[list[Likelihood]] = []
        for start in range(0, len(parts), MAX_SEQUENCES):  # llama.cpp gives no more at once
            stop = start + MAX_SEQUENCES
            logits = self._llama.decode(parts[start:stop])
            for row, wanted in zip(_reduced(logits), tokens[start:stop], strict=True):
                line, best, total = row
                found.append([Likelihood(float(line[t]) - total, t == best) for t in wanted])
        return found


def _reduced(logits: np.ndarray) -> Iterator[tuple[np.ndarray, int, float]]:
    """Each row with its largest place and the logarithm of its sum of exponentials."""
    import numpy as np

    for row in logits:
        best = int(row.argmax())
        total = float(np.exp(row - row[best]).sum(dtype=np.float64))
        yield row, best, float(row[best]) + float(np.log(total))


def _common(pairs: list[Pair]) -> int:
    """How many ids all branches share, all of them given; 0 where a name stands first."""
    most = min(pair.context for pair in pairs)
    for n in range(most):
        if len({pair.ids[n] for pair in pairs}) > 1:
            return n
    return most


def _parts(pair: Pair, shared: int, sequence: int) -> list[Fresh]:
    """What a branch still has to decode: the rest of what is given, then token by token."""
    parts = []
    if pair.context > shared:
        parts.append(Fresh(sequence, shared, pair.ids[shared : pair.context]))
    for place in range(pair.context, len(pair.ids) - 1):
        parts.append(Fresh(sequence, place, pair.ids[place : place + 1]))
    return parts
