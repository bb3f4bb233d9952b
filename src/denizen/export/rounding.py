"""What quantisation will do to a weight, before it is written: the recipe's type, there and back.

Contract: `Rounding(quant, layers)(name, weight)` gives the weight as the shipped GGUF will hold it
(ggml's quantiser, gguf's dequantisation).  Training on rounded weights teaches the adapter to
work around the rounding (Jacob et al. 2018, straight-through estimation).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from denizen.export.gguf_writer import encode
from denizen.export.recipe import gguf_name, tensor_type

if TYPE_CHECKING:
    import torch


class Rounding:
    """The rounding of one recipe for a model of `layers` layers; names are transformers'."""

    def __init__(self, quant: str, layers: int) -> None:
        self._quant, self._layers = quant, layers

    def __call__(self, name: str, weight: torch.Tensor) -> torch.Tensor:
        """`weight` (rows, columns) rounded and back, float32."""
        import torch
        from gguf import dequantize

        named = gguf_name(name, self._layers)
        kind = tensor_type(self._quant, named, tuple(weight.shape), self._layers)
        # Blocks lie along a row, so the row permutation of Q and K changes nothing here.
        stored = encode(weight.detach().float().cpu().numpy(), kind)
        return torch.from_numpy(dequantize(stored, kind).copy()).to(weight.device)
