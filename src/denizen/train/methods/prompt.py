"""Prompt tuning: embeddings of virtual tokens before the text (Lester et al., arXiv:2104.08691).

Contract: only `virtual_tokens` embeddings train; they start as those of tokens drawn from the
vocabulary.  A prompt has no form as weights.
"""

from __future__ import annotations

from typing import Any

from denizen.project.config import AdapterConfig
from denizen.train.methods.base import Adapter


def wrap(model: Any, settings: AdapterConfig) -> Any:
    """A PeftModel with trainable virtual tokens."""
    from peft import PromptTuningConfig, PromptTuningInit, get_peft_model

    return get_peft_model(
        model,
        PromptTuningConfig(
            num_virtual_tokens=settings.virtual_tokens,
            prompt_tuning_init=PromptTuningInit.SAMPLE_VOCAB,
            task_type="CAUSAL_LM",
        ),
    )


METHOD = Adapter("prompt", "prompt tuning", wrap, learning_rate=3e-2, mergeable=False)
