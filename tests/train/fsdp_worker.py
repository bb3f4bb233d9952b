"""One of two processes that shard a tiny model with FSDP2 over gloo; process 0 writes gradients.

Sharded as accelerate does it (layers, then norm with the tied embedding and head, then the root),
so that the routed loss is tried under the very hooks it meets on GPUs.
"""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import torch
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import init_device_mesh

from denizen.project.config import Config, ScaleConfig
from denizen.train.methods import find_objective, plain
from denizen.train.scale import part_of, part_weight, route_losses, share, without_shortcuts


def reduce(value: Any, reduction: str) -> Any:
    torch.distributed.all_reduce(value)
    return value


def main(made: str, out: str) -> None:
    torch.distributed.init_process_group("gloo")
    rank = torch.distributed.get_rank()
    mesh = init_device_mesh("cpu", (2,))
    # Written by the test that started this process.
    model, examples = torch.load(made, weights_only=False)
    scale = ScaleConfig(processes=2, backend="fsdp2")
    objective = find_objective(without_shortcuts(Config(scale=scale)))
    route_losses(model, objective)
    inner = plain(model)
    for layer in inner.model.layers:
        fully_shard(layer, mesh=mesh)
    fully_shard([inner.model.norm, inner.model.embed_tokens, inner.lm_head], mesh=mesh)
    fully_shard(model, mesh=mesh)
    (part,) = part_of([list(range(len(examples)))], rank, 2)
    batch = objective.collate([examples[i] for i in part])
    weight = part_weight(objective, batch, len(part))
    loss, metrics = model(recipe=(batch, weight))
    accelerator: Any = SimpleNamespace(num_processes=2, device="cpu", reduce=reduce)
    shared = share(accelerator, weight, loss, metrics)
    shared.own.backward()
    gradients = {
        name: parameter.grad.full_tensor()
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }
    if rank == 0:
        torch.save((shared.loss, gradients), out)
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
