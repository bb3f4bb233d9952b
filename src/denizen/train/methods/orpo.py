"""Odds-ratio preference optimisation (Hong et al. 2024, arXiv:2403.07691): no reference model.

Contract: the negative log-likelihood of the chosen answer (equation 6) plus lambda times
-log sigmoid of the log odds ratio of both answers, whose probabilities are geometric means over
their tokens.  With `preference.orpo_prompt` the likelihood takes the prompt in, as TRL has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from denizen.project.config import Config
from denizen.train.methods.base import Example, Offline, StepLoss
from denizen.train.pairs import CHOSEN, PROMPT, TRUNK, can_share, collate_pairs, pair_sums


class OddsRatioPreference(Offline):
    """Pairs of a chosen and a rejected answer."""

    name, title, rate = "orpo", "odds-ratio preference optimisation", 0.3

    def __init__(self, config: Config) -> None:
        self._weight = config.preference.orpo_weight
        self._prompt = config.preference.orpo_prompt
        self._share = config.train.shortcuts

    def prepare(self, model: Any, job: Any, batches: Sequence[list[int]]) -> None:
        """Rows fork only where that is exact."""
        self._share = self._share and can_share(model)

    def collate(self, examples: Sequence[Example]) -> dict[str, Any]:
        """Tensors of a batch of pairs."""
        return collate_pairs(examples, share=self._share, prompt=self._prompt)

    def loss(self, model: Any, batch: dict[str, Any], count: Any) -> StepLoss:
        """Mean over the chosen answers' tokens, and over the pairs."""
        import torch.nn.functional as F

        sums = pair_sums(model, batch)
        learnt = [TRUNK, CHOSEN, PROMPT]
        likelihood = -sums.values[learnt].sum() / sums.counts[learnt].sum()
        chosen_length, rejected_length = sums.lengths
        chosen, rejected = sums.chosen / chosen_length, sums.rejected / rejected_length
        odds = (chosen - rejected) - (log_not(chosen) - log_not(rejected))
        loss = likelihood - self._weight * F.logsigmoid(odds).mean()
        metrics = {
            "likelihood": float(likelihood.detach()),
            "log_odds": float(odds.detach().mean()),
            "preferred": float((odds > 0).float().mean()),
        }
        return StepLoss(loss.float(), metrics)


def log_not(logp: Any) -> Any:
    """log(1 - exp(logp)) for logp < 0, exact near both ends."""
    import math

    import torch

    # The branch not taken must stay finite, or its gradient would be NaN.
    # A certain answer has a logp of 0 in float32, whose log is infinite.
    logp = logp.clamp(max=-1e-9)
    near = logp > -math.log(2)
    small = torch.where(near, logp, logp.new_tensor(-1.0))
    large = torch.where(near, logp.new_tensor(-1.0), logp)
    return torch.where(near, torch.log(-torch.expm1(small)), torch.log1p(-torch.exp(large)))


METHOD = OddsRatioPreference
