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
from denizen.models.adapters import load_adapter
from denizen.project.config import Config
from denizen.project.errors import TrainingError
from denizen.train.allocator import kept_pages
from denizen.train.bases import check_folder, check_trainable
from denizen.train.checkpoints import (
    TrainingPoint,
    check_space,
    disk_watched,
    newest_checkpoint,
)
from denizen.train.devices import check_devices, gpu_bfloat16, place
from denizen.train.engines import unsloth_model
from denizen.train.forecast.resident import PeakMeter
from denizen.train.guards import Guard
from denizen.train.launch import launch
from denizen.train.memory import forecast, need_checkpointing
from denizen.train.methods import (
    Adapter,
    Example,
    Objective,
    find_adapter,
    find_objective,
    plain,
)
from denizen.train.refusals import check_job, check_schedule
from denizen.train.scale import first_alone, sharded, without_shortcuts
from denizen.train.trainer import Hooks, make_trainer

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Job:
    """What is to be trained, on what, and where it goes.

    `supervised_share` is the share of tokens that are learnt (for the memory estimate), `start` an
    adapter folder to go on from, `reward_model` the folder of one that RL is judged by.  With
    `rounding(name, weight)` the last part of the steps (`train.rounded_from`) sees weights as the
    quantised file will hold them, where the layers are folded (float32 without checkpointing).
    `batches` stand in for the objective's own (a probe's few).
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
    reward_model: Path | None = None
    batches: Sequence[list[int]] | None = None


@dataclass(frozen=True)
class TrainingResult:
    """The curve and the facts of a finished run; `stopped` is the guard's reason, if one did.

    `peak_memory` is in bytes, of this process while it trained (of the GPU, where one trains).
    """

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
    peak_memory: int = 0
    resumed: bool = False


def fine_tune(
    job: Job, on_step: Callable[[int, int, TrainingPoint], None] = lambda *_: None
) -> TrainingResult:
    """Train and save to `job.adapter`; checkpoints go to `job.work`."""
    if job.config.scale.processes > 1:
        return launch(job, on_step)
    return run_job(job, on_step)


def run_job(job: Job, on_step: Callable[[int, int, TrainingPoint], None]) -> TrainingResult:
    """The recipe, in this process (which may be one of `scale.processes`)."""
    import torch

    started = time.monotonic()
    config = without_shortcuts(job.config)
    method, objective = find_adapter(config.adapter.method), find_objective(config)
    check_devices(config)
    precision = choose_precision(config.train.precision, gpu_bfloat16=gpu_bfloat16())
    check_folder(job.base)
    wrapped = None
    if config.train.engine == "unsloth":
        wrapped = unsloth_model(job.base, config, precision)
        base = plain(wrapped)
    elif method.load:
        base = method.load(job.base, config.adapter, precision)
    else:
        # Weights that are trained themselves stay float32: a step is smaller than bf16 can add.
        base = load_model(job.base, "float32" if method.whole else precision)
    place(base, config)
    tokenizer = load_tokenizer(job.base)
    check_job(job, base, tokenizer)
    torch.manual_seed(config.data.seed)
    model = _wrapped(base, method, job) if wrapped is None else wrapped
    check_trainable(model)
    batches = list(job.batches or objective.batches(job.examples, config))
    if config.train.max_steps:
        batches = batches[: config.train.max_steps]
    rate = learning_rate(config, method, objective)
    check_schedule(rate, config.train.warmup_steps, len(batches))
    with first_alone(config):
        objective.prepare(model, job, batches)
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    if trainable == 0:
        raise TrainingError("the adapter has no weights", where="adapter.rank")
    saves = math.ceil(len(batches) / config.train.save_steps)
    check_space(job.work, job.adapter, job.base, trainable, saves)
    fused = _fused(model, config.train.shortcuts, precision)
    need = forecast(
        base.config,
        model.get_memory_footprint(),
        trainable,
        config.train.batch_tokens,
        job.supervised_share,
        fused=fused is not None,
    )
    checkpointing = need_checkpointing(config.train.checkpointing, need)
    if checkpointing and fused is not None:
        # Fused layers keep what checkpointing is there to drop.
        fused.remove()
        fused = None
    arguments = _arguments(config, job.work, len(batches), precision, checkpointing, rate)
    hooks = Hooks(
        guards=job.guards,
        on_step=on_step,
        fused=fused,
        rounding=job.rounding if objective.rounds else None,
        rounded_from=math.ceil(config.train.rounded_from * len(batches)),
        optimiser=method.optimiser(model, config.adapter, arguments) if method.optimiser else None,
    )
    trainer = make_trainer(
        model,
        tokenizer,
        objective,
        job.examples,
        batches,
        arguments,
        hooks,
    )
    resume = newest_checkpoint(job.work)
    first = trainer.is_world_process_zero()
    # As in the trainer, one process asks the guards; a resumed run tells them of its past.
    guards = job.guards if first else ()
    for guard in guards:
        for point in trainer.points:
            guard.after_step(point)
    with disk_watched(job.work, job.base, trainable), PeakMeter() as meter:
        try:
            with kept_pages():
                trainer.train(resume_from_checkpoint=str(resume) if resume else None)
        finally:
            objective.finish()
        full = sharded(config)
        state = trainer.accelerator.get_state_dict(trainer.model_wrapped) if full else None
        if hooks.fused is not None:
            hooks.fused.refresh()
        for guard in guards:
            guard.at_end(model)
        if first:
            save(model, job.adapter, method, config, job.base_hash, state)
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
        meter.peak,
        resume is not None,
    )


def save(
    model: Any,
    folder: Path,
    method: Adapter,
    config: Config,
    base_hash: str,
    state: dict[str, Any] | None = None,
) -> None:
    """Write the adapter (or the whole model) with what it was trained on.

    `state` are the whole weights where `model` holds shards only.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # A frozen reference (train/reference.py) is an adapter of the model, and no part of the result.
    own = {"selected_adapters": ["default"]} if hasattr(model, "peft_config") else {}
    model.save_pretrained(str(folder), state_dict=state, **own)
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
    return load_adapter(base, job.start, trainable=True)


def _fused(model: Any, wanted: bool, precision: str) -> Any:
    from denizen.train.fused_lora import FusedLora

    if not wanted or precision != "float32" or not hasattr(model, "peft_config"):
        return None
    fused = FusedLora(model)
    return fused if fused.layers else None


def _arguments(
    config: Config,
    work: Path,
    steps: int,
    precision: str,
    checkpointing: bool,
    rate: float,
) -> Any:
    import torch
    from trl import SFTConfig

    train = config.train
    chosen = {
        "output_dir": str(work),
        "max_steps": steps,
        "per_device_train_batch_size": 1,
        "learning_rate": rate,
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
        "ddp_find_unused_parameters": False,
    }
    return SFTConfig(**chosen)
