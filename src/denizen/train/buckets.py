"""Batches of similar length under a token budget, so that almost nothing is padding.

Contract: every row occurs once an epoch; rows are shuffled, sorted by length inside windows of a
few batches (so a batch still mixes families), cut by padded tokens, and the batches shuffled.
The order is a pure function of (lengths, seed), which makes a resumed run the same run.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

_WINDOW = 6


class TokenBuckets:
    """A batch sampler for one or more epochs: lists of row indices."""

    def __init__(
        self, lengths: Sequence[int], batch_tokens: int, *, epochs: int = 1, seed: int = 0
    ) -> None:
        self.batches: list[list[int]] = []
        for epoch in range(epochs):
            self.batches += _epoch(lengths, batch_tokens, random.Random(f"{seed}|{epoch}"))
        self.padded_tokens = sum(len(b) * max(lengths[i] for i in b) for b in self.batches)

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


def _epoch(lengths: Sequence[int], batch_tokens: int, rng: random.Random) -> list[list[int]]:
    order = list(range(len(lengths)))
    rng.shuffle(order)
    mean = sum(lengths) / len(lengths)
    window = max(1, round(_WINDOW * batch_tokens / mean))
    batches = []
    for start in range(0, len(order), window):
        chunk = sorted(order[start : start + window], key=lambda i: lengths[i])
        # A row that fills a batch by itself must not make batches of one of its neighbours.
        alone = [[i] for i in chunk if 2 * lengths[i] > batch_tokens]
        batches += _cut(chunk[: len(chunk) - len(alone)], lengths, batch_tokens) + alone
    rng.shuffle(batches)
    return batches


def _cut(chunk: list[int], lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Cut a length-sorted chunk into as few, and as even, batches as the budget allows."""
    count = 1
    while chunk:
        size = -(-len(chunk) // count)
        batches = [chunk[i : i + size] for i in range(0, len(chunk), size)]
        if size == 1 or all(len(b) * lengths[b[-1]] <= budget for b in batches):
            return batches
        count += 1
    return []
