"""How much memory a training step will take, before it is taken.

Contract: an estimate in bytes from the architecture and the padded tokens a step; checkpointing
is chosen only when the plain path would not fit in what is available.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from denizen.train.devices import free_bytes
from denizen.train.head import CHUNK

_SAFETY = 0.8
_FLOAT = 4


@dataclass(frozen=True)
class MemoryForecast:
    """Bytes of weights (with the scratch of folding), activations, head and optimiser."""

    weights: int
    activations: int
    head: int
    optimiser: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.activations + self.head + self.optimiser


def forecast(
    config: Any,
    weights: int,
    trainable: int,
    batch_tokens: int,
    supervised: float,
    *,
    fused: bool = True,
) -> MemoryForecast:
    """Forecast a step of a Llama-like model of `weights` bytes and `batch_tokens` distinct tokens.

    `fused` layers keep what `block_functions.py` says, and a chunk of logits exists at a time;
    else a layer keeps its inputs, the norms, q, k, v, the attention's output and four tensors of
    the gated MLP, and the head keeps logits, softmax and gradient of the supervised share.
    """
    hidden, inner, layers = config.hidden_size, config.intermediate_size, config.num_hidden_layers
    head = getattr(config, "head_dim", None) or hidden // config.num_attention_heads
    q, kv = head * config.num_attention_heads, head * config.num_key_value_heads
    logits = config.vocab_size * int(batch_tokens * supervised)
    if fused:
        # The attention's output is kept twice: by torch, run by run, and joined.
        kept = 2 * hidden + 3 * q + 2 * kv + 2 * inner + config.num_attention_heads
        passing = 5 * inner + 5 * hidden
        logits = 2 * min(logits, CHUNK)
        scratch = 2 * inner * hidden
    else:
        kept = 6 * hidden + 2 * q + 2 * kv + 4 * inner
        passing, logits, scratch = 0, 3 * logits, 0
    return MemoryForecast(
        weights=weights + scratch * _FLOAT,
        activations=(kept * layers + passing) * batch_tokens * _FLOAT,
        head=logits * _FLOAT,
        optimiser=3 * trainable * _FLOAT,
    )


def need_checkpointing(wish: str, forecasted: MemoryForecast) -> bool:
    """`on`, `off`, or (auto) only if the forecast exceeds 80% of the available memory."""
    if wish != "auto":
        return wish == "on"
    return forecasted.total > _SAFETY * free_bytes()
