"""Optimisers that keep their moments in a low-rank projection of the gradient.

Contract: `projected(cls, model, settings, arguments)` gives the trainer's optimizer class and its
arguments: the chosen linear layers are projected, every other weight has AdamW's own rule.
GaLore's package pulls bitsandbytes and keeps Python objects in its state, which a checkpoint
cannot hold; APOLLO's forbids commercial use: both are written here from their papers.
"""

from __future__ import annotations

from typing import Any

from denizen.project.config import AdapterConfig
from denizen.train.targets import find_targets


def projected(
    cls: type, model: Any, settings: AdapterConfig, arguments: Any
) -> tuple[type, dict[str, Any]]:
    """What the trainer takes as `optimizer_cls_and_kwargs`; `arguments` are TrainingArguments."""
    ranks = find_targets(model, settings).paths
    groups: dict[tuple[int, float], list[Any]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            rank = ranks.get(name.removesuffix(".weight"), 0)
            decay = arguments.weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((rank, decay), []).append(parameter)
    return cls, {
        "params": [
            {"params": members, "rank": rank, "weight_decay": decay}
            for (rank, decay), members in groups.items()
        ],
        "lr": arguments.learning_rate,
        "betas": (arguments.adam_beta1, arguments.adam_beta2),
        "eps": arguments.adam_epsilon,
        "gap": settings.projection_steps,
    }


__all__ = ["projected"]
