"""Llama (SmolLM2, TinyLlama, Llama 2 and 3) and Mistral: llama.cpp's "llama" graph.

Its rotary embedding interleaves what transformers splits in halves: rows of Q and K are permuted,
and so are their biases.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from denizen.export.architectures.base import Architecture, permute_rotary

if TYPE_CHECKING:
    import numpy as np


class Llama(Architecture):
    """LlamaForCausalLM."""

    name: ClassVar[str] = "llama"
    ropes: ClassVar[tuple[str, ...]] = ("default", "linear", "yarn", "llama3")

    def rows(self, name: str, values: np.ndarray) -> np.ndarray:
        """Q and K permuted."""
        if ".attn_q." in name:
            return permute_rotary(values, self.heads)
        if ".attn_k." in name:
            return permute_rotary(values, self.kv_heads)
        return values

    def factors(self) -> dict[str, np.ndarray]:
        """Llama 3.1's frequency factors."""
        if self.rope.kind != "llama3":
            return {}
        return {"rope_freqs.weight": self.rope.llama3_factors(self.head_dim)}


class Mistral(Llama):
    """MistralForCausalLM.  llama.cpp applies no sliding window: it bounds the context instead."""
