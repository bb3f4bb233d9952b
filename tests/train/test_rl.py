"""GRPO and RLOO equal TRL's own, PPO its closed form; sampling follows the policy; all three learn."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from denizen.models import Generator, encode, load_model, load_tokenizer
from denizen.project.config import AdapterConfig, Config, DataConfig, RLConfig, TrainConfig
from denizen.tasks import suite_of
from denizen.train import Job, fine_tune
from denizen.train.methods import find_objective
from denizen.train.methods.base import Example
from denizen.train.policy import score_choices
from denizen.train.rewards import Graded
from denizen.train.rollouts import Prompt, Sample
from denizen.train.rollouts.parts import distinct
from denizen.train.rollouts.prompts import rl_examples
from denizen.train.rollouts.record import Rollout, Row
from denizen.train.rollouts.transformers import TransformersSampler

FEES = 'root ::= "pool " ("aave" | "aero" | "curve") " fee " [0-9]{1,3} "%"'
LETTERS = 'root ::= "a" | "b" | "c" | "d"'


@pytest.fixture(autouse=True)
def one_thread(request: pytest.FixtureRequest) -> Iterator[None]:
    """Threads only wait for each other in a model this small."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(before if request.node.get_closest_marker("slow") else 1)
    yield
    torch.set_num_threads(before)


@dataclass(frozen=True)
class Riddle:
    """A question about nothing: its digit says which letter is right."""

    prompt: str
    gold: str
    difficulty: int = 1


def riddles() -> list[Riddle]:
    return [Riddle(str(n) * 12, "abcd"[n]) for n in range(4)]


def letter_reward(items: Sequence[Riddle], texts: Sequence[str]) -> list[Graded]:
    right = [float(text == item.gold) for item, text in zip(items, texts, strict=True)]
    return [Graded(r, 1.0, 1.0, 1.0, r) for r in right]


def examples(tiny: Path, grammar: str | None = LETTERS) -> list[Example]:
    tokenizer = load_tokenizer(tiny)
    made = []
    for riddle in riddles():
        ids = tuple(encode(tokenizer, riddle.prompt))
        made.append(Example(len(ids), {"prompt": Prompt(ids, riddle.prompt, grammar, riddle)}))
    return made


def config(objective: str, steps: int = 0, epochs: int = 1, save: int = 50, **rl: Any) -> Config:
    return Config(
        data=DataConfig(seed=1),
        adapter=AdapterConfig(rank=8, alpha=16),
        train=TrainConfig(
            objective=objective,
            learning_rate=3e-3,
            warmup_steps=1,
            epochs=epochs,
            max_steps=steps,
            save_steps=save,
        ),
        rl=RLConfig(
            **{"group": 4, "prompts": 2, "max_new_tokens": 6, "rollouts": "transformers", **rl}
        ),
    )


def policy(tiny: Path) -> Any:
    """The tiny model with a LoRA that is not zero."""
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(1)
    model = get_peft_model(
        load_model(tiny), LoraConfig(r=4, lora_alpha=8, target_modules="all-linear")
    )
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.05)
    return model


def prepared(tiny: Path, work: Path, settings: Config, model: Any, **made: Any) -> Any:
    """The objective, ready for its first step."""
    from denizen.train.methods import grpo, ppo, rloo

    method = {"grpo": grpo, "rloo": rloo, "ppo": ppo}[settings.train.objective].METHOD
    objective = method(settings, **{"reward": letter_reward, **made})
    job = Job(tiny, "hash", examples(tiny), settings, work / "work", work / "adapter")
    objective.prepare(model, job, objective.batches(job.examples, settings))
    return objective


def gradients(model: Any) -> Any:
    import torch

    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


# -- sampling ---------------------------------------------------------------------------------------


def prompts(tiny: Path, grammar: str | None) -> list[Prompt]:
    tokenizer = load_tokenizer(tiny)
    texts = [f"<|im_start|>user\nWhat is the question about pool {'x' * i}?" for i in range(3)]
    return [Prompt(tuple(encode(tokenizer, t)), t, grammar, None) for t in texts]


@pytest.mark.parametrize("grammar", [FEES, None])
def test_samples_carry_the_log_probabilities_of_one_plain_pass(
    tiny: Path, grammar: str | None
) -> None:
    """The tree, its cache and its mask against the model's own forward of each answer alone."""
    import torch

    model, sampler = load_model(tiny), TransformersSampler(load_tokenizer(tiny))
    groups = sampler.sample(model, prompts(tiny, grammar), 5, 0.7, 24, seed=3)
    assert [len(group) for group in groups] == [5, 5, 5]
    assert len({s.ids for group in groups for s in group}) > 6
    for sample in (s for group in groups for s in group):
        ids = torch.tensor([[*sample.prompt.ids, *sample.ids]])
        with torch.no_grad():
            logits = model(input_ids=ids).logits[0] / 0.7
        start = len(sample.prompt.ids)
        for position, logp, allowed in zip(
            sample.choices, sample.logps, sample.allowed, strict=True
        ):
            row = logits[start + position - 1]
            chosen = sample.ids[position]
            among = row if allowed is None else row[list(allowed)]
            expected = float(row[chosen] - among.logsumexp(0))
            assert logp == pytest.approx(expected, abs=2e-5)
            assert allowed is None or (chosen in allowed and len(allowed) > 1)
    if grammar is None:
        assert all(s.choices == tuple(range(len(s.ids))) for g in groups for s in g)
    else:
        assert all(len(s.choices) < len(s.ids) for g in groups for s in g)


def test_the_same_log_probabilities_are_trained_on(tiny: Path) -> None:
    """What the loss differentiates is what was sampled, with and without a grammar."""
    import torch

    model, sampler = policy(tiny), TransformersSampler(load_tokenizer(tiny))
    for grammar in (FEES, None):
        for group in sampler.sample(model, prompts(tiny, grammar), 4, 0.7, 24, seed=0):
            with torch.no_grad():
                scored = score_choices(model, group, 0.7)
            expected = torch.tensor([logp for s in group for logp in s.logps])
            assert torch.allclose(scored.logps, expected, atol=2e-5)


def test_cold_sampling_is_the_generators_greedy_answer(tiny: Path) -> None:
    model, tokenizer = load_model(tiny), load_tokenizer(tiny)
    asked = prompts(tiny, FEES)
    cold = TransformersSampler(tokenizer).sample(model, asked, 1, 1e-6, 40, seed=0)
    greedy = Generator(model, tokenizer).answer(
        [p.text for p in asked], [FEES] * 3, max_new_tokens=40
    )
    assert [group[0].text for group in cold] == greedy


def test_frequencies_follow_the_policy(tiny: Path) -> None:
    """Chi-square of 2,000 independent draws against the model's own softmax (p > 0.001)."""
    import torch

    model, tokenizer = load_model(tiny), load_tokenizer(tiny)
    asked = examples(tiny)[:2]
    ask = [e.fields["prompt"] for e in asked]
    groups = TransformersSampler(tokenizer).sample(model, ask, 1000, 1.0, 4, seed=5)
    tokens = [encode(tokenizer, letter)[0] for letter in "abcd"]
    chi = 0.0
    for prompt, group in zip(ask, groups, strict=True):
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([prompt.ids])).logits[0, -1]
        expected = logits[tokens].softmax(0) * 1000
        counts = Counter(sample.text for sample in group)
        chi += sum(
            (counts[c] - float(e)) ** 2 / float(e) for c, e in zip("abcd", expected, strict=True)
        )
    assert chi < 22.46  # the 0.999 quantile of chi-square with 2 x 3 degrees of freedom


def test_sampling_depends_on_the_seed_alone(tiny: Path) -> None:
    model, sampler = load_model(tiny), TransformersSampler(load_tokenizer(tiny))
    asked = prompts(tiny, FEES)
    first = sampler.sample(model, asked, 4, 1.0, 40, seed=1)
    assert first == sampler.sample(model, asked, 4, 1.0, 40, seed=1)
    assert first != sampler.sample(model, asked, 4, 1.0, 40, seed=2)
    assert all(s.text.startswith("pool ") and s.text.endswith("%") for g in first for s in g)


# -- the losses -------------------------------------------------------------------------------------


class Done(Exception):
    """The probed step is over."""


def probe(kind: str, tiny: Path, tmp_path: Path, kl: float, **arguments: Any) -> dict[str, Any]:
    """TRL's own trainer up to the loss and gradient of its first step, made off-policy.

    Its rewards and advantages are its own; answers are cut to different lengths and the old
    log-probabilities moved, so that length normalisation and clipping matter.
    """
    import torch
    import trl
    from datasets import Dataset

    seen: dict[str, Any] = {}
    base = getattr(trl, f"{kind}Trainer")

    class Probe(base):  # type: ignore[misc, valid-type]
        def compute_loss(self, model: Any, inputs: dict[str, Any], *_: Any, **__: Any) -> Any:
            whole = zip(inputs["completion_ids"], inputs["completion_mask"].bool(), strict=True)
            seen["rewards"] = reward([ids[mask].tolist() for ids, mask in whole])
            width = inputs["completion_mask"].shape[1]
            lengths = torch.tensor([width - row % 4 for row in range(8)])
            inputs["completion_mask"] = (torch.arange(width) < lengths[:, None]).long()
            mask = inputs["completion_mask"]
            noise = torch.linspace(-0.5, 0.5, mask.numel()).view(mask.shape)
            with torch.no_grad():
                now, _, _ = self._get_per_token_logps_and_entropies(
                    model,
                    torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], 1),
                    torch.cat([inputs["prompt_mask"], mask], 1),
                    width,
                )
            old = now + noise
            inputs["old_per_token_logps"] = old
            inputs["old_logps"] = (old * mask).sum(1)
            inputs["num_items_in_batch"] = mask.sum()
            loss = super().compute_loss(model, inputs)
            loss.backward()
            seen.update(inputs, loss=float(loss.detach()), gradients=gradients(self.model), old=old)
            raise Done

    def reward(completion_ids: list[list[int]], **_: Any) -> list[float]:
        return [float(sum(ids) % 7) / 7 for ids in completion_ids]

    settings = getattr(trl, f"{kind}Config")(
        output_dir=str(tmp_path / "trl"),
        per_device_train_batch_size=8,
        num_generations=4,
        max_completion_length=6,
        beta=kl,
        epsilon=0.2,
        temperature=0.9,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        report_to=[],
        disable_tqdm=True,
        max_steps=1,
        seed=0,
        **arguments,
    )
    rows = Dataset.from_list([{"prompt": riddle.prompt} for riddle in riddles()[:2]])
    trainer = Probe(
        model=policy(tiny),
        args=settings,
        reward_funcs=reward,
        train_dataset=rows,
        processing_class=load_tokenizer(tiny),
    )
    with pytest.raises(Done):
        trainer.train()
    return seen


def groups_of(seen: dict[str, Any]) -> tuple[list[list[Row]], Any, list[float]]:
    """TRL's samples (it shuffles them) as our rows by question, their rewards and advantages."""
    import torch

    groups: dict[tuple[int, ...], list[tuple[Row, float, float]]] = {}
    for number in range(8):
        mask = seen["completion_mask"][number].bool()
        ids = tuple(seen["completion_ids"][number][mask].tolist())
        ahead = tuple(seen["prompt_ids"][number][seen["prompt_mask"][number].bool()].tolist())
        old = tuple(seen["old"][number][mask].tolist())
        reference = ()
        if seen.get("ref_per_token_logps") is not None:
            reference = tuple(seen["ref_per_token_logps"][number][mask].tolist())
        prompt, free = Prompt(ahead, "", None, None), (None,) * len(ids)
        sample = Sample(prompt, ids, "", tuple(range(len(ids))), old, free)
        group = groups.setdefault(ahead, [])
        row = Row(sample, (len(group),), old=old, reference=reference)
        group.append((row, seen["rewards"][number], float(seen["advantages"][number])))
    rows = [[row for row, _, _ in group] for group in groups.values()]
    rewards = [[reward for _, reward, _ in group] for group in groups.values()]
    advantages = [advantage for group in groups.values() for _, _, advantage in group]
    return rows, torch.tensor(rewards, dtype=torch.float64), advantages


def rollout_of(groups: list[list[Row]]) -> Rollout:
    choices = sum(len(r.sample.choices) * len(r.members) for g in groups for r in g)
    answers = sum(len(r.members) for g in groups for r in g)
    whole = tuple(map(tuple, groups))
    return Rollout(0, (0, 1), whole, answers, choices, (True, True), {}, (), ())


@pytest.mark.parametrize(
    ("loss", "kl"), [("grpo", 0.05), ("dapo", 0.0), ("dr_grpo", 0.0)], ids=lambda v: str(v)
)
def test_grpo_equals_trl(tiny: Path, tmp_path: Path, loss: str, kl: float) -> None:
    """Advantages, loss, clipping and gradient of the same answers, off-policy."""
    scale = {"scale_rewards": "none"} if loss == "dr_grpo" else {}
    seen = probe("GRPO", tiny, tmp_path, kl, loss_type=loss, **scale)
    settings = config("grpo", group=4, max_new_tokens=6, temperature=0.9, kl=kl, loss=loss)
    model = policy(tiny)
    objective = prepared(tiny, tmp_path, settings, model)
    rows, rewards, advantages = groups_of(seen)
    groups = objective.credit(rewards, rows)
    ours = [row.advantages[0] for group in groups for row in group]
    assert ours == pytest.approx(advantages, abs=1e-5)
    model.train()
    step = objective.loss(model, {"rollout": rollout_of(groups)}, None)
    step.loss.backward()
    assert float(step.loss) == pytest.approx(seen["loss"], abs=1e-5)
    assert step.metrics["clipped"] > 0.1
    difference = gradients(model) - seen["gradients"]
    assert float(difference.norm() / seen["gradients"].norm()) < 1e-4


@pytest.mark.parametrize("kl", [0.0, 0.1])
def test_rloo_equals_trl(tiny: Path, tmp_path: Path, kl: float) -> None:
    """Leave-one-out advantages, the loss of whole answers, and its gradient."""
    seen = probe("RLOO", tiny, tmp_path, kl)
    model = policy(tiny)
    settings = config("rloo", group=4, temperature=0.9, kl=kl)
    objective = prepared(tiny, tmp_path, settings, model)
    rows, rewards, advantages = groups_of(seen)
    if not kl:
        ours = [r.advantages[0] for group in objective.credit(rewards, rows) for r in group]
        assert ours == pytest.approx(advantages, abs=1e-5)
    # With a KL, TRL's advantages hold what the probe has moved since: they are taken as they are.
    theirs = iter(advantages)
    credited = [
        [replace(r, advantages=(next(theirs),) * len(r.sample.choices)) for r in group]
        for group in rows
    ]
    model.train()
    step = objective.loss(model, {"rollout": rollout_of(credited)}, None)
    step.loss.backward()
    assert float(step.loss) == pytest.approx(seen["loss"], abs=1e-5)
    difference = gradients(model) - seen["gradients"]
    assert float(difference.norm() / seen["gradients"].norm()) < 1e-4


def test_rloo_takes_the_kl_off_the_reward(tiny: Path, tmp_path: Path) -> None:
    """A_i = R_i - mean of the other R_j, with R = reward - kl * sum(old - reference)."""
    import torch

    objective = prepared(tiny, tmp_path, config("rloo", group=3, kl=0.5), policy(tiny))
    prompt = Prompt((1,), "", None, None)
    told = [((-1.0, -2.0), (-2.0, -2.5)), ((-1.0,), (-1.0,)), ((-0.5,), (-0.2,))]
    rows = [
        Row(
            Sample(prompt, (5,) * len(a), "", tuple(range(len(a))), a, (None,) * len(a)),
            (number,),
            old=a,
            reference=b,
        )
        for number, (a, b) in enumerate(told)
    ]
    (credited,) = objective.credit(torch.tensor([[1.0, 0.0, 0.5]]).double(), [rows])
    kept = [1.0 - 0.5 * 1.5, 0.0, 0.5 + 0.5 * 0.3]
    expected = [kept[i] - (sum(kept) - kept[i]) / 2 for i in range(3)]
    assert [row.advantages[0] for row in credited] == pytest.approx(expected)


def test_ppo_equals_its_closed_form(tiny: Path, tmp_path: Path) -> None:
    """Loss and gradients of policy and critic against sums written out from the definitions."""
    import torch
    import torch.nn.functional as F

    settings = config("ppo", group=3, kl=0.2, grammar=False, max_new_tokens=5)
    model = policy(tiny)
    objective = prepared(tiny, tmp_path, settings, model)
    critic = objective.critic
    with torch.no_grad():
        for parameter in critic.parameters:
            parameter.copy_(torch.linspace(-1, 1, parameter.numel()).view_as(parameter))
    batch = objective.collate(examples(tiny, None)[:2])
    with torch.no_grad():
        batch = objective.before(model, batch, 0)
    rollout = batch["rollout"]
    # As at a second update: the policy and the critic have moved since the answers were sampled.
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.mul_(1.3)
        critic.parameters[0].mul_(1.1)

    terms, errors, advantages, ratios = [], [], [], []
    for question, group in zip(rollout.questions, rollout.groups, strict=True):
        for row in group:
            assert row.sample.text != riddles()[question].gold  # so that no reward hides a mistake
            size = len(row.sample.ids)
            paid = [-0.2 * (row.old[t] - row.reference[t]) for t in range(size)]
            after = [*row.values[1:], 0.0]
            delta = [paid[t] + after[t] - row.values[t] for t in range(size)]
            gains = [sum(0.95 ** (k - t) * delta[k] for k in range(t, size)) for t in range(size)]
            ids = torch.tensor([[*row.sample.prompt.ids, *row.sample.ids]])
            out = model(input_ids=ids, output_hidden_states=True)
            window = slice(len(row.sample.prompt.ids) - 1, -1)
            logps = out.logits[0, window].log_softmax(-1)
            logps = logps[torch.arange(size), torch.tensor(row.sample.ids)]
            states = F.normalize(out.hidden_states[-1][0, window].detach(), dim=-1)
            values = states @ critic.parameters[0][0] + critic.parameters[1]
            for _ in row.members:
                advantages += gains
                ratios += list(logps - torch.tensor(row.old))
                for t in range(size):
                    target = gains[t] + row.values[t]
                    near = row.values[t] + (values[t] - row.values[t]).clamp(-0.2, 0.2)
                    errors.append(torch.max((values[t] - target) ** 2, (near - target) ** 2) / 2)
    whitened = torch.tensor(advantages)
    whitened = (whitened - whitened.mean()) / whitened.std()
    for ratio, advantage in zip(torch.stack(ratios).exp(), whitened, strict=True):
        terms.append(-torch.min(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage))
    expected = torch.stack(terms).mean()
    expected.backward()
    policy_gradient = gradients(model)
    critic_loss = torch.stack(errors).mean()
    critic_gradient = torch.autograd.grad(critic_loss, critic.parameters)

    model.zero_grad()
    kept: list[torch.Tensor] = []
    critic.step = lambda: kept.extend(p.grad.clone() for p in critic.parameters)
    step = objective.loss(model, batch, None)
    step.loss.backward()
    assert float(step.loss) == pytest.approx(float(expected), abs=1e-5)
    assert step.metrics["value_loss"] == pytest.approx(float(critic_loss), rel=1e-4)
    assert float((gradients(model) - policy_gradient).norm() / policy_gradient.norm()) < 1e-4
    for ours, theirs in zip(kept, critic_gradient, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("name", ["grpo", "rloo", "ppo"])
def test_equal_answers_and_parts_change_nothing(tiny: Path, tmp_path: Path, name: str) -> None:
    """One row with the weight of its members, in parts, against every answer as a row at once."""
    import torch

    model = policy(tiny)
    settings = config(name, group=8)
    objective = prepared(tiny, tmp_path, settings, model)
    with torch.no_grad():
        batch = objective.before(model, objective.collate(examples(tiny)[:2]), 0)
    rollout = batch["rollout"]
    assert sum(len(group) for group in rollout.groups) < rollout.answers * 3 / 4

    def run(groups: Any, budget: int, share: bool) -> tuple[float, Any]:
        train = settings.train.model_copy(update={"batch_tokens": budget, "shortcuts": share})
        objective.config = settings.model_copy(update={"train": train})
        model.zero_grad()
        step = objective.loss(model, {"rollout": replace(rollout, groups=groups)}, None)
        step.loss.backward()
        return float(step.loss), gradients(model)

    apart = [
        [replace(r, members=(m,)) for r in group for m in r.members] for group in rollout.groups
    ]
    loss, gradient = run(rollout.groups, 64, True)
    plain, expected = run(apart, 10**6, False)
    assert loss == pytest.approx(plain, abs=1e-6)
    assert float((gradient - expected).norm() / expected.norm()) < 1e-5


def test_groups_of_equal_rewards_cost_no_pass(tiny: Path, tmp_path: Path) -> None:
    """They are left out of the model's work, and the loss is what it is with them."""
    import torch

    def reward(items: Sequence[Riddle], texts: Sequence[str]) -> list[Graded]:
        half = [
            float(item.gold in "ac" and text < "c") for item, text in zip(items, texts, strict=True)
        ]
        return [Graded(r, 1.0, 1.0, 1.0, r) for r in half]

    model = policy(tiny)
    objective = prepared(
        tiny, tmp_path, config("grpo", group=8, prompts=4, curriculum=False), model, reward=reward
    )
    with torch.no_grad():
        batch = objective.before(model, objective.collate(examples(tiny)), 0)
    rollout = batch["rollout"]
    assert [bool(group) for group in rollout.groups] == [True, False, True, False]
    assert rollout.metrics["zero_advantage"] == 0.5 and rollout.metrics["skipped"] == 0.5
    seen: list[int] = []
    forward = model.get_base_model().model.forward

    def counted(*args: Any, **kwargs: Any) -> Any:
        seen.append(1)
        return forward(*args, **kwargs)

    model.get_base_model().model.forward = counted
    objective.loss(model, batch, None).loss.backward()
    learnt, passes = gradients(model), len(seen)
    assert passes == 2 * 2  # a shared prompt and its rows, twice
    # The same answers, all of them as rows.
    ask = [e.fields["prompt"] for e in examples(tiny)]
    every = TransformersSampler(load_tokenizer(tiny)).sample(model, ask, 8, 1.0, 6, 1_000_003)
    graded = [reward([s.prompt.item for s in group], [s.text for s in group]) for group in every]
    rewards = torch.tensor([[g.total for g in group] for group in graded]).double()
    whole = objective.credit(rewards, [distinct(group) for group in every])
    model.zero_grad()
    full = replace(rollout, groups=tuple(map(tuple, whole)))
    objective.loss(model, {"rollout": full}, None).loss.backward()
    assert float((gradients(model) - learnt).norm() / learnt.norm()) < 1e-5
    # A step without any row has a loss and a gradient of zero, and no pass.
    passes = len(seen)
    model.zero_grad()
    nothing = objective.loss(model, {"rollout": replace(rollout, groups=((),) * 4)}, None).loss
    nothing.backward()
    assert len(seen) == passes
    assert float(nothing) == 0.0 and float(gradients(model).abs().max()) == 0.0


class Skewed:
    """A sampler of another engine: true answers, log-probabilities of a slightly other policy."""

    name, exact = "skewed", False

    def __init__(self, tokenizer: Any, gap: float) -> None:
        self._inner, self._gap = TransformersSampler(tokenizer), gap

    def close(self) -> None:
        """Nothing to free."""

    def sample(self, *args: Any) -> list[list[Sample]]:
        groups = self._inner.sample(*args)
        return [
            [replace(s, logps=tuple(v - self._gap for v in s.logps)) for s in group]
            for group in groups
        ]


@pytest.mark.parametrize(
    ("gap", "weight", "updates"),
    [(0.3, math.exp(0.3), 1), (-0.3, math.exp(-0.3), 2), (2.0, 2.0, 1)],
)
def test_another_engine_is_weighted_by_truncated_importance(
    tiny: Path, tmp_path: Path, gap: float, weight: float, updates: int
) -> None:
    """min(exp(trainer - sampler), 2) times the gradient of the trainer's own answers."""
    import torch

    settings = config("grpo", updates=updates)
    found = []
    for sampler in (None, Skewed(load_tokenizer(tiny), gap)):
        model = policy(tiny)
        objective = prepared(tiny, tmp_path, settings, model, sampler=sampler)
        with torch.no_grad():
            batch = objective.before(model, objective.collate(examples(tiny)[:2]), 0)
        step = objective.loss(model, batch, None)
        step.loss.backward()
        found.append((gradients(model), step.metrics["gap"]))
    (own, none), (other, measured) = found
    assert none < 1e-5 and measured == pytest.approx(abs(gap), abs=1e-4)
    assert float((other - weight * own).norm() / own.norm()) < 1e-4


# -- whole runs -------------------------------------------------------------------------------------


def run(
    tiny: Path, folder: Path, settings: Config, monkeypatch: pytest.MonkeyPatch, stop: int = 0
) -> Any:
    """A whole run through the one recipe; `stop` kills it after that step."""
    monkeypatch.setattr("denizen.train.on_policy.verified", letter_reward)
    job = Job(tiny, "hash", examples(tiny), settings, folder / "work", folder / "adapter")

    def on_step(step: int, *_: Any) -> None:
        if step == stop:
            raise KeyboardInterrupt

    return fine_tune(job, on_step)


@pytest.mark.parametrize("name", ["grpo", "rloo", "ppo"])
def test_each_method_raises_the_reward(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """From chance (a quarter) to most letters right, in twenty steps of 32 answers.

    The tiny model's logits are small whatever it learns: a low temperature lets it be sure.
    """
    settings = config(name, epochs=20, group=8, prompts=4, temperature=0.2)
    points = run(tiny, tmp_path, settings, monkeypatch).points
    rewards = [point.metrics["reward"] for point in points]
    assert len(rewards) == 20
    assert sum(rewards[:2]) / 2 < 0.4
    assert sum(rewards[-5:]) / 5 > 0.85
    assert {"entropy", "length", "kl", "gap", "clipped", "skipped"} <= points[-1].metrics.keys()
    assert points[-1].metrics["entropy"] < points[0].metrics["entropy"]
    assert points[-1].metrics["kl"] > points[0].metrics["kl"]


@pytest.mark.parametrize(("name", "updates"), [("grpo", 2), ("rloo", 1), ("ppo", 2)])
def test_a_killed_run_goes_on_as_if_it_had_not_been(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, updates: int
) -> None:
    """The checkpoint at step 3 lies between two updates on the same answers."""
    settings = config(name, epochs=4, save=3, updates=updates, steps=8)
    whole = run(tiny, tmp_path / "whole", settings, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        run(tiny, tmp_path / "killed", settings, monkeypatch, stop=5)
    resumed = run(tiny, tmp_path / "killed", settings, monkeypatch)
    assert [p.step for p in resumed.points] == list(range(1, 9))
    for a, b in zip(whole.points, resumed.points, strict=True):
        assert a.loss == pytest.approx(b.loss, abs=1e-4)
        assert a.metrics == pytest.approx(b.metrics, abs=1e-4)
    texts = [(tmp_path / w / "work" / "rollouts.jsonl").read_text() for w in ("whole", "killed")]
    assert len(texts[0].splitlines()) == len(texts[1].splitlines()) == 8 // updates


@pytest.mark.slow
def test_grpo_lifts_a_real_family(tmp_path: Path) -> None:
    """SmolLM2-135M on twelve questions of one family, from the base: the last pass and the first."""
    from denizen.models import checkpoint, ensure, find_model

    base = checkpoint(ensure(find_model("smollm2-135m-instruct")))
    suite = suite_of("core")
    items = [suite.families["v2_quote"].generate(seed, "train") for seed in range(12)]
    settings = config("grpo", epochs=3, group=6, prompts=4, max_new_tokens=96, curriculum=False)
    train = settings.train.model_copy(update={"learning_rate": 1e-3})
    settings = settings.model_copy(update={"train": train})
    rows = rl_examples(load_tokenizer(base), suite, items)
    job = Job(base, "hash", rows, settings, tmp_path / "work", tmp_path / "adapter")
    rewards = [p.metrics["reward"] for p in fine_tune(job).points]
    # Three steps ask all twelve questions once.
    first, last = sum(rewards[:3]) / 3, sum(rewards[-3:]) / 3
    assert len(rewards) == 9 and last > first + 0.2


def test_find_objective_makes_each() -> None:
    for name in ("grpo", "rloo", "ppo"):
        assert find_objective(config(name)).name == name
