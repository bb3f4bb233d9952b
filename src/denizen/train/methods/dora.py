"""DoRA: a low-rank update of each weight's direction, and its magnitudes (arXiv:2402.09353).

Contract: the settings are LoRA's; PEFT's own DoRA layers train, which the folded path leaves
alone, and merge into plain weights.
"""

from __future__ import annotations

from typing import Any

from denizen.project.config import AdapterConfig
from denizen.train.methods.base import Adapter
from denizen.train.methods.lora import lora_config


def wrap(model: Any, settings: AdapterConfig) -> Any:
    """A PeftModel with DoRA on the chosen layers."""
    from peft import get_peft_model

    return get_peft_model(model, lora_config(model, settings, use_dora=True))


METHOD = Adapter("dora", "DoRA", wrap, learning_rate=1e-3)
