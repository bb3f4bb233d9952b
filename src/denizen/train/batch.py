"""Batches: rows to tensors, right-padded; padding is never supervised.

Contract: an Example of `rendered_example` carries `input_ids` and `labels` (-100 where nothing is
learnt); `collate_rows` pads them to the longest of the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from denizen.models import Rendered
from denizen.train.methods.base import Example

if TYPE_CHECKING:
    import torch

IGNORED = -100


def rendered_example(row: Rendered) -> Example:
    """A rendered conversation as an example; what is not supervised is not learnt."""
    labels = [t if s else IGNORED for t, s in zip(row.input_ids, row.supervised, strict=True)]
    return Example(len(row.input_ids), {"input_ids": list(row.input_ids), "labels": labels})


def collate_rows(rows: Sequence[Any]) -> dict[str, torch.Tensor]:
    """`input_ids` and `labels`, both (rows, longest), of mappings that hold lists."""
    import torch

    width = max(len(row["input_ids"]) for row in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    labels = torch.full((len(rows), width), IGNORED)
    for number, row in enumerate(rows):
        ids[number, : len(row["input_ids"])] = torch.tensor(row["input_ids"])
        labels[number, : len(row["labels"])] = torch.tensor(row["labels"])
    return {"input_ids": ids, "labels": labels}
