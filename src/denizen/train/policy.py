"""The policy's log-probability of what was sampled, under the very distribution it was drawn from.

Contract: a choice token counts by log-softmax(logits / temperature) over the tokens its grammar
allowed; forced tokens have no gradient.  Only choice positions reach the output head, and of the
head only the tokens that some choice allowed; nothing after a row's last choice goes through the
model, and rows of one prompt share its pass (`loss.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from denizen.train.batch import IGNORED, collate_rows
from denizen.train.head import is_frozen_linear, log_probabilities
from denizen.train.loss import supervised_hidden
from denizen.train.methods.base import plain
from denizen.train.rollouts.base import Sample

if TYPE_CHECKING:
    import torch


class Scored(NamedTuple):
    """Of every choice token, row by row: log-probability (n,), its row (n,), and the hidden state
    (n, width) it was predicted from, without gradient."""

    logps: torch.Tensor
    rows: torch.Tensor
    hidden: torch.Tensor


def score_choices(
    model: Any, samples: Sequence[Sample], temperature: float, *, share_prefix: bool = True
) -> Scored:
    """Log-probabilities of the samples' choices; each sample has at least one."""
    inner = plain(model)
    batch = {k: v.to(inner.device) for k, v in collate_rows([_row(s) for s in samples]).items()}
    hidden, targets, rows = supervised_hidden(
        model, batch["input_ids"], batch["labels"], share_prefix
    )
    head = inner.get_output_embeddings()
    sets = [allowed for sample in samples for allowed in sample.allowed]
    if any(allowed is not None for allowed in sets):
        logps = _restricted(head, hidden, targets, sets, temperature)
    elif is_frozen_linear(head):
        logps, _ = log_probabilities(hidden, head.weight, targets, temperature=temperature)
    else:
        scaled = head(hidden).float() / temperature
        logps = scaled.log_softmax(-1).gather(1, targets[:, None])[:, 0]
    return Scored(logps, rows, hidden.detach())


def _row(sample: Sample) -> dict[str, list[int]]:
    """`input_ids` up to the last choice, and `labels` at the choices."""
    ids = [*sample.prompt.ids, *sample.ids[: sample.choices[-1] + 1]]
    labels = [IGNORED] * len(ids)
    for choice in sample.choices:
        place = len(sample.prompt.ids) + choice
        labels[place] = ids[place]
    return {"input_ids": ids, "labels": labels}


def _restricted(
    head: Any,
    hidden: torch.Tensor,
    targets: torch.Tensor,
    sets: Sequence[tuple[int, ...] | None],
    temperature: float,
) -> torch.Tensor:
    """Log-softmax over each position's own set, at its target, shape (n,)."""
    import torch

    if all(allowed is not None for allowed in sets) and is_frozen_linear(head):
        tokens = sorted({token for allowed in sets for token in allowed or ()})
        logits = hidden @ head.weight[tokens].T
    else:
        logits = head(hidden)
        tokens = list(range(logits.shape[-1]))
    column = {token: place for place, token in enumerate(tokens)}
    forbidden = torch.ones_like(logits, dtype=torch.bool)
    for row, allowed in enumerate(sets):
        forbidden[row, slice(None) if allowed is None else [column[t] for t in allowed]] = False
    scaled = (logits.float() / temperature).masked_fill(forbidden, -torch.inf)
    places = torch.tensor([column[t] for t in targets.tolist()], device=targets.device)
    return scaled.log_softmax(-1).gather(1, places[:, None])[:, 0]
