"""Kahneman-Tversky optimisation (Ethayarajh et al. 2024, arXiv:2402.01306): answers marked good or
bad, one by one.

Contract: the loss is equation 7 (as TRL has it): 1 - sigmoid(beta (r - z)) for a good answer,
1 - sigmoid(beta (z - r)) for a bad one, r the log-ratio to the reference; z estimates their KL on
mismatched rows, each prompt of the batch with the answer of the row before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from denizen.project.config import Config
from denizen.project.errors import TrainingError
from denizen.train.batch import IGNORED, collate_rows
from denizen.train.loss import supervised_logps
from denizen.train.methods.base import Example, StepLoss
from denizen.train.reference import Scored


class KahnemanTversky(Scored):
    """Answers with a label; a batch's rows are the matched ones, then the mismatched ones."""

    name, title, rate = "kto", "Kahneman-Tversky optimisation", 0.1

    def __init__(self, config: Config) -> None:
        settings = config.preference
        self._beta, self._share = settings.beta, config.train.shortcuts
        self._weights = (settings.undesirable_weight, settings.desirable_weight)

    def batches(self, examples: Sequence[Example], config: Config) -> Sequence[list[int]]:
        """No row alone: the answer before it would be its own, and no estimate of anything."""
        if len(examples) < 2:
            raise TrainingError(
                "kto compares each row with another, and there is one",
                where="training data",
                fix="give it more rows",
            )
        found = [list(batch) for batch in super().batches(examples, config)]
        for number, batch in enumerate(found):
            if len(batch) == 1:
                others = (b for b in (*found[number + 1 :], *found[:number][::-1]) if b)
                other = next(b for b in others if batch[0] not in b)
                other.append(batch.pop())
        return [batch for batch in found if batch]

    def rows(self, examples: Sequence[Example]) -> Sequence[Example]:
        """Matched and mismatched rows of a batch."""
        before = [examples[-1], *examples[:-1]]
        pairs = zip(examples, before, strict=True)
        return [*map(_matched, examples), *(_mismatched(e, other) for e, other in pairs)]

    def tensors(self, rows: Sequence[Example]) -> dict[str, Any]:
        """`input_ids` and `labels`."""
        return collate_rows([row.fields for row in rows])

    def collate(self, examples: Sequence[Example]) -> dict[str, Any]:
        """Adds which answers are good."""
        import torch

        good = torch.tensor([bool(e.fields["label"]) for e in examples])
        return {**super().collate(examples), "good": good}

    def score(self, model: Any, batch: dict[str, Any]) -> Any:
        """Log-probability of each row's answer, shape (rows, 1)."""
        return self._sums(model, batch["input_ids"], batch["labels"])[:, None]

    def before(self, model: Any, batch: dict[str, Any], step: int) -> dict[str, Any]:
        """The KL estimate: the policy on the mismatched rows, against the reference."""
        batch = super().before(model, batch, step)
        half = len(batch["good"])
        ids, labels = (batch[key][half:] for key in ("input_ids", "labels"))
        ratio = self._sums(model, ids, labels) - batch["reference"][half:, 0]
        return {**batch, "kl": ratio.mean().clamp(min=0)}

    def loss(self, model: Any, batch: dict[str, Any], count: Any) -> StepLoss:
        """Mean over the rows."""
        import torch

        good, kl = batch["good"], batch["kl"]
        half = len(good)
        logps = self._sums(model, batch["input_ids"][:half], batch["labels"][:half])
        ratio = logps - batch["reference"][:half, 0]
        sign = torch.where(good, 1.0, -1.0)
        weight = torch.where(good, self._weights[1], self._weights[0])
        losses = weight * (1 - torch.sigmoid(self._beta * sign * (ratio - kl)))
        reward = self._beta * ratio.detach()
        metrics = {"kl": float(kl)}
        for name, which in (("reward_good", good), ("reward_bad", ~good)):
            if which.any():
                metrics[name] = float(reward[which].mean())
        return StepLoss(losses.mean().float(), metrics)

    def _sums(self, model: Any, ids: Any, labels: Any) -> Any:
        """In float64: the loss takes small differences of these sums."""
        import torch

        logps = supervised_logps(model, ids, labels, share_prefix=self._share)
        sums = torch.zeros(len(ids), dtype=torch.float64, device=ids.device)
        return sums.index_add(0, logps.rows, logps.values.double())


def _matched(example: Example) -> Example:
    return _row(example.fields["prompt"], example.fields["answer"])


def _mismatched(example: Example, other: Example) -> Example:
    return _row(example.fields["prompt"], other.fields["answer"])


def _row(prompt: Sequence[int], answer: Sequence[tuple[int, bool]]) -> Example:
    ids = [*prompt, *(token for token, _ in answer)]
    labels = [IGNORED] * len(prompt) + [t if learnt else IGNORED for t, learnt in answer]
    return Example(len(ids), {"input_ids": ids, "labels": labels})


METHOD = KahnemanTversky
