"""A GRPO step of ours against TRL 1.16's GRPOTrainer at its best CPU settings.

Contract: the same policy, questions, group, longest answer, reward function, learning rate and
loss; each in a process of its own, one after another.  A step is sampling, rewards, loss, gradients
and the optimiser.  TRL runs in float32 without checkpointing, one batch a step, no reference.  Ours
runs free, as TRL has to, and under the grammars, as it ships.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import child, policy

TARGET, MEMORY = 3.0, 0.7
QUESTIONS, GROUP, LONGEST, STEPS = 4, 8, 48, 5
RATE = 1e-5
MODES = ("trl", "ours free", "ours grammar")


def measure(workspace: Path) -> dict[str, Any]:
    """Seconds a step, where they go, and the ratios."""
    adapter = policy.start_adapter(workspace)
    found = {mode: _run(mode, adapter) for mode in MODES}
    stock = found["trl"]["seconds"]
    most = found["trl"]["peak_memory_gib"]
    shares = {mode: round(found[mode]["peak_memory_gib"] / most, 2) for mode in MODES[1:]}
    ratios = {mode: round(stock / found[mode]["seconds"], 2) for mode in MODES[1:]}
    return {
        "questions": QUESTIONS,
        "group": GROUP,
        "longest": LONGEST,
        **{mode.replace(" ", "_"): figures for mode, figures in found.items()},
        "ratio": ratios,
        "memory_share": shares,
        "targets": {"ratio": TARGET, "memory_share": MEMORY},
        "reached": {mode: ratios[mode] >= TARGET for mode in ratios}
        | {f"{mode}, memory": shares[mode] <= MEMORY for mode in shares},
    }


def _run(mode: str, adapter: Path) -> dict[str, Any]:
    found = child.measured("benchmarks.grpo", mode, adapter)
    print(f"  {mode}: {found}", file=sys.stderr)
    return found


def _child(mode: str, adapter: Path) -> dict[str, Any]:
    from denizen.project.machine import peak_rss_bytes

    child.prepare()
    items = policy.questions(QUESTIONS * STEPS)
    with tempfile.TemporaryDirectory() as folder:
        run = _trl if mode == "trl" else _ours
        steps, sampling, rewards, equal = run(mode, items, adapter, Path(folder))
    # The first step warms up: threads, tables and pages.
    return {
        "seconds": round(statistics.median(steps[1:]), 2),
        "steps": [round(s, 2) for s in steps],
        "sampling": round(statistics.median(sampling[1:]), 2),
        "reward": round(statistics.mean(rewards), 3),
        "equal_groups": round(statistics.mean(equal), 3),
        "peak_memory_gib": round(peak_rss_bytes() / 2**30, 2),
    }


# Of each step: seconds, seconds of sampling, mean reward, share of groups with equal rewards.
Figures = tuple[list[float], list[float], list[float], list[float]]


def _ours(mode: str, items: list[Any], adapter: Path, folder: Path) -> Figures:
    from denizen.models import load_tokenizer
    from denizen.project.config import AdapterConfig, Config, RLConfig, TrainConfig
    from denizen.tasks import suite_of
    from denizen.train.recipe import Job, fine_tune
    from denizen.train.rollouts import transformers as engine
    from denizen.train.rollouts.prompts import rl_examples

    base = policy.base_folder()
    config = Config(
        adapter=AdapterConfig(),
        train=TrainConfig(
            objective="grpo",
            learning_rate=RATE,
            warmup_steps=0,
            max_steps=STEPS,
            save_steps=STEPS,
            batch_tokens=4096,
        ),
        rl=RLConfig(
            group=GROUP,
            prompts=QUESTIONS,
            max_new_tokens=LONGEST,
            grammar=mode == "ours grammar",
            curriculum=False,
            rollouts="transformers",
        ),
    )
    examples = rl_examples(load_tokenizer(base), suite_of(policy.FAMILIES), items)
    sampling: list[float] = []
    _clocked(engine.TransformersSampler, "sample", sampling)
    steps, began = [], time.perf_counter()
    rewards: list[float] = []
    equal: list[float] = []

    def on_step(_: int, __: int, point: Any) -> None:
        nonlocal began
        steps.append(time.perf_counter() - began)
        began = time.perf_counter()
        rewards.append(point.metrics["reward"])
        equal.append(point.metrics["zero_advantage"])

    job = Job(base, "", examples, config, folder / "work", folder / "adapter", start=adapter)
    fine_tune(job, on_step)
    return steps, sampling, rewards, equal


def _trl(mode: str, items: list[Any], adapter: Path, folder: Path) -> Figures:
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    from denizen.models import load_model, load_tokenizer
    from denizen.models.adapters import load_adapter
    from denizen.train.rewards import verified

    base = policy.base_folder()
    prompts = policy.prompts(items, grammar=False)
    steps: list[float] = []
    sampling: list[float] = []
    rewards: list[float] = []
    equal: list[float] = []

    def reward(completions: list[str], number: list[int], **_: Any) -> list[float]:
        found = [grade.total for grade in verified([items[n] for n in number], completions)]
        rewards.append(statistics.mean(found))
        groups = [found[at : at + GROUP] for at in range(0, len(found), GROUP)]
        equal.append(statistics.mean(len(set(group)) == 1 for group in groups))
        return found

    class Clock(TrainerCallback):  # type: ignore[misc]
        """Times the steps."""

        began = 0.0

        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.began = self.began or time.perf_counter()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            steps.append(time.perf_counter() - self.began)
            self.began = time.perf_counter()

    trainer = GRPOTrainer(
        model=load_adapter(load_model(base), adapter, trainable=True),
        reward_funcs=reward,
        args=GRPOConfig(
            output_dir=str(folder),
            max_steps=STEPS,
            per_device_train_batch_size=QUESTIONS * GROUP,
            num_generations=GROUP,
            max_completion_length=LONGEST,
            learning_rate=RATE,
            temperature=1.0,
            top_p=1.0,
            top_k=0,
            beta=0.0,
            loss_type="grpo",
            bf16=False,
            gradient_checkpointing=False,
            use_cpu=True,
            report_to=[],
            save_strategy="no",
            disable_tqdm=True,
        ),
        train_dataset=Dataset.from_list(
            [{"prompt": p.text, "number": n} for n, p in enumerate(prompts)]
        ),
        processing_class=load_tokenizer(base),
        callbacks=[Clock()],
    )
    _clocked(type(trainer.model), "generate", sampling)
    trainer.train()
    return steps, sampling, rewards, equal


def _clocked(owner: Any, name: str, seconds: list[float]) -> None:
    """Time every call of a method."""
    stock = getattr(owner, name)

    def clocked(*arguments: Any, **options: Any) -> Any:
        began = time.perf_counter()
        found = stock(*arguments, **options)
        seconds.append(time.perf_counter() - began)
        return found

    setattr(owner, name, clocked)


if __name__ == "__main__":
    print(json.dumps(_child(sys.argv[1], Path(sys.argv[2]))))
