"""The rows of a rollout as tensors: distinct answers, in parts that fit the memory of a step.

Contract: answers of a group that are the same tokens with the same log-probabilities are one row
with the weight of all, which gives the loss and gradient of all; answers without a choice have no
gradient and are no row.  A part holds rows of one group only, so that they share their prompt.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from denizen.train.policy import Scored
from denizen.train.rollouts.base import Sample
from denizen.train.rollouts.record import Row

if TYPE_CHECKING:
    import torch


class Part:
    """Some rows of one group; every tensor has one entry for each choice token, row by row."""

    def __init__(self, rows: Sequence[Row], device: torch.device) -> None:
        self.rows, self._device = rows, device
        self.samples: list[Sample] = [row.sample for row in rows]

    @cached_property
    def weights(self) -> torch.Tensor:
        """How many sampled answers the token's row stands for."""
        return self._flat([[float(len(row.members))] * self._size(row) for row in self.rows])

    @cached_property
    def lengths(self) -> torch.Tensor:
        """How many choices the token's row has."""
        return self._flat([[float(self._size(row))] * self._size(row) for row in self.rows])

    @cached_property
    def sampled(self) -> torch.Tensor:
        """Log-probabilities as the sampler gave them."""
        return self._flat([row.sample.logps for row in self.rows])

    @cached_property
    def advantages(self) -> torch.Tensor:
        """Credit of each choice."""
        return self._flat([row.advantages for row in self.rows])

    @cached_property
    def reference(self) -> torch.Tensor:
        """Log-probabilities of the reference."""
        return self._flat([row.reference for row in self.rows])

    @cached_property
    def values(self) -> torch.Tensor:
        """The critic's values when the answers were sampled."""
        return self._flat([row.values for row in self.rows])

    @cached_property
    def returns(self) -> torch.Tensor:
        """What the critic should have said."""
        return self._flat([row.returns for row in self.rows])

    def old(self, scored: Scored) -> torch.Tensor:
        """Log-probabilities before the first update: as kept, or those of now, without gradient."""
        kept = all(row.old for row in self.rows)
        return self._flat([row.old for row in self.rows]) if kept else scored.logps.detach()

    def of_rows(self, values: torch.Tensor, scored: Scored) -> torch.Tensor:
        """Sums of each row, shape (rows,)."""
        zeros = values.new_zeros(len(self.rows))
        return zeros.index_add(0, scored.rows, values)

    def figures(self, scored: Scored) -> dict[str, float]:
        """Sums over choice tokens of what every method reports."""
        gap = (self.old(scored) - self.sampled).abs()
        return {"tokens": float(self.weights.sum()), "gap": float((gap * self.weights).sum())}

    def _size(self, row: Row) -> int:
        return len(row.sample.choices)

    def _flat(self, values: Sequence[Sequence[float]]) -> torch.Tensor:
        import torch

        return torch.tensor([v for row in values for v in row], device=self._device)


def distinct(group: Sequence[Sample]) -> list[Row]:
    """The different answers of a group that have a choice, in order of first appearance."""
    members: dict[tuple[object, ...], list[int]] = {}
    for number, sample in enumerate(group):
        if sample.choices:
            members.setdefault((sample.ids, sample.logps), []).append(number)
    return [Row(group[numbers[0]], tuple(numbers)) for numbers in members.values()]


def parts_of(
    groups: Sequence[Sequence[Row]], budget: int, device: torch.device, *, share: bool
) -> list[Part]:
    """Parts of at most `budget` padded tokens (one row at least), longest rows first.

    With `share` the prompt of a part counts once, as it goes through the model once.
    """
    return [Part(rows, device) for group in groups for rows in _cut(group, budget, share)]


def _cut(group: Sequence[Row], budget: int, share: bool) -> Iterator[list[Row]]:
    rows: list[Row] = []
    for row in sorted(group, key=lambda row: row.sample.choices[-1], reverse=True):
        prompt, longest = len(row.sample.prompt.ids), (rows or [row])[0].sample.choices[-1] + 1
        count = len(rows) + 1
        if rows and count * longest + prompt * (1 if share else count) > budget:
            yield rows
            rows = []
        rows.append(row)
    if rows:
        yield rows
