"""Every training method, one file each, found by its name in `denizen.yaml`.

Contract: `adapter.method` names an Adapter (which weights), `train.objective` an Objective (what
from); importing this package imports none of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import cast

from denizen.project.config import Config
from denizen.train.methods.base import Adapter, Example, Objective, Offline, StepLoss, plain

ADAPTERS = ("lora", "qlora", "dora", "mora", "full", "galore", "apollo", "prefix", "prompt")
OBJECTIVES = ("sft", "pretrain", "dpo", "orpo", "kto", "reward", "rloo", "ppo", "grpo")


def find_adapter(name: str) -> Adapter:
    """The Adapter of `adapter.method`."""
    assert name in ADAPTERS, name
    return cast(Adapter, import_module(f"denizen.train.methods.{name}").METHOD)


def find_objective(config: Config) -> Objective:
    """The Objective of `train.objective`, made with its settings."""
    name = config.train.objective
    return cast(Objective, import_module(f"denizen.train.methods.{name}").METHOD(config))


__all__ = [
    "ADAPTERS",
    "OBJECTIVES",
    "Adapter",
    "Example",
    "Objective",
    "Offline",
    "StepLoss",
    "find_adapter",
    "find_objective",
    "plain",
]
