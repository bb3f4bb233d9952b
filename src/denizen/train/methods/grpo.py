"""GRPO (Shao et al. 2024, arXiv:2402.03300): advantages are rewards normalised within a group.

Contract: the loss is the clipped probability ratio of every choice token, averaged as `rl.loss`
says: over tokens, then answers (grpo), over all tokens (dapo, arXiv:2503.14476), or by a constant,
with advantages not divided by their deviation (dr_grpo, arXiv:2503.20783).  The KL to the reference
is the k3 estimate times the ratio, whose gradient is unbiased (arXiv:2512.02556), as TRL has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from denizen.train.on_policy import OnPolicy, of_answers
from denizen.train.policy import Scored
from denizen.train.rollouts.parts import Part
from denizen.train.rollouts.record import Rollout, Row

if TYPE_CHECKING:
    import torch

# Keeps the deviation of a group from being zero; TRL's value.
EPSILON = 1e-4


class GRPO(OnPolicy):
    """Group-relative policy optimisation."""

    name, title, rate = "grpo", "GRPO", 0.1

    def credit(self, rewards: torch.Tensor, groups: Sequence[Sequence[Row]]) -> list[list[Row]]:
        """Every choice of an answer has the answer's advantage."""
        advantages = rewards - rewards.mean(dim=1, keepdim=True)
        if self.config.rl.loss != "dr_grpo":
            advantages = advantages / (rewards.std(dim=1, keepdim=True) + EPSILON)
        return of_answers(groups, rewards, advantages)

    def part_loss(
        self, part: Part, scored: Scored, rollout: Rollout
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """The part's terms of the mean over all answers, those of no advantage too."""
        import torch

        rl, old = self.config.rl, part.old(scored)
        ratio = (scored.logps - old).exp()
        advantages = part.advantages
        clipped = ratio.clamp(1 - rl.clip, 1 + rl.clip)
        losses = -torch.min(ratio * advantages, clipped * advantages)
        losses = losses * self.importance(old - part.sampled)
        if rl.kl:
            behind = part.reference - scored.logps
            losses = losses + rl.kl * (behind.exp() - behind - 1) * ratio
        counts = {
            "grpo": part.lengths * rollout.answers,
            "dapo": torch.full_like(part.lengths, rollout.choices),
            "dr_grpo": torch.full_like(part.lengths, rollout.answers * rl.max_new_tokens),
        }
        beyond = torch.where(advantages < 0, ratio < 1 - rl.clip, ratio > 1 + rl.clip)
        figures = {"clipped": float((beyond * (advantages != 0) * part.weights).sum())}
        return (losses * part.weights / counts[rl.loss]).sum(), figures


METHOD = GRPO
