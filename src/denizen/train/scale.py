"""Many processes, one run: each takes its part of every batch, and the sum is the whole batch's.

Contract: with parts B_r of a batch B, weights w_r (supervised tokens or rows) and a loss that is a
mean over them, L(B) = sum_r w_r L(B_r) / sum_r w_r; gradients likewise, because DDP, FSDP2 and
ZeRO average over processes.  So N processes walk the same batches to the same weights as one.  An
objective whose loss is no such mean cannot be shared and is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, NamedTuple

from denizen.project.config import Config
from denizen.project.errors import ConfigError, TrainingError
from denizen.train.batch import IGNORED
from denizen.train.methods import find_objective
from denizen.train.methods.base import Objective

# Projected optimisers, 4-bit weights and rotations need whole matrices, which a shard is not.
SHARDABLE = ("lora", "dora", "full")


class Shared(NamedTuple):
    """A step's loss: `own`, to go backward from, and the whole batch's figures."""

    own: Any
    loss: float
    metrics: Mapping[str, float]


def check_scale(config: Config) -> None:
    """Raises ConfigError or TrainingError if `scale` cannot be done exactly, or not here."""
    import torch

    scale, objective = config.scale, find_objective(config)
    if scale.processes == 1:
        return
    if not objective.mean_over:
        raise ConfigError(
            f"the loss of {objective.name} over parts of a batch does not add up to the batch's",
            where="scale.processes",
            fix="train it with scale.processes: 1",
        )
    gpus = torch.cuda.device_count()
    if gpus and gpus < scale.processes:
        raise TrainingError(
            f"{scale.processes} processes need as many GPUs, {gpus} are here",
            where="scale.processes",
            fix=f"set scale.processes to {gpus}",
        )
    if scale.backend == "ddp":
        return
    if not gpus:
        raise TrainingError(
            f"{scale.backend} shards weights among GPUs, and none is here",
            where="scale.backend",
            fix="set scale.backend to ddp, or run it where the GPUs are",
        )
    if config.adapter.method not in SHARDABLE:
        raise ConfigError(
            f"{config.adapter.method} cannot be sharded",
            where="scale.backend",
            fix=f"set scale.backend to ddp, or adapter.method to {', '.join(SHARDABLE)}",
        )
    if config.guard.probe or config.guard.patience:
        raise ConfigError(
            "guard.probe and guard.patience read whole weights, which no process holds",
            where="scale.backend",
            fix="set scale.backend to ddp, or switch them off",
        )
    _need_deepspeed(scale.backend)


def sharded(config: Config) -> bool:
    """Whether no process holds whole weights."""
    return config.scale.processes > 1 and config.scale.backend != "ddp"


def without_shortcuts(config: Config) -> Config:
    """The settings, without the shortcuts where weights come in shards or are Unsloth's.

    A shared prefix reaches the loss through its keys and values alone, so that FSDP2 would not
    gather its layers for the backward pass; folding reads whole weights of PEFT's own layers.
    """
    if not sharded(config) and config.train.engine == "trl":
        return config
    train = config.train.model_copy(update={"shortcuts": False})
    return config.model_copy(update={"train": train})


@contextmanager
def first_alone(config: Config) -> Iterator[None]:
    """Process 0 goes first: what it leaves in the work folder, the others find."""
    import torch

    if config.scale.processes == 1:
        yield
        return
    from accelerate import PartialState

    with PartialState(cpu=not torch.cuda.is_available()).main_process_first():
        yield


def part_of(batches: Sequence[list[int]], rank: int, processes: int) -> list[list[int]]:
    """What process `rank` takes of each batch: every `processes`-th row.

    Where a batch has no row for it, its first row stands in: `share` gives it no weight, and every
    process still takes part in the step.
    """
    return [batch[rank::processes] or batch[:1] for batch in batches]


def part_weight(objective: Objective, batch: Mapping[str, Any], rows: int) -> int:
    """How much a part of `rows` rows weighs: what of it the loss is a mean over."""
    if rows and objective.mean_over == "tokens":
        return int((batch["labels"][:, 1:] != IGNORED).sum())
    return rows


def share(accelerator: Any, weight: int, loss: Any, metrics: Mapping[str, float]) -> Shared:
    """The loss to go backward from, and the batch's loss and metrics, the same everywhere.

    `loss` and `metrics` are means over what `weight` counts in this process's part.
    """
    import torch

    names = sorted(metrics)
    figures = [1.0, float(loss.detach()), *(float(metrics[name]) for name in names)]
    mine = torch.tensor(figures, dtype=torch.float64, device=accelerator.device) * weight
    total, *sums = accelerator.reduce(mine, reduction="sum").tolist()
    # What averages gradients divides by the number of processes.
    own = loss * (weight / total * accelerator.num_processes)
    value, *others = (s / total for s in sums)
    return Shared(own, value, dict(zip(names, others, strict=True)))


def route_losses(model: Any, objective: Objective) -> None:
    """Make `model(recipe=(batch, count))` the objective's loss, all else what it was.

    DDP, FSDP2 and ZeRO watch the calls of the model they wrap; a loss that goes past that call
    would leave gradients unreduced and weights ungathered.
    """
    plain: Callable[..., Any] = model.forward

    @wraps(plain)
    def forward(*args: Any, recipe: tuple[Any, Any] | None = None, **kwargs: Any) -> Any:
        if recipe is None:
            return plain(*args, **kwargs)
        return tuple(objective.loss(model, *recipe))

    model.forward = forward


def agreed(reason: str | None) -> str | None:
    """What process 0 says, everywhere."""
    from accelerate.utils import broadcast_object_list

    said: list[str | None] = [reason]
    broadcast_object_list(said)
    return said[0]


def _need_deepspeed(backend: str) -> None:
    from importlib.util import find_spec

    if backend == "deepspeed" and find_spec("deepspeed") is None:
        raise TrainingError(
            "the package deepspeed is not installed",
            where="scale.backend",
            fix="pip install deepspeed, or set scale.backend to fsdp2",
        )
