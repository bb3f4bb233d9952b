"""The whole forecast of a job, as forecast.json: this machine, rented GPUs, every method and size.

Contract: `make_forecast` takes the very job that would be trained and the hashes of what goes into
it; the same hashes find it again when the run is done.  Nothing of the run itself is touched.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from denizen.models import choose_precision
from denizen.project.config import AdapterConfig, Config, TrainConfig
from denizen.project.errors import ConfigError
from denizen.project.machine import available_bytes, facts
from denizen.train import memory as cpu
from denizen.train.checkpoints import KEPT, checkpoint_bytes
from denizen.train.forecast.flops import (
    Load,
    Shape,
    is_packed,
    known_shapes,
    load_of,
    shape_of,
    step_flops,
    total,
    with_answers,
)
from denizen.train.forecast.local import LocalForecast, from_probe, from_speed, known_speed
from denizen.train.forecast.memory import trainable
from denizen.train.forecast.prices import ASSUMED, Rental, rentals
from denizen.train.forecast.probe import Probe, probe
from denizen.train.methods import find_adapter, find_objective
from denizen.train.refusals import ONLINE

if TYPE_CHECKING:
    from denizen.train.recipe import Job

# Resident memory of the libraries a run loads: measured, torch 2.13 with TRL 1.16 on Linux.
LIBRARIES = 0.75 * 2**30


class Walk(NamedTuple):
    """The run's batches: what each weighs here (FLOPs) and holds, here and on a GPU."""

    shape: Shape
    batches: list[list[int]]
    costs: list[int]
    here: list[Load]
    there: list[Load]


def walk(job: Job) -> Walk:
    """Every batch of a job's run, weighed; loads no weights."""
    from transformers import AutoConfig

    config = job.config
    shape = shape_of(AutoConfig.from_pretrained(str(job.base)), job.base.name)
    objective = config.train.objective
    batches = list(find_objective(config).batches(job.examples, config))
    if config.train.max_steps:
        batches = batches[: config.train.max_steps]
    packed = is_packed(config, choose_precision(config.train.precision))
    rows = [[job.examples[i] for i in batch] for batch in batches]
    here = [load_of(row, objective, packed=packed) for row in rows]
    there = [load_of(row, objective, packed=False) for row in rows]
    if objective in ONLINE:
        here, there = ([with_answers(load, config) for load in loads] for loads in (here, there))
    whole = find_adapter(config.adapter.method).whole
    costs = [step_flops(shape, load, whole=whole) for load in here]
    return Walk(shape, batches, costs, here, there)


def make_forecast(
    job: Job,
    inputs: Mapping[str, str],
    folder: Path,
    *,
    tariff: float,
    probed: bool = True,
    earlier: Mapping[str, Any] | None = None,
    on_step: Callable[[int, int], None] = lambda *_: None,
) -> dict[str, Any]:
    """forecast.json; without a probe, `earlier` is the workspace's last forecast that had one.

    `folder` is for the probe's scratch, `tariff` in USD per kWh.
    """
    config = job.config
    if config.scale.processes > 1:
        raise ConfigError(
            "the probe runs one process, as one GPU or CPU would",
            where="scale.processes",
            fix="forecast with scale.processes: 1; rented GPUs are listed with FSDP2 anyway",
        )
    run = walk(job)
    model = _cpu_memory(run, job)
    found: Probe | None = None
    if probed:
        found = probe(job, run.batches, run.costs, folder, on_step)
        local = from_probe(config, run.costs, found, tariff)
    else:
        local = _unprobed(run, job, model, tariff, earlier)
    work = total(run.here)
    return {
        "inputs": dict(inputs),
        "machine": facts(),
        "method": config.adapter.method,
        "objective": config.train.objective,
        "model": asdict(run.shape) | {"parameters": run.shape.parameters},
        "steps": len(run.batches),
        "tokens": work.tokens,
        "learnt": work.learnt,
        "flops": sum(run.costs),
        "available_memory": available_bytes(),
        "local": local.to_json(),
        "memory_model": model,
        "probe": found.to_json() if found else None,
        "rented": [r.to_json() for r in rentals(run.shape, config, run.there)],
        "sizes": list(by_size(config, run.there)),
        "assumed": asdict(ASSUMED),
    }


def by_size(config: Config, loads: Sequence[Load]) -> Iterator[dict[str, Any]]:
    """The configured method on each published model: the cheapest offer that holds it."""
    for shape in known_shapes():
        yield {"model": shape.name, "size": shape.label, **_cheapest(shape, config, loads)}


def by_method(config: Config, shape: Shape, loads: Sequence[Load]) -> Iterator[dict[str, Any]]:
    """Every adapter with every objective on one model, with this run's steps and tokens a step."""
    for method in get_args(AdapterConfig.model_fields["method"].annotation):
        for objective in get_args(TrainConfig.model_fields["objective"].annotation):
            other = config.model_copy(
                update={
                    "adapter": config.adapter.model_copy(update={"method": method}),
                    "train": config.train.model_copy(update={"objective": objective}),
                }
            )
            new = objective in ONLINE and config.train.objective not in ONLINE
            these = [with_answers(load, other) for load in loads] if new else loads
            yield {
                "method": method,
                "objective": objective,
                "trainable": trainable(shape, other),
                **_cheapest(shape, other, these),
            }


def _cheapest(shape: Shape, config: Config, loads: Sequence[Load]) -> dict[str, Any]:
    found: Rental | None = next(iter(rentals(shape, config, loads)), None)
    return {"parameters": shape.parameters, "cheapest": found.to_json() if found else None}


def _cpu_memory(run: Walk, job: Job) -> int:
    """The model's peak of a step on the CPU, with the libraries; the probe's is measured."""
    config, heaviest = job.config, max(run.here, key=lambda load: load.tokens)
    need = cpu.forecast(
        _AsConfig(run.shape),
        _weights(run.shape, config),
        trainable(run.shape, config),
        heaviest.tokens,
        min(1.0, heaviest.learnt / max(heaviest.tokens, 1)),
        fused=is_packed(config, "float32"),
    )
    return int(need.total + LIBRARIES)


def _weights(shape: Shape, config: Config) -> int:
    """Bytes of the base on the CPU: float32, and of a quantised base the layers' bits."""
    if config.adapter.method != "qlora":
        return 4 * shape.parameters
    return 4 * (shape.parameters - shape.body) + shape.body * config.adapter.bits // 8


class _AsConfig:
    """A shape under the names of a transformers configuration."""

    def __init__(self, shape: Shape) -> None:
        self.hidden_size, self.intermediate_size = shape.hidden, shape.inner
        self.num_hidden_layers, self.vocab_size = shape.layers, shape.vocab
        self.num_attention_heads, self.num_key_value_heads = shape.heads, shape.kv_heads
        self.head_dim = shape.head_dim


def _unprobed(
    run: Walk, job: Job, model: int, tariff: float, earlier: Mapping[str, Any] | None
) -> LocalForecast:
    """From the speed of the workspace's last probe on this processor, else from the table."""
    config, machine = job.config, facts()
    same = earlier is not None and all(
        earlier["machine"][key] == machine[key] for key in ("cpu", "cores")
    )
    if earlier is not None and same:
        speed = earlier["local"]["flops_per_second"]
        # Calibrated: by how much the model was off then.
        model = int(model * earlier["local"]["memory"] / earlier["memory_model"])
    else:
        speed = known_speed(machine)
    saves = math.ceil(len(run.batches) / config.train.save_steps)
    one = checkpoint_bytes(job.base, trainable(run.shape, config))
    disk = min(KEPT + 1, saves) * one + 4 * trainable(run.shape, config)
    return from_speed(config, run.costs, speed, model, disk, tariff)
