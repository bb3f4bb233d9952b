"""What quantisation will do to a weight, before it is written: the recipe's type, there and back.

Contract: `Rounding(quant, layers)(name, weight)` gives the weight as the shipped GGUF will hold it
(ggml's quantiser, gguf's dequantisation).  Training on rounded weights teaches the adapter to
work around the rounding (Jacob et al. 2018, straight-through estimation).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from denizen.export._ggml import quantize
from denizen.export.recipe import tensor_type

if TYPE_CHECKING:
    import torch


class Rounding:
    """The rounding of one recipe for a model of `layers` layers; names are transformers'."""

    def __init__(self, quant: str, layers: int) -> None:
        import gguf

        self._quant, self._layers = quant, layers
        self._names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, layers)

    def __call__(self, name: str, weight: torch.Tensor) -> torch.Tensor:
        """`weight` (rows, columns) rounded and back, float32."""
        import torch
        from gguf import dequantize

        mapped = self._names.get_name(name, try_suffixes=(".weight",)) or name
        kind = tensor_type(self._quant, mapped, tuple(weight.shape), self._layers)
        if kind.name in ("F32", "F16"):
            return weight.to(torch.float16).float() if kind.name == "F16" else weight.clone()
        # Blocks lie along a row, so the row permutation of Q and K changes nothing here.
        values = weight.detach().float().numpy()
        return torch.from_numpy(dequantize(quantize(values, kind), kind).copy())
