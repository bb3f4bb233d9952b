"""Where a run trains: this process's GPU or the CPU, its free memory and what it multiplies fast.

Contract: a model that is loaded to be trained goes to its device before anything looks at it
(references, critics, folded layers); under FSDP2 and DeepSpeed the launcher places it instead.
"""

from __future__ import annotations

import os
from typing import Any

from denizen.project.config import Config
from denizen.project.errors import ConfigError
from denizen.project.machine import available_bytes
from denizen.train.scale import sharded


def check_devices(config: Config) -> None:
    """One process trains on one GPU: transformers would split each batch among all it sees."""
    import torch

    gpus = torch.cuda.device_count()
    if config.scale.processes == 1 and gpus > 1:
        raise ConfigError(
            f"one process and {gpus} GPUs in sight",
            where="scale.processes",
            fix=f"run with CUDA_VISIBLE_DEVICES=0, or with --nproc {gpus}",
        )


def device() -> str:
    """This process's own."""
    import torch

    return f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if torch.cuda.is_available() else "cpu"


def place(model: Any, config: Config) -> None:
    """Take the model to this process's device, if the launcher does not shard it."""
    if model.device.type == "cpu" and not sharded(config):
        model.to(device())


def gpu_bfloat16() -> bool:
    """Whether a GPU is there that multiplies bf16 itself."""
    import torch

    return torch.cuda.is_available() and bool(torch.cuda.is_bf16_supported())


def free_bytes() -> int:
    """Memory a step may take: of the GPU where there is one, else of the machine."""
    import torch

    return int(torch.cuda.mem_get_info()[0]) if torch.cuda.is_available() else available_bytes()
