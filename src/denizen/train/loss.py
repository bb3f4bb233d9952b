"""Cross-entropy of the supervised positions only, with the batch's common prefix computed once.

The output head is the largest matrix of a small model and most positions of a prompt-completion
row are not learnt: projecting only the learnt ones gives the same loss and gradient at a fraction
of the time and memory.  Rows are right-padded, so causal attention needs no padding mask.  A
prefix that all rows share (the system prompt) goes through the model once; its keys and values
serve every row, and gradients flow back through them.  `supervised_logps` is what every objective
is made of: log-probabilities of the supervised tokens and the row each belongs to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from denizen.train.batch import IGNORED
from denizen.train.methods.base import plain

if TYPE_CHECKING:
    import torch

# A shorter common prefix is not worth a pass of its own.
MIN_PREFIX = 8


class Logps(NamedTuple):
    """Of each supervised token, in row-major order, shape (n,): log-probability and row.

    `entropy` (n,), without gradient, is that of the whole next-token distribution; None unless
    it was asked for.
    """

    values: torch.Tensor
    rows: torch.Tensor
    entropy: torch.Tensor | None = None

    def of_rows(self, count: int) -> torch.Tensor:
        """Sums of each row, shape (count,)."""
        import torch

        return torch.zeros(count, dtype=self.values.dtype).index_add(0, self.rows, self.values)


def supervised_loss(
    model: Any,
    input_ids: torch.Tensor,
    labels: torch.Tensor,
    count: torch.Tensor | int | None = None,
    *,
    share_prefix: bool = True,
) -> torch.Tensor:
    """Sum of -log p over supervised tokens divided by `count` (default: how many there are).

    `input_ids` and `labels` have shape (batch, time), right-padded; labels are -100 where nothing
    is learnt.  `model` is a transformers causal LM or a PEFT model.
    """
    import torch.nn.functional as F

    logits, targets, _ = supervised_logits(model, input_ids, labels, share_prefix=share_prefix)
    total = F.cross_entropy(logits.float(), targets, reduction="sum")
    return total / (max(len(targets), 1) if count is None else count)


def supervised_logps(
    model: Any,
    input_ids: torch.Tensor,
    labels: torch.Tensor,
    *,
    temperature: float = 1.0,
    share_prefix: bool = True,
    entropy: bool = False,
) -> Logps:
    """Log-probabilities of the supervised tokens under softmax(logits / temperature)."""
    import torch
    import torch.nn.functional as F

    logits, targets, rows = supervised_logits(model, input_ids, labels, share_prefix=share_prefix)
    scaled = logits.float() / temperature
    values = -F.cross_entropy(scaled, targets, reduction="none")
    spread = None
    if entropy:
        with torch.no_grad():
            spread = torch.distributions.Categorical(logits=scaled).entropy()
    return Logps(values, rows, spread)


def supervised_logits(
    model: Any, input_ids: torch.Tensor, labels: torch.Tensor, *, share_prefix: bool = True
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits (n, vocabulary) that predict each supervised token, the tokens (n,), rows (n,)."""
    shared = common_prefix(input_ids, labels) if share_prefix else 0
    hidden = _hidden(plain(model), input_ids, shared)
    targets = labels[:, shared + 1 :]
    learnt = targets != IGNORED
    logits = plain(model).get_output_embeddings()(hidden[:, :-1][learnt])
    return logits, targets[learnt], learnt.nonzero()[:, 0]


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


def _hidden(model: Any, input_ids: torch.Tensor, shared: int) -> torch.Tensor:
    """Last hidden states of the positions after the shared prefix."""
    decoder = getattr(model, model.base_model_prefix)
    if not shared:
        out: torch.Tensor = decoder(input_ids=input_ids, use_cache=False).last_hidden_state
        return out
    cache = decoder(input_ids=input_ids[:1, :shared], use_cache=True).past_key_values
    cache.batch_repeat_interleave(input_ids.shape[0])
    rest = decoder(input_ids=input_ids[:, shared:], past_key_values=cache, use_cache=True)
    return rest.last_hidden_state
