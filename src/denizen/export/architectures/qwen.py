"""Qwen 2, 2.5 and 3 (dense): half-split rotary as in transformers, so no weight changes.

Qwen 2's Q, K and V have biases; Qwen 3 normalises Q and K by head.  Both are plain names.
"""

from __future__ import annotations

from typing import ClassVar

from denizen.export.architectures.base import Architecture


class Qwen2(Architecture):
    """Qwen2ForCausalLM (also Qwen 2.5)."""

    name: ClassVar[str] = "qwen2"

    def check(self) -> None:
        """llama.cpp takes the heads' width from the hidden size."""
        super().check()
        if self.head_dim * self.heads != self.hidden:
            raise self.refused(f"llama.cpp's {self.name} has heads of hidden size / heads")


class Qwen3(Architecture):
    """Qwen3ForCausalLM."""

    name: ClassVar[str] = "qwen3"

    def check(self) -> None:
        """No biases in llama.cpp's graph."""
        super().check()
        if self.config.get("attention_bias"):
            raise self.refused("llama.cpp's qwen3 has no attention biases")
