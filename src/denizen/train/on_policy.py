"""What GRPO, RLOO and PPO share: sample, reward, credit, and update in parts of one group each.

Contract: answers are sampled once for `rl.updates` steps, seeded by (data.seed, step); equal
answers of a group go through the model once, with the weight of all; a group whose advantages are
all zero costs no pass (without a KL term).  A part's gradient is taken as soon as its loss is made,
so that memory is that of one part: at most `train.batch_tokens` padded tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from denizen.models import load_tokenizer
from denizen.project.config import Config
from denizen.project.errors import TrainingError
from denizen.train.checkpoints import resumed_step
from denizen.train.curriculum import Curriculum
from denizen.train.methods.base import Example, Offline, StepLoss, plain
from denizen.train.policy import Scored, score_choices
from denizen.train.reference import Reference
from denizen.train.rewards import Graded, Reward, by_model, verified
from denizen.train.rollouts import Prompt, Sample, Sampler, make_sampler
from denizen.train.rollouts.parts import Part, distinct, parts_of
from denizen.train.rollouts.prompts import prompt_batches
from denizen.train.rollouts.record import NAME, Records, Rollout, Row

if TYPE_CHECKING:
    import torch

    from denizen.train.recipe import Job

# Of truncated importance sampling between two engines (Ionides 2008; as in TRL and verl).
IMPORTANCE_CAP = 2.0


class OnPolicy(Offline):
    """An objective that learns from what the policy itself answers.

    A subclass gives the rows their advantages (`credit`) and a part its loss (`part_loss`).
    """

    needs_old = False
    """Whether credit wants the sampling policy's log-probabilities."""
    needs_values = False
    """Whether credit wants a critic's values (`judge`)."""

    def __init__(
        self, config: Config, reward: Reward | None = None, sampler: Sampler | None = None
    ) -> None:
        self.config, self._reward, self._sampler = config, reward, sampler
        self._rollout: Rollout | None = None

    def credit(self, rewards: torch.Tensor, groups: Sequence[Sequence[Row]]) -> list[list[Row]]:
        """The rows with their advantages; `rewards`, float64, has shape (questions, group)."""
        raise NotImplementedError

    def part_loss(
        self, part: Part, scored: Scored, rollout: Rollout
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """A part's share of the step's loss, and sums of figures over its choice tokens."""
        raise NotImplementedError

    def judge(self, scored: Scored) -> list[float]:
        """The critic's value of each choice."""
        raise NotImplementedError

    def importance(self, gap: torch.Tensor) -> torch.Tensor:
        """min(exp(gap), cap), where gap is trainer - sampler in nats; 1 if they are one engine."""
        assert self._sampler is not None
        return gap.exp().clamp(max=IMPORTANCE_CAP) if not self._sampler.exact else gap * 0 + 1

    @property
    def rounds(self) -> bool:
        """An engine that samples from weights of its own would sample from others than these."""
        return self._sampler is None or self._sampler.exact

    def finish(self) -> None:
        """Let the sampler's engine go."""
        if self._sampler is not None:
            self._sampler.close()

    # -- before the first step ------------------------------------------------------------------

    def batches(self, examples: Sequence[Example], config: Config) -> Sequence[list[int]]:
        """`rl.prompts` questions a step, every batch `rl.updates` times."""
        return prompt_batches(len(examples), config)

    def prepare(self, model: Any, job: Job, batches: Sequence[list[int]]) -> None:
        """Find the sampler, the reward and the reference, and what a killed run left."""
        rl, seed = self.config.rl, self.config.data.seed
        self._steps = max(len(batches), 1)
        prompts: list[Prompt] = [example.fields["prompt"] for example in job.examples]
        self._prompts = prompts if rl.grammar else [replace(p, grammar=None) for p in prompts]
        self._numbers = {prompt.text: number for number, prompt in enumerate(prompts)}
        if self._sampler is None:
            self._sampler = make_sampler(self.config, load_tokenizer(job.base), job)
        if self._reward is None:
            self._reward = _find_reward(job)
        asked = rl.kl or hasattr(model, "peft_config")
        self._reference = Reference(model, job.start) if asked else None
        self._records = Records(job.work / NAME, resumed_step(job.work))
        self._curriculum = None
        if rl.curriculum:
            self._curriculum = Curriculum([prompt.item for prompt in prompts], seed)
            for question, differed in self._records.observed():
                self._curriculum.observe(question, differed)

    # -- a step ---------------------------------------------------------------------------------

    def collate(self, examples: Sequence[Example]) -> dict[str, Any]:
        """The step's questions; `input_ids` (tokens,) are those of their prompts."""
        prompts = [example.fields["prompt"] for example in examples]
        return {"prompts": prompts, "input_ids": _tensor([t for p in prompts for t in p.ids])}

    def before(self, model: Any, batch: dict[str, Any], step: int) -> dict[str, Any]:
        """The step's rollout; `input_ids` (tokens,) are those it trains on."""
        first = step - step % self.config.rl.updates
        if self._rollout is None or self._rollout.step != first:
            kept = self._records.find(first, self._prompts) if first < step else None
            self._rollout = kept or self._collect(model, self._questions(batch, first), first)
        samples = [row.sample for group in self._rollout.groups for row in group]
        tokens = [token for s in samples for token in (*s.prompt.ids, *s.ids)]
        return {"rollout": self._rollout, "input_ids": _tensor(tokens)}

    def loss(self, model: Any, batch: dict[str, Any], count: Any) -> StepLoss:
        """The step's loss; the gradients of all parts but the last are taken here."""
        rollout: Rollout = batch["rollout"]
        train, device = self.config.train, plain(model).device
        parts = parts_of(rollout.groups, train.batch_tokens, device, share=train.shortcuts)
        metrics = {**rollout.metrics, "clipped": 0.0, "gap": 0.0}
        if not parts:
            return StepLoss(_nothing(model), metrics)
        sums: dict[str, float] = {}
        done = 0.0
        for part in parts:
            scored = self._score(model, part.samples)
            loss, figures = self.part_loss(part, scored, rollout)
            for name, value in (figures | part.figures(scored)).items():
                sums[name] = sums.get(name, 0.0) + value
            if part is not parts[-1]:
                done += float(loss.detach())
                if loss.requires_grad:
                    loss.backward()
        tokens = sums.pop("tokens")
        return StepLoss(loss + done, metrics | {name: v / tokens for name, v in sums.items()})

    # -- rollouts -------------------------------------------------------------------------------

    def _questions(self, batch: dict[str, Any], step: int) -> list[int]:
        nominal = [self._numbers[prompt.text] for prompt in batch["prompts"]]
        if self._curriculum is None:
            return nominal
        return self._curriculum.draw(step, step / self._steps, len(nominal))

    def _collect(self, model: Any, questions: Sequence[int], step: int) -> Rollout:
        """Sample, reward and credit."""
        import torch

        rl = self.config.rl
        assert self._sampler is not None and self._reward is not None
        answers = self._sampler.sample(
            model,
            [self._prompts[question] for question in questions],
            rl.group,
            rl.temperature,
            rl.max_new_tokens,
            self.config.data.seed * 1_000_003 + step,
        )
        flat = [answer for group in answers for answer in group]
        grades = self._reward([a.prompt.item for a in flat], [a.text for a in flat])
        rewards = torch.tensor([g.total for g in grades], dtype=torch.float64).view(-1, rl.group)
        # Without a KL term one group a step is shown to the reference, for the curve alone.
        shown = range(len(answers)) if rl.kl else [step // rl.updates % len(answers)]
        groups = [
            self._appraised(model, distinct(group), number in shown)
            for number, group in enumerate(answers)
        ]
        groups = self.credit(rewards, groups)
        differed = tuple(bool(of.amax() > of.amin()) for of in rewards)
        moved = [rl.kl or any(any(row.advantages) for row in group) for group in groups]
        learnt = [tuple(group) if m else () for group, m in zip(groups, moved, strict=True)]
        used = sum(len(row.members) for group in learnt for row in group)
        rollout = Rollout(
            step=step,
            questions=tuple(questions),
            groups=tuple(learnt),
            answers=len(flat),
            choices=sum(len(answer.choices) for answer in flat),
            differed=differed,
            metrics={
                **_figures(rewards, grades, flat),
                **_divergence(groups),
                "zero_advantage": 1.0 - sum(differed) / len(differed),
                "skipped": 1.0 - used / len(flat),
            },
            texts=tuple(tuple(answer.text for answer in group) for group in answers),
            grades=tuple(tuple(grades[i : i + rl.group]) for i in range(0, len(grades), rl.group)),
        )
        self._records.add(rollout)
        if self._curriculum is not None:
            for question, differs in zip(questions, differed, strict=True):
                self._curriculum.observe(question, differs)
        return rollout

    def _appraised(self, model: Any, group: list[Row], shown: bool) -> list[Row]:
        """Rows with what the policy and its critic say of them, and, if `shown`, the reference."""
        assert self._sampler is not None
        if not group:
            return group
        old = self.needs_old or self.config.rl.updates > 1
        samples = [row.sample for row in group]
        if self.needs_values or (old and not self._sampler.exact):
            scored = self._score(model, samples)
            logps = scored.logps.tolist()
            values = self.judge(scored) if self.needs_values else []
        else:
            logps, values = [logp for sample in samples for logp in sample.logps], []
        there: list[float] = []
        if shown and self._reference is not None:
            with self._reference.active() as reference:
                there = self._score(reference, samples).logps.tolist()
        rows, start = [], 0
        for row in group:
            mine = slice(start, start := start + len(row.sample.choices))
            rows.append(
                replace(
                    row,
                    old=tuple(logps[mine]) if old else (),
                    reference=tuple(there[mine]),
                    values=tuple(values[mine]),
                )
            )
        return rows

    def _score(self, model: Any, samples: Sequence[Sample]) -> Scored:
        train, rl = self.config.train, self.config.rl
        return score_choices(model, samples, rl.temperature, share_prefix=train.shortcuts)


def of_answers(
    groups: Sequence[Sequence[Row]], rewards: torch.Tensor, advantages: torch.Tensor
) -> list[list[Row]]:
    """The rows with their answer's advantage at every choice; both are (questions, group).

    Where all rewards are equal it is 0: rounding leaves their mean a little off them.
    """
    tied = rewards.amax(1) == rewards.amin(1)
    return [
        [
            replace(row, advantages=(float(of[row.members[0]]),) * len(row.sample.choices))
            for row in group
        ]
        for of, group in zip(advantages.masked_fill(tied[:, None], 0.0), groups, strict=True)
    ]


def _find_reward(job: Job) -> Reward:
    if not job.config.rl.reward_model:
        return verified
    if job.reward_model is None:
        raise TrainingError(
            "the reward model was not handed to the run",
            where="rl.reward_model",
            fix="give its folder as Job.reward_model",
        )
    from denizen.train.methods.reward import load_reward

    return by_model(load_reward(job.base, job.reward_model, job.base_hash))


def _tensor(ids: Sequence[int]) -> torch.Tensor:
    import torch

    return torch.tensor(ids, dtype=torch.long)


def _nothing(model: Any) -> torch.Tensor:
    """A loss of zero whose gradient is zero everywhere."""
    import torch

    return torch.stack([p.sum() * 0.0 for p in model.parameters() if p.requires_grad]).sum()


def _figures(
    rewards: torch.Tensor, grades: Sequence[Graded], answers: Sequence[Sample]
) -> dict[str, float]:
    """Means over all answers; the entropy is estimated by -log p of what was drawn (unbiased)."""
    logps = [logp for answer in answers for logp in answer.logps]
    count = len(answers)
    return {
        "reward": float(rewards.mean()),
        "reward_std": float(rewards.std(dim=1).mean()),
        "reward_format": sum(g.format for g in grades) / count,
        "reward_tool": sum(g.tool for g in grades) / count,
        "reward_arguments": sum(g.arguments for g in grades) / count,
        "reward_answer": sum(g.answer for g in grades) / count,
        "entropy": -sum(logps) / max(len(logps), 1),
        "length": sum(len(answer.ids) for answer in answers) / count,
    }


def _divergence(groups: Sequence[Sequence[Row]]) -> dict[str, float]:
    """The sampled KL to the reference a choice token (k1), of the rows that were shown to it."""
    total, tokens = 0.0, 0
    for row in (row for group in groups for row in group):
        ours = row.old or row.sample.logps
        if row.reference:
            gaps = [a - b for a, b in zip(ours, row.reference, strict=True)]
            total += sum(gaps) * len(row.members)
            tokens += len(gaps) * len(row.members)
    return {"kl": total / tokens} if tokens else {}
