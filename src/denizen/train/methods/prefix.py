"""Prefix tuning: keys and values of virtual tokens before the text (Li, Liang, arXiv:2101.00190).

Contract: only `virtual_tokens` keys and values a layer train.  They start as those of real tokens,
drawn from the vocabulary by torch's seeded generator: at the start the model is the base with
these tokens before every text.  A prefix has no form as weights.
"""

from __future__ import annotations

from typing import Any

from denizen.project.config import AdapterConfig
from denizen.train.methods.base import Adapter


def wrap(model: Any, settings: AdapterConfig) -> Any:
    """A PeftModel with a trainable prefix."""
    import torch
    from peft import PrefixTuningConfig, get_peft_model

    count = settings.virtual_tokens
    tokens = torch.randint(model.get_input_embeddings().num_embeddings, (1, count))
    with torch.no_grad():
        cache = model(input_ids=tokens.to(model.device), use_cache=True).past_key_values
        states = [state for layer in cache.layers for state in (layer.keys, layer.values)]
        # (2 x layers, heads, tokens, size) -> a row a token, as PEFT's get_prompt reads it.
        start = torch.cat(states).permute(2, 0, 1, 3).reshape(count, -1)
        peft = get_peft_model(
            model, PrefixTuningConfig(num_virtual_tokens=count, task_type="CAUSAL_LM")
        )
        peft.prompt_encoder[peft.active_adapter].embedding.weight.copy_(start)
    return peft


METHOD = Adapter("prefix", "prefix tuning", wrap, learning_rate=1e-2, mergeable=False)
