"""LoRA: low-rank updates of the linear layers (Hu et al. 2021, arXiv:2106.09685).

Contract: the choice of modules and layers, and ranks of single layers, come from the settings;
every layer keeps the scale alpha / rank of the settings, whatever its own rank.  With rsLoRA
(arXiv:2312.03732) the scale is alpha / sqrt(the layer's rank).  Dropout and bias are none, so that
the folded path stays exact.
"""

from __future__ import annotations

from typing import Any

from denizen.project.config import AdapterConfig
from denizen.train.methods.base import Adapter
from denizen.train.targets import find_targets


def lora_config(model: Any, settings: AdapterConfig, **more: Any) -> Any:
    """PEFT's LoraConfig of the settings for `model`; raises ConfigError."""
    from peft import LoraConfig

    targets = find_targets(model, settings)
    per_rank = settings.alpha / settings.rank
    return LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        use_rslora=settings.rslora,
        target_modules=targets.modules,
        layers_to_transform=targets.layers,
        rank_pattern=targets.ranks,
        alpha_pattern={}
        if settings.rslora
        else {pattern: rank * per_rank for pattern, rank in targets.ranks.items()},
        lora_dropout=0.0,
        task_type="CAUSAL_LM",
        **more,
    )


def wrap(model: Any, settings: AdapterConfig) -> Any:
    """A PeftModel with LoRA on the chosen layers."""
    from peft import get_peft_model

    return get_peft_model(model, lora_config(model, settings))


METHOD = Adapter("lora", "LoRA", wrap, learning_rate=1e-3)
