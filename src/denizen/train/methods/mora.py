"""MoRA: one square matrix a layer gives updates of high rank (Jiang et al. 2024, arXiv:2405.12130).

Contract: as many trainable weights as LoRA would have at the settings' rank (rounded down to a
square of even side).  The layers are a PEFT method of their own (`denizen.models.mora`): saving,
loading and merging are PEFT's.  There is no alpha, as in the paper.
"""

from __future__ import annotations

from typing import Any

from denizen.project.config import AdapterConfig
from denizen.train.methods.base import Adapter
from denizen.train.targets import find_targets


def wrap(model: Any, settings: AdapterConfig) -> Any:
    """A PeftModel with MoRA on the chosen layers."""
    from peft import get_peft_model

    from denizen.models.mora import MoraConfig

    targets = find_targets(model, settings)
    config = MoraConfig(
        r=settings.rank,
        target_modules=targets.modules,
        layers_to_transform=targets.layers,
        rank_pattern=targets.ranks,
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, config)


METHOD = Adapter("mora", "MoRA", wrap, learning_rate=3e-4)
