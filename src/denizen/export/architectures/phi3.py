"""Phi-3, Phi-3.5 and Phi-4-mini: Q, K and V in one matrix, gate and up in another.

llama.cpp's "phi3" graph keeps both fused, as transformers does.  It applies no sliding window: that
bounds the context instead.  LongRoPE's two sets of factors are tensors: llama.cpp takes the long
ones if its context is longer than the original one, transformers if the prompt is.  The context
written is therefore the original one, unless a longer one is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from denizen.export.architectures.base import Architecture

if TYPE_CHECKING:
    import numpy as np


class Phi3(Architecture):
    """Phi3ForCausalLM."""

    name: ClassVar[str] = "phi3"
    ropes: ClassVar[tuple[str, ...]] = ("default", "longrope")
    partial_rotary: ClassVar[bool] = True

    def check(self) -> None:
        """llama.cpp's output projection is square."""
        super().check()
        if self.head_dim * self.heads != self.hidden:
            raise self.refused("llama.cpp's phi3 has heads of hidden size / heads")

    def context(self, wanted: int | None) -> int:
        """By default the context within which the short factors hold."""
        longrope = self.rope.kind == "longrope"
        return super().context(wanted or (self.rope.original if longrope else None))

    def factors(self) -> dict[str, np.ndarray]:
        """LongRoPE's."""
        return self.rope.longrope_factors() if self.rope.kind == "longrope" else {}
