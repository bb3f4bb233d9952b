"""What quantisation will do to a weight, before it is written: the recipe's type, there and back.

Contract: `Rounding(quant, layers)(name, weight)` gives the weight as the shipped GGUF will hold it
(ggml's quantiser, gguf's dequantisation).  Training on rounded weights teaches the adapter to
work around the rounding (Jacob et al. 2018, straight-through estimation).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from denizen.export.gguf_writer import encode
from denizen.export.recipe import gguf_name, tensor_type

if TYPE_CHECKING:
    import torch


class Rounding:
    """The rounding of one recipe for a model of `layers` layers; names are transformers'.

    `tied`: the embeddings are the output matrix as well.
    """

    def __init__(
        self, quant: str, layers: int, architecture: str = "llama", *, tied: bool = True
    ) -> None:
        self._quant, self._layers = quant, layers
        self._architecture, self._tied = architecture, tied

    @classmethod
    def of(cls, quant: str, checkpoint: Path) -> Rounding:
        """For the model in a transformers folder; raises ArtefactError if it is not exported."""
        from denizen.export.architectures import open_architecture

        found = open_architecture(checkpoint)
        return cls(quant, found.layers, found.name, tied=found.tied)

    def __call__(self, name: str, weight: torch.Tensor) -> torch.Tensor:
        """`weight` (rows, columns) rounded and back, float32."""
        import torch
        from gguf import dequantize

        named = gguf_name(name, self._layers, self._architecture)
        kind = tensor_type(
            self._quant,
            named,
            tuple(weight.shape),
            self._layers,
            architecture=self._architecture,
            tied=self._tied,
        )
        # Blocks lie along a row, so the row permutation of Q and K changes nothing here.
        stored = encode(weight.detach().float().cpu().numpy(), kind)
        return torch.from_numpy(dequantize(stored, kind).copy()).to(weight.device)
