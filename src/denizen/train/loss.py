"""Cross-entropy of the supervised positions only, with the batch's common prefix computed once.

The output head is the largest matrix of a small model and most positions of a prompt-completion
row are not learnt: projecting only the learnt ones gives the same loss and gradient at a fraction
of the time and memory.  Fused models see every distinct beginning of the rows once and no padding
(`packing.py`); others the prefix that all rows share, whose keys and values serve every row.
Gradients flow back through what is shared.  `supervised_logps` is what every objective is made of:
log-probabilities of the supervised tokens and the row each belongs to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from denizen.models.prompt_learning import virtual_cache
from denizen.train.batch import IGNORED
from denizen.train.head import is_frozen_linear, log_probabilities
from denizen.train.methods.base import plain
from denizen.train.packing import pack, packable, packed_hidden

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
    values = supervised_logps(model, input_ids, labels, share_prefix=share_prefix).values
    return -values.sum() / (max(len(values), 1) if count is None else count)


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

    head = plain(model).get_output_embeddings()
    found = supervised_hidden(model, input_ids, labels, share_prefix)
    if is_frozen_linear(head):
        values, spread = log_probabilities(
            found.hidden, head.weight, found.targets, temperature=temperature, entropy=entropy
        )
        return Logps(values, found.rows, spread)
    scaled = head(found.hidden).float() / temperature
    values = -F.cross_entropy(scaled, found.targets, reduction="none")
    spread = None
    if entropy:
        with torch.no_grad():
            spread = torch.distributions.Categorical(logits=scaled).entropy()
    return Logps(values, found.rows, spread)


def supervised_logits(
    model: Any, input_ids: torch.Tensor, labels: torch.Tensor, *, share_prefix: bool = True
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits (n, vocabulary) that predict each supervised token, the tokens (n,), rows (n,)."""
    found = supervised_hidden(model, input_ids, labels, share_prefix)
    return plain(model).get_output_embeddings()(found.hidden), found.targets, found.rows


class Supervised(NamedTuple):
    """Of each supervised token: the hidden state that predicts it, the token, its row."""

    hidden: torch.Tensor
    targets: torch.Tensor
    rows: torch.Tensor


def supervised_hidden(
    model: Any, input_ids: torch.Tensor, labels: torch.Tensor, share: bool
) -> Supervised:
    """What predicts each supervised token, before the output head; `share` prefixes where exact."""
    found = _packed(model, input_ids, labels, share)
    if found is not None:
        return found
    # A layer that is computed again in the backward pass gives no cache to share.
    share = share and not (model.training and plain(model).is_gradient_checkpointing)
    shared = common_prefix(input_ids, labels) if share else 0
    start = virtual_cache(model, input_ids[:1, :shared])
    hidden = _hidden(plain(model), input_ids, shared, start)
    targets = labels[:, shared + 1 :]
    learnt = targets != IGNORED
    return Supervised(hidden[:, :-1][learnt], targets[learnt], learnt.nonzero()[:, 0])


def _packed(
    model: Any, input_ids: torch.Tensor, labels: torch.Tensor, share: bool
) -> Supervised | None:
    """The same without padding or repetition, where every decoder layer is fused."""
    base = plain(model)
    decoder = getattr(base, base.base_model_prefix)
    layers = packable(decoder)
    learnt = (labels[:, 1:] != IGNORED).nonzero()
    if not layers or not len(learnt):
        return None
    # Nothing after a row's last prediction matters to it.
    ends = [0] * len(input_ids)
    for row, position in learnt.tolist():
        ends[row] = position + 1
    packing = pack(
        [row[:end] for row, end in zip(input_ids.tolist(), ends, strict=True)], share=share
    )
    places = [packing.place(row, position) for row, position in learnt.tolist()]
    hidden = packed_hidden(decoder, layers, packing, places)
    return Supervised(hidden, labels[:, 1:][learnt[:, 0], learnt[:, 1]], learnt[:, 0])


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


def _hidden(model: Any, input_ids: torch.Tensor, shared: int, start: Any = None) -> torch.Tensor:
    """Last hidden states of the positions after the shared prefix; `start` is its cache, if any."""
    decoder = getattr(model, model.base_model_prefix)
    if not shared and start is None:
        out: torch.Tensor = decoder(input_ids=input_ids, use_cache=False).last_hidden_state
        return out
    cache = start
    if cache is None:
        cache = decoder(input_ids=input_ids[:1, :shared], use_cache=True).past_key_values
    cache.batch_repeat_interleave(input_ids.shape[0])
    rest = decoder(input_ids=input_ids[:, shared:], past_key_values=cache, use_cache=True)
    return rest.last_hidden_state
