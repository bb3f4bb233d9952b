"""What a run refuses before its first step: settings, a start and rows it cannot be trained from.

Contract: each check raises a typed error with what is wrong, where, and the fix; nothing has been
written by then.  `check_job` asks about everything that is known before the base is wrapped; what
is asked of the base itself is in `bases.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from denizen.project.config import Config
from denizen.project.errors import ArtefactError, ConfigError, TrainingError
from denizen.train.bases import check_base
from denizen.train.batch import IGNORED
from denizen.train.methods import find_adapter
from denizen.train.methods.base import Example

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from denizen.train.recipe import Job

ONLINE = ("rloo", "ppo", "grpo")
REFERRED = ("dpo", "kto")
_ON_ROWS = ("sft", "pretrain")


def check_job(job: Job, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Before wrapping: settings that contradict, the start, the examples, the base itself."""
    check_settings(job.config)
    if job.start is not None:
        check_start(job.start, job.base_hash, job.config)
    check_base(model, tokenizer, job.config, where=str(job.base))
    check_examples(job.examples, model.get_input_embeddings().num_embeddings)


def check_settings(config: Config) -> None:
    """Settings of the guards that the objective has no use for."""
    objective = config.train.objective
    moved = bool(config.train.start) or find_adapter(config.adapter.method).whole
    if config.guard.patience and objective in REFERRED and moved:
        raise ConfigError(
            f"{objective} has no reference for development rows unless a fresh adapter is trained",
            where="guard.patience",
            fix="set guard.patience to 0, or train.start to nothing and adapter.method to lora",
        )
    if config.guard.patience and objective in ONLINE:
        raise ConfigError(
            f"{objective} has no development loss to be patient with",
            where="guard.patience",
            fix="set guard.patience to 0; guard.collapse watches the rewards",
        )
    if config.guard.patience and config.train.data:
        raise ConfigError(
            "the development split is of Denizen's tasks, not of train.data",
            where="guard.patience",
            fix="set guard.patience to 0",
        )
    if config.guard.replay and objective not in _ON_ROWS:
        raise ConfigError(
            f"{objective} cannot learn from replayed rows",
            where="guard.replay",
            fix=f"set guard.replay to 0, or train.objective to one of {', '.join(_ON_ROWS)}",
        )


def check_schedule(rate: float, warmup_steps: int, steps: int) -> None:
    """Raises where the learning rate is zero at every step: warm-up begins at zero."""
    if steps == 0:
        raise TrainingError(
            "there is no step to take", where="training data", fix="give it more rows"
        )
    if rate == 0 or (steps == 1 and warmup_steps > 0):
        raise TrainingError(
            f"the learning rate would be zero at all steps ({steps})",
            where="train.warmup_steps" if rate else "train.learning_rate",
            fix="set train.warmup_steps to 0 or take more steps" if rate else "raise it",
        )


def check_start(start: Path, base_hash: str, config: Config) -> None:
    """`train.start` is an adapter, of this base, and of a method that can go on from it."""
    fix = "name an adapter of this base in train.start, or leave it empty"
    try:
        origin = json.loads((start / "denizen.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ArtefactError(
            "the adapter to start from does not say what it was trained on",
            where=str(start),
            fix=fix,
        ) from error
    found = str(origin.get("denizen_base_hash"))
    if found != base_hash:
        raise ArtefactError(
            f"the adapter to start from is of base {found[:12]}, not {base_hash[:12]}",
            where=str(start),
            fix=fix,
        )
    if origin.get("whole") or find_adapter(config.adapter.method).whole:
        raise ArtefactError(
            "only an adapter can be gone on from, by a method that trains an adapter",
            where=str(start),
            fix=f"{fix}; or merge it and use the result as the base",
        )
    _check_same(origin, config, start)


def _check_same(origin: dict[str, Any], config: Config, start: Path) -> None:
    """An adapter keeps the shape it has: settings that say otherwise would be ignored."""
    if origin.get("objective") == "reward":
        raise ArtefactError(
            "a reward model is to judge by, not to go on from",
            where=str(start),
            fix="name it in rl.reward_model",
        )
    before, now = origin.get("adapter", {}), config.adapter.model_dump(mode="json")
    if not origin.get("mergeable", True):
        raise ArtefactError(
            f"a {before.get('method')} adapter cannot be gone on from",
            where=str(start),
            fix="start from a lora, qlora, dora or mora adapter, or anew",
        )
    for key in ("method", "rank", "alpha", "rslora", "modules", "layers", "ranks"):
        if key in before and before[key] != now[key]:
            raise ConfigError(
                f"the adapter to go on from has {key} {before[key]!r}, not {now[key]!r}",
                where=f"adapter.{key}",
                fix=f"set adapter.{key} to {before[key]!r}, or leave train.start empty",
            )


def check_examples(examples: Sequence[Example], vocabulary: int) -> None:
    """At least one example has something to learn, and every id is one the model knows."""
    if not examples:
        raise TrainingError(
            "there is nothing to train on", where="training data", fix="denizen data build"
        )
    masks = [_learnt(example) for example in examples]
    if all(mask == 0 for mask in masks):
        raise TrainingError(
            f"all {len(examples)} rows are masked: not one token would be learnt",
            where="training data",
            fix="give the rows answers; only the assistant's text is learnt",
        )
    for number, example in enumerate(examples):
        highest = max(_ids(example), default=0)
        if highest >= vocabulary:
            raise TrainingError(
                f"token {highest} is outside the model's vocabulary of {vocabulary}",
                where=f"row {number}",
                fix="render the rows with the base model's own tokenizer",
            )


def _learnt(example: Example) -> int:
    """How many tokens it teaches; 1 where it has no mask (prompts, whose answers are sampled)."""
    masks = [value for key, value in example.fields.items() if key.endswith("labels")]
    if not masks:
        return 1
    # The first token of a row is predicted by nothing.
    return sum(label != IGNORED for mask in masks for label in mask[1:])


def _ids(example: Example) -> Iterable[int]:
    for key, value in example.fields.items():
        if key.endswith("input_ids"):
            yield from value
