"""RLOO (Ahmadian et al. 2024, arXiv:2402.14740): REINFORCE with a leave-one-out baseline.

Contract: an answer is one action; its advantage is its reward less the mean of the group's others,
its loss the clipped ratio of the whole answer's probability, averaged over answers.  With `rl.kl`
the sum of the answer's log-ratios to the reference is taken off its reward.  With a reward model
this is the RLHF of that paper.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from denizen.project.config import Config
from denizen.train.on_policy import OnPolicy, of_answers
from denizen.train.policy import Scored
from denizen.train.rewards import Reward
from denizen.train.rollouts import Sampler
from denizen.train.rollouts.parts import Part
from denizen.train.rollouts.record import Rollout, Row

if TYPE_CHECKING:
    import torch


class RLOO(OnPolicy):
    """REINFORCE leave-one-out."""

    name, title, rate = "rloo", "RLOO", 0.1

    def __init__(
        self, config: Config, reward: Reward | None = None, sampler: Sampler | None = None
    ) -> None:
        super().__init__(config, reward, sampler)
        self.needs_old = config.rl.kl > 0

    def credit(self, rewards: torch.Tensor, groups: Sequence[Sequence[Row]]) -> list[list[Row]]:
        """Every choice of an answer has the answer's advantage."""
        kl, size = self.config.rl.kl, rewards.shape[1]
        rewards = rewards.clone()
        if kl:
            for number, group in enumerate(groups):
                for row in group:
                    apart = sum(a - b for a, b in zip(row.old, row.reference, strict=True))
                    rewards[number, list(row.members)] -= kl * apart
        advantages = (rewards - rewards.mean(dim=1, keepdim=True)) * (size / (size - 1))
        return of_answers(groups, rewards, advantages)

    def part_loss(
        self, part: Part, scored: Scored, rollout: Rollout
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """The part's terms of the mean over all answers."""
        import torch

        clip, old = self.config.rl.clip, part.old(scored)
        ratio = part.of_rows(scored.logps - old, scored).exp()
        firsts = [row.advantages[0] for row in part.rows]
        advantages = torch.tensor(firsts, device=ratio.device, dtype=ratio.dtype)
        losses = -torch.min(ratio * advantages, ratio.clamp(1 - clip, 1 + clip) * advantages)
        losses = losses * self.importance(part.of_rows(old - part.sampled, scored))
        members = torch.tensor([len(row.members) for row in part.rows], device=ratio.device)
        beyond = torch.where(advantages < 0, ratio < 1 - clip, ratio > 1 + clip)
        figures = {"clipped": float((beyond[scored.rows] * part.weights).sum())}
        return (losses * members).sum() / rollout.answers, figures


METHOD = RLOO
