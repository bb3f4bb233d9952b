"""Cross-entropy of the supervised positions only, with the batch's common prefix computed once.

The output head is the largest matrix of a small model and most positions of a prompt-completion
row are not learnt: projecting only the learnt ones gives the same loss and gradient at a fraction
of the time and memory.  Rows are right-padded, so causal attention needs no padding mask.  A
prefix that all rows share (the system prompt) goes through the model once; its keys and values
serve every row, and gradients flow back through them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

IGNORED = -100
# A shorter common prefix is not worth a pass of its own.
MIN_PREFIX = 8


def supervised_loss(
    model: PreTrainedModel,
    input_ids: torch.Tensor,
    labels: torch.Tensor,
    count: torch.Tensor | int | None = None,
    *,
    share_prefix: bool = True,
) -> torch.Tensor:
    """Sum of -log p over supervised tokens divided by `count` (default: how many there are).

    `input_ids` and `labels` have shape (batch, time), right-padded; labels are -100 where nothing
    is learnt.
    """
    import torch.nn.functional as F

    shared = common_prefix(input_ids, labels) if share_prefix else 0
    hidden = _hidden(model, input_ids, shared)
    targets = labels[:, shared + 1 :]
    learnt = targets != IGNORED
    logits = model.get_output_embeddings()(hidden[:, :-1][learnt])
    total = F.cross_entropy(logits.float(), targets[learnt], reduction="sum")
    return total / (learnt.sum().clamp(min=1) if count is None else count)


def common_prefix(input_ids: torch.Tensor, labels: torch.Tensor) -> int:
    """How many leading positions are the same in every row and not learnt; 0 if too few."""
    if input_ids.shape[0] < 2:
        return 0
    same = (input_ids == input_ids[:1]).all(0) & (labels == IGNORED).all(0)
    differing = (~same).nonzero()
    length = int(differing[0]) if len(differing) else input_ids.shape[1]
    # The last shared position stays with the rows: it may predict their first learnt token.
    length -= 1
    return length if length >= MIN_PREFIX else 0


def _hidden(model: PreTrainedModel, input_ids: torch.Tensor, shared: int) -> torch.Tensor:
    """Last hidden states of the positions after the shared prefix."""
    decoder: Any = getattr(model, model.base_model_prefix)
    if not shared:
        out: torch.Tensor = decoder(input_ids=input_ids, use_cache=False).last_hidden_state
        return out
    cache = decoder(input_ids=input_ids[:1, :shared], use_cache=True).past_key_values
    cache.batch_repeat_interleave(input_ids.shape[0])
    rest = decoder(input_ids=input_ids[:, shared:], past_key_values=cache, use_cache=True)
    return rest.last_hidden_state
