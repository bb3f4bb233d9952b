"""`engine: unsloth`: the base and its adapter through Unsloth's loader; the recipe goes on as ever.

Contract: without a GPU or the package a TrainingError says so before anything is loaded; what
Unsloth has no loader for is refused.  Never run by this project's own tests, which have no GPU:
they check the refusals, and the calls against a stand-in and the package's signatures.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from denizen.project.config import Config
from denizen.project.errors import ConfigError, TrainingError
from denizen.train.targets import Targets, find_targets

ADAPTERS = ("lora", "qlora", "full")


def unsloth_model(base: Path, config: Config, precision: str) -> Any:
    """The trainable model of `adapter`; raises TrainingError, ConfigError."""
    import torch

    check_unsloth(config)
    # Its import patches transformers, so it comes as late as the choice for it.
    loader = import_module("unsloth").FastLanguageModel
    dtype = getattr(torch, precision)
    model, _ = loader.from_pretrained(**model_arguments(base, config), dtype=dtype)
    if config.adapter.method == "full":
        return model
    targets = find_targets(model, config.adapter)
    return loader.get_peft_model(model, **adapter_arguments(config, targets))


def check_unsloth(config: Config) -> None:
    """Raises if Unsloth cannot do this, or not here."""
    import torch

    check_expressible(config)
    if not torch.cuda.is_available():
        raise TrainingError(
            "unsloth needs a GPU, and none is here",
            where="train.engine",
            fix="set train.engine to trl, or run it where a GPU is",
        )
    if find_spec("unsloth") is None:
        raise TrainingError(
            "the package unsloth is not installed",
            where="train.engine",
            fix="pip install unsloth, or set train.engine to trl",
        )


def check_expressible(config: Config) -> None:
    """Raises ConfigError for what Unsloth has no loader for."""
    adapter = config.adapter
    if adapter.method not in ADAPTERS:
        raise ConfigError(
            f"Unsloth's loader has no {adapter.method}",
            where="adapter.method",
            fix=f"choose {', '.join(ADAPTERS)}, or train.engine: trl",
        )
    if adapter.ranks and adapter.method != "full":
        raise ConfigError(
            "Unsloth's adapters have one rank", where="adapter.ranks", fix="leave it empty"
        )
    if config.scale.processes > 1:
        raise ConfigError("Unsloth runs on one GPU", where="scale.processes", fix="set it to 1")
    if config.train.start:
        raise ConfigError(
            "Unsloth starts from a base", where="train.start", fix="use train.engine: trl"
        )


def model_arguments(base: Path, config: Config) -> dict[str, Any]:
    """Of `FastLanguageModel.from_pretrained`, without the dtype."""
    adapter = config.adapter
    quantised = adapter.method == "qlora"
    return {
        "model_name": str(base),
        "max_seq_length": config.train.max_length,
        "load_in_4bit": quantised and adapter.bits == 4,
        "load_in_8bit": quantised and adapter.bits == 8,
        "full_finetuning": adapter.method == "full",
        "use_exact_model_name": True,
    }


def adapter_arguments(config: Config, targets: Targets) -> dict[str, Any]:
    """Of `FastLanguageModel.get_peft_model`, without the model."""
    adapter = config.adapter
    checkpointing = "unsloth" if config.train.checkpointing == "on" else False
    return {
        "r": adapter.rank,
        "lora_alpha": adapter.alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": targets.modules,
        "layers_to_transform": targets.layers,
        "use_rslora": adapter.rslora,
        "use_gradient_checkpointing": checkpointing,
        "random_state": config.data.seed,
    }
