"""The policy, questions and pieces that the rollout and GRPO benchmarks share.

Contract: reinforcement starts where supervised tuning stopped, so the policy is the base after a
short run of the recipe, made once in the workspace and reused; the questions are verified items of
its families.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

FAMILIES = "core"
STEPS, ROWS, SEED = 60, 900, 11


def base_folder() -> Path:
    """The default base."""
    from denizen.models import checkpoint, ensure, find_model

    return checkpoint(ensure(find_model("smollm2-135m-instruct")))


def start_adapter(workspace: Path) -> Path:
    """The tuned adapter (made if it is not there)."""
    from denizen.data import build_rows, load_holdout
    from denizen.models import SYSTEM, load_tokenizer
    from denizen.project.config import Config, DataConfig, TrainConfig
    from denizen.tasks import CORE
    from denizen.train import rendered_example, tabulate
    from denizen.train.recipe import Job, fine_tune

    folder = workspace / "rollout-policy"
    if (folder / "denizen.json").exists():
        return folder
    base = base_folder()
    rows, _ = build_rows(ROWS, SEED, load_holdout(CORE), system=SYSTEM)
    messages = [row.messages for row in rows]
    rendered, _ = tabulate(load_tokenizer(base), messages, max_length=512, drop_budget=0.0)
    config = Config(data=DataConfig(rows=ROWS), train=TrainConfig(max_steps=STEPS))
    examples = [rendered_example(row) for row in rendered]
    fine_tune(Job(base, "", examples, config, workspace / "rollout-policy-work", folder))
    return folder


def questions(count: int) -> list[Any]:
    """Training items, every family in turn."""
    from denizen.tasks import suite_of

    families = list(suite_of(FAMILIES).families.values())
    return [families[n % len(families)].generate(SEED + n, "train") for n in range(count)]


def prompts(items: Sequence[Any], *, grammar: bool) -> list[Any]:
    """The items as the sampler takes them."""
    from dataclasses import replace

    from denizen.models import load_tokenizer
    from denizen.tasks import suite_of
    from denizen.train.rollouts.prompts import rl_examples

    rows = rl_examples(load_tokenizer(base_folder()), suite_of(FAMILIES), items)
    found = [row.fields["prompt"] for row in rows]
    return found if grammar else [replace(p, grammar=None) for p in found]
