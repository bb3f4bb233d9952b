"""Continual pre-training: cross-entropy on every token of plain text.

Contract: a document is a row of its own (or several windows, see `train/examples.py`), batched with
others of its length: attention cannot cross documents, there is next to no padding, and causal
attention needs no mask, which packing into blocks would.  Every token is learnt, the end-of-text
token included.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from denizen.project.config import Config
from denizen.train.batch import collate_rows
from denizen.train.loss import supervised_loss
from denizen.train.methods.base import Example, Offline, StepLoss


class Pretraining(Offline):
    """Windows of text."""

    name, title, rate = "pretrain", "continual pre-training", 0.3
    mean_over = "tokens"

    def __init__(self, config: Config) -> None:
        """Nothing to set."""

    def collate(self, examples: Sequence[Example]) -> dict[str, Any]:
        """`input_ids` and `labels`."""
        return collate_rows([e.fields for e in examples])

    def loss(self, model: Any, batch: dict[str, Any], count: Any) -> StepLoss:
        """Mean negative log-probability of the tokens; `perplexity` is its exponential."""
        import math

        # A window's first tokens are learnt, so no beginning is shared.
        loss = supervised_loss(
            model, batch["input_ids"], batch["labels"], count, share_prefix=False
        )
        return StepLoss(loss, {"perplexity": math.exp(min(float(loss.detach()), 50.0))})


METHOD = Pretraining
