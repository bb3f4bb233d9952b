"""PPO (Schulman et al. 2017, arXiv:1707.06347): a critic's value of every choice, GAE, two clips.

Contract: choices are the actions, the answer's reward comes after the last one, and with `rl.kl`
each choice pays for its log-ratio to the reference (Ouyang et al. 2022, arXiv:2203.02155).
Advantages are generalised (arXiv:1506.02438, discount 1) and whitened over the step's tokens; the
loss is the mean over tokens.  The critic is a linear layer on the policy's last hidden states; it
trains by itself, gives the policy no gradient, and is no part of the adapter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from denizen.train.critic import Critic
from denizen.train.methods.base import StepLoss, plain
from denizen.train.on_policy import OnPolicy
from denizen.train.policy import Scored
from denizen.train.rollouts.parts import Part
from denizen.train.rollouts.record import Rollout, Row

if TYPE_CHECKING:
    import torch

    from denizen.train.recipe import Job

# How far credit reaches back; 1 would be the whole answer's reward (arXiv:1506.02438).
LAMBDA = 0.95
EPSILON = 1e-8


class PPO(OnPolicy):
    """Proximal policy optimisation with a critic."""

    name, title, rate = "ppo", "PPO", 0.1
    needs_old = needs_values = True

    def prepare(self, model: Any, job: Job, batches: Sequence[list[int]]) -> None:
        """Also the critic, as a killed run left it."""
        super().prepare(model, job, batches)
        self.critic = Critic(plain(model), job.work)

    def before(self, model: Any, batch: dict[str, Any], step: int) -> dict[str, Any]:
        """Also keep the critic at every step that may have a checkpoint."""
        if step % self.config.train.save_steps == 0:
            self.critic.save(step)
        return super().before(model, batch, step)

    def loss(self, model: Any, batch: dict[str, Any], count: Any) -> StepLoss:
        """The policy's loss; the critic takes its own step."""
        step = super().loss(model, batch, count)
        self.critic.step()
        return step

    def judge(self, scored: Scored) -> list[float]:
        """The critic's value of each choice, before it is made."""
        values: list[float] = self.critic(scored.hidden).tolist()
        return values

    def credit(self, rewards: torch.Tensor, groups: Sequence[Sequence[Row]]) -> list[list[Row]]:
        """Generalised advantages, whitened over all choice tokens of the step, and returns."""
        import torch

        raw = [
            [self._generalised(row, float(of[row.members[0]])) for row in group]
            for of, group in zip(rewards, groups, strict=True)
        ]
        rows = [row for group in raw for row in group]
        every = [a for row in rows for a in row.advantages * len(row.members)]
        if len(every) < 2:
            return raw
        flat = torch.tensor(every, dtype=torch.float64)
        mean, spread = float(flat.mean()), float(flat.std()) + EPSILON
        return [
            [
                replace(row, advantages=tuple((a - mean) / spread for a in row.advantages))
                for row in group
            ]
            for group in raw
        ]

    def part_loss(
        self, part: Part, scored: Scored, rollout: Rollout
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """The part's terms of the mean over choice tokens; the critic learns from it, too."""
        import torch

        clip, old = self.config.rl.clip, part.old(scored)
        ratio, advantages = (scored.logps - old).exp(), part.advantages
        losses = -torch.min(ratio * advantages, ratio.clamp(1 - clip, 1 + clip) * advantages)
        losses = losses * self.importance(old - part.sampled)
        share = part.weights / rollout.choices
        error = self.critic.learn(scored.hidden, part.values, part.returns, share, clip)
        beyond = torch.where(advantages < 0, ratio < 1 - clip, ratio > 1 + clip)
        figures = {
            "clipped": float((beyond * part.weights).sum()),
            "value_loss": error * rollout.choices,
        }
        return (losses * share).sum(), figures

    def _generalised(self, row: Row, reward: float) -> Row:
        kl = self.config.rl.kl
        paid = [0.0] * len(row.values)
        if kl:
            paid = [-kl * (a - b) for a, b in zip(row.old, row.reference, strict=True)]
        paid[-1] += reward
        advantages = generalised_advantages(paid, row.values)
        returns = tuple(a + v for a, v in zip(advantages, row.values, strict=True))
        return replace(row, advantages=advantages, returns=returns)


def generalised_advantages(
    rewards: Sequence[float], values: Sequence[float], decay: float = LAMBDA
) -> tuple[float, ...]:
    """GAE of one answer, whose last action ends it; discount 1."""
    advantages, ahead, after = [], 0.0, 0.0
    for reward, value in zip(reversed(rewards), reversed(values), strict=True):
        ahead = reward + after - value + decay * ahead
        after = value
        advantages.append(ahead)
    return tuple(reversed(advantages))


METHOD = PPO
