"""How much memory a training step will take, before it is taken.

Contract: an estimate in bytes from the architecture and the padded tokens a step; checkpointing
is chosen only when the plain path would not fit in what is available.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from denizen.project.machine import available_bytes

_SAFETY = 0.8
_FLOAT = 4


@dataclass(frozen=True)
class MemoryForecast:
    """Bytes of weights (with folded copies), activations, head and optimiser."""

    weights: int
    activations: int
    head: int
    optimiser: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.activations + self.head + self.optimiser


def forecast(
    config: Any, parameters: int, trainable: int, batch_tokens: int, supervised: float
) -> MemoryForecast:
    """Forecast a LoRA step of a Llama-like model.

    A layer keeps its inputs, the two norms, q, k, v, the attention output and four gated-MLP
    tensors; the head keeps logits, their softmax and its gradient for the supervised share.
    """
    kv = config.num_key_value_heads / config.num_attention_heads
    per_token = config.hidden_size * (8 + 2 * kv) + 4 * config.intermediate_size
    return MemoryForecast(
        weights=2 * parameters * _FLOAT,
        activations=int(per_token * batch_tokens * config.num_hidden_layers * _FLOAT),
        head=int(3 * config.vocab_size * batch_tokens * supervised * _FLOAT),
        optimiser=3 * trainable * _FLOAT,
    )


def need_checkpointing(wish: str, forecasted: MemoryForecast) -> bool:
    """`on`, `off`, or (auto) only if the forecast exceeds 80% of the available memory."""
    if wish != "auto":
        return wish == "on"
    return forecasted.total > _SAFETY * available_bytes()
