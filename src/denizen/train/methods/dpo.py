"""Direct preference optimisation (Rafailov et al. 2023, arXiv:2305.18290), the sigmoid loss.

Contract: the loss is -log sigmoid(beta x margin), averaged over pairs; the margin is how much more
the policy than the reference prefers the chosen answer.  Tokens that both answers begin with cancel
in it, so they carry no gradient of their own; the curve still counts them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from denizen.project.config import Config
from denizen.train.methods.base import Example, StepLoss
from denizen.train.pairs import Sums, can_share, collate_pairs, pair_sums
from denizen.train.reference import Scored


class DirectPreference(Scored):
    """Pairs of a chosen and a rejected answer."""

    name, title, rate = "dpo", "direct preference optimisation", 0.1
    mean_over = "rows"

    def __init__(self, config: Config) -> None:
        self._beta = config.preference.beta
        self._share = config.train.shortcuts

    def prepare(self, model: Any, job: Any, batches: Sequence[list[int]]) -> None:
        """Reference log-probabilities; rows that fork only where that is exact."""
        self._share = self._share and can_share(model)
        super().prepare(model, job, batches)

    def tensors(self, rows: Sequence[Example]) -> dict[str, Any]:
        """Of a batch of pairs."""
        return collate_pairs(rows, share=self._share)

    def score(self, model: Any, batch: dict[str, Any]) -> Any:
        """Log-probabilities of the chosen and the rejected answers, shape (pairs, 2)."""
        import torch

        sums = pair_sums(model, batch)
        return torch.stack([sums.chosen, sums.rejected], 1)

    def loss(self, model: Any, batch: dict[str, Any], count: Any) -> StepLoss:
        """Mean over the pairs."""
        import torch.nn.functional as F

        sums = pair_sums(model, batch, trunk_gradient=False)
        chosen, rejected = batch["reference"].unbind(1)
        margin = sums.chosen - sums.rejected - (chosen - rejected)
        metrics = preference_metrics(sums, self._beta, chosen, rejected)
        return StepLoss(-F.logsigmoid(self._beta * margin).mean().float(), metrics)


def preference_metrics(sums: Sums, beta: float, chosen: Any, rejected: Any) -> dict[str, float]:
    """Implicit rewards against the reference (beta x nats), their margin, how often it is > 0."""
    one = beta * (sums.chosen.detach() - chosen)
    two = beta * (sums.rejected.detach() - rejected)
    return {
        "reward_chosen": float(one.mean()),
        "reward_rejected": float(two.mean()),
        "margin": float((one - two).mean()),
        "preferred": float((one > two).float().mean()),
    }


METHOD = DirectPreference
