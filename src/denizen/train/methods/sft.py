"""Supervised fine-tuning (instruction tuning): cross-entropy on the assistant's tokens.

Contract: only supervised positions reach the output head (`train/loss.py`); the loss is the sum
over them divided by how many there are in the step, as transformers and TRL have it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from denizen.project.config import Config
from denizen.train.batch import collate_rows
from denizen.train.loss import supervised_loss
from denizen.train.methods.base import Example, Offline, StepLoss


class SupervisedFineTuning(Offline):
    """Rows with a mask of what is learnt."""

    name, title, rate = "sft", "supervised fine-tuning", 1.0
    mean_over = "tokens"

    def __init__(self, config: Config) -> None:
        self._share = config.train.shortcuts

    def collate(self, examples: Sequence[Example]) -> dict[str, Any]:
        """`input_ids` and `labels`."""
        return collate_rows([e.fields for e in examples])

    def loss(self, model: Any, batch: dict[str, Any], count: Any) -> StepLoss:
        """Mean negative log-probability of the supervised tokens."""
        loss = supervised_loss(
            model, batch["input_ids"], batch["labels"], count, share_prefix=self._share
        )
        return StepLoss(loss, {})


METHOD = SupervisedFineTuning
