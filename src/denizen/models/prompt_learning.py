"""Prompt learning: the virtual tokens as the start of the cache that all rows share.

Contract: `virtual_cache` gives the keys and values of a prefix- or prompt-tuned model's virtual
tokens followed by the text that the rows share, computed once and with gradients; a row that goes
on from it sees exactly what PEFT's own forward would show it.  None for any other model, and where
the adapter is disabled.  Under activation checkpointing, which keeps no cache, TrainingError.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from denizen.project.errors import TrainingError

if TYPE_CHECKING:
    import torch


def virtual_cache(model: Any, shared: torch.Tensor) -> Any:
    """The cache of one row (a transformers Cache) after `shared`, (1, length), length >= 0."""
    if not is_prompt_learning(model):
        return None
    base = model.get_base_model()
    if model.training and base.is_gradient_checkpointing:
        raise TrainingError(
            "prefix and prompt tuning need the cache, which checkpointing does not keep",
            where="train.checkpointing",
            fix="set it to off; lower train.batch_tokens if memory is short",
        )
    decoder = getattr(base, base.base_model_prefix)
    prompt = model.get_prompt(batch_size=1)
    if not hasattr(prompt, "dim"):  # prefix tuning: a cache already
        if shared.shape[1]:
            prompt = decoder(input_ids=shared, past_key_values=prompt, use_cache=True)
            return prompt.past_key_values
        return prompt
    import torch

    embedded = base.get_input_embeddings()(shared)
    start = torch.cat((prompt.to(embedded.dtype), embedded), dim=1)
    return decoder(inputs_embeds=start, use_cache=True).past_key_values


def is_prompt_learning(model: Any) -> bool:
    """Whether virtual tokens stand before the text, as the model is now."""
    config = getattr(model, "active_peft_config", None)
    # Inside `disable_adapter()` PEFT gives a prompt-learning model its base's forward.
    return bool(config and config.is_prompt_learning) and model.forward != model.base_model.forward
