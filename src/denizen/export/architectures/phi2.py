"""Phi-1, 1.5 and 2: LayerNorm and biases everywhere, attention and feed-forward in parallel."""

from __future__ import annotations

from typing import Any, ClassVar

from denizen.export.architectures.base import Architecture


class Phi2(Architecture):
    """PhiForCausalLM."""

    name: ClassVar[str] = "phi2"
    activations: ClassVar[tuple[str, ...]] = ("gelu_new", "gelu_pytorch_tanh")
    ropes: ClassVar[tuple[str, ...]] = ("default",)
    partial_rotary: ClassVar[bool] = True

    def check(self) -> None:
        """llama.cpp's graph has an output matrix of its own and no norms of Q and K."""
        super().check()
        if self.config.get("qk_layernorm"):
            raise self.refused("llama.cpp's phi2 has no norms of Q and K")
        if self.tied:
            raise self.refused("llama.cpp's phi2 has no tied embeddings")

    def write_norm(self, writer: Any) -> None:
        """LayerNorm's epsilon."""
        writer.add_layer_norm_eps(float(self.config["layer_norm_eps"]))
