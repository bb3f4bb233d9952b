"""LoRA: low-rank updates of the linear layers (Hu et al. 2021, arXiv:2106.09685).

Contract: rsLoRA scaling, choice of modules and layers, and ranks of single layers come from the
settings; dropout and bias are none, so that the folded path stays exact.
"""

from __future__ import annotations

from typing import Any

from denizen.project.config import AdapterConfig
from denizen.train.methods.base import Adapter

TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def wrap(model: Any, settings: AdapterConfig) -> Any:
    """A PeftModel with LoRA on the chosen layers."""
    from peft import LoraConfig, get_peft_model

    return get_peft_model(
        model,
        LoraConfig(
            r=settings.rank,
            lora_alpha=settings.alpha,
            target_modules=list(TARGETS),
            lora_dropout=0.0,
            task_type="CAUSAL_LM",
        ),
    )


METHOD = Adapter("lora", "LoRA", wrap, learning_rate=1e-3)
