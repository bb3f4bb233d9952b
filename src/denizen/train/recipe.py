"""The one recipe: any adapter with any objective, through TRL's trainer, resumable at any step.

Contract: `fine_tune` loads the base, wraps it, walks the objective's batches and saves an adapter
folder (or, where the base's own weights are trained, a model folder) with its base's hash.
Killed at any step, the next call resumes from the newest whole checkpoint.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from denizen.models import choose_precision, load_model, load_tokenizer
from denizen.project.config import Config
from denizen.project.errors import TrainingError
from denizen.train.checkpoints import TrainingPoint, newest_checkpoint
from denizen.train.guards import Guard
from denizen.train.memory import forecast, need_checkpointing
from denizen.train.methods import Adapter, Example, Objective, find_adapter, find_objective
from denizen.train.trainer import Hooks, make_trainer

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Job:
    """What is to be trained, on what, and where it goes.

    `supervised_share` is the share of tokens that are learnt (for the memory estimate), `start` an
    adapter folder to go on from.  With `rounding(name, weight)` the last part of the steps
    (`train.rounded_from`) sees weights as the quantised file will hold them, where the layers are
    folded (float32 without checkpointing).
    """

    base: Path
    base_hash: str
    examples: Sequence[Example]
    config: Config
    work: Path
    adapter: Path
    supervised_share: float = 1.0
    start: Path | None = None
    guards: Sequence[Guard] = ()
    rounding: Callable[[str, torch.Tensor], torch.Tensor] | None = None


@dataclass(frozen=True)
class TrainingResult:
    """The curve and the facts of a finished run; `stopped` is the guard's reason, if one did."""

    points: tuple[TrainingPoint, ...]
    steps: int
    trainable: int
    padded_tokens: int
    precision: str
    checkpointing: bool
    memory_forecast: int
    seconds: float
    stopped: str = ""
    guards: dict[str, Any] = field(default_factory=dict)


def fine_tune(
    job: Job, on_step: Callable[[int, int, TrainingPoint], None] = lambda *_: None
) -> TrainingResult:
    """Train and save to `job.adapter`; checkpoints go to `job.work`."""
    import torch

    started = time.monotonic()
    config = job.config
    method, objective = find_adapter(config.adapter.method), find_objective(config)
    precision = choose_precision(config.train.precision)
    base = load_model(job.base, precision)
    torch.manual_seed(config.data.seed)
    model = _wrapped(base, method, job)
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    if trainable == 0:
        raise TrainingError("the adapter has no weights", where="adapter.rank")
    need = forecast(
        base.config,
        base.num_parameters(),
        trainable,
        config.train.batch_tokens,
        job.supervised_share,
    )
    checkpointing = need_checkpointing(config.train.checkpointing, need)
    batches = list(objective.batches(job.examples, config))
    if config.train.max_steps:
        batches = batches[: config.train.max_steps]
    hooks = Hooks(
        guards=job.guards,
        on_step=on_step,
        fused=_fused(model, config.train.shortcuts, precision, checkpointing),
        rounding=job.rounding,
        rounded_from=math.ceil(config.train.rounded_from * len(batches)),
    )
    trainer = make_trainer(
        model,
        load_tokenizer(job.base),
        objective,
        job.examples,
        batches,
        _arguments(config, job.work, len(batches), precision, checkpointing, method, objective),
        hooks,
    )
    resume = newest_checkpoint(job.work)
    trainer.train(resume_from_checkpoint=str(resume) if resume else None)
    save(model, job.adapter, method, config, job.base_hash)
    return TrainingResult(
        tuple(trainer.points),
        len(batches),
        trainable,
        sum(len(b) * max(job.examples[i].length for i in b) for b in batches),
        precision,
        checkpointing,
        need.total,
        time.monotonic() - started,
        hooks.stopped,
        {guard.name: guard.summary() for guard in job.guards},
    )


def save(model: Any, folder: Path, method: Adapter, config: Config, base_hash: str) -> None:
    """Write the adapter (or the whole model) with what it was trained on."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(str(folder))
    origin = {
        "denizen_base_hash": base_hash,
        "adapter": config.adapter.model_dump(mode="json"),
        "objective": config.train.objective,
        "whole": method.whole,
        "mergeable": method.mergeable,
    }
    (folder / "denizen.json").write_text(json.dumps(origin, indent=1), "utf-8")


def learning_rate(config: Config, method: Adapter, objective: Objective) -> float:
    """The configured peak, or the one that suits the method."""
    return config.train.learning_rate or method.learning_rate * objective.rate


def _wrapped(base: Any, method: Adapter, job: Job) -> Any:
    if job.start is None:
        return method.wrap(base, job.config.adapter)
    from peft import PeftModel

    return PeftModel.from_pretrained(base, str(job.start), is_trainable=True)


def _fused(model: Any, wanted: bool, precision: str, checkpointing: bool) -> Any:
    from denizen.train.fused_lora import FusedLora

    if not wanted or precision != "float32" or checkpointing or not hasattr(model, "peft_config"):
        return None
    fused = FusedLora(model)
    return fused if fused.layers else None


def _arguments(
    config: Config,
    work: Path,
    steps: int,
    precision: str,
    checkpointing: bool,
    method: Adapter,
    objective: Objective,
) -> Any:
    import torch
    from trl import SFTConfig

    train = config.train
    chosen = {
        "output_dir": str(work),
        "max_steps": steps,
        "per_device_train_batch_size": 1,
        "learning_rate": learning_rate(config, method, objective),
        "lr_scheduler_type": "warmup_stable_decay",
        "lr_scheduler_kwargs": {
            "num_decay_steps": max(1, round(steps * 0.5)),
            "min_lr_ratio": 0.02,
        },
        "warmup_steps": train.warmup_steps,
        "weight_decay": train.weight_decay,
        "adam_beta2": 0.99,
        "max_grad_norm": 1.0,
        "bf16": precision == "bfloat16",
        "gradient_checkpointing": checkpointing,
        "max_length": None,
        "packing": False,
        "dataset_kwargs": {"skip_prepare_dataset": True},
        "remove_unused_columns": False,
        "logging_strategy": "no",
        "save_strategy": "steps",
        "save_steps": train.save_steps,
        "save_total_limit": 2,
        "report_to": [],
        "disable_tqdm": True,
        "seed": config.data.seed,
        "data_seed": config.data.seed,
        "use_cpu": not torch.cuda.is_available(),
    }
    return SFTConfig(**{**chosen, **method.arguments(config.adapter)})
