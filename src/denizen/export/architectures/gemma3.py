"""Gemma 3 (text): norms hold their weight less one, and most layers see a sliding window.

llama.cpp multiplies by the norm's weight as it is, so one is added.  Windowed layers rotate with a
base of their own; a layer in every `period` has full attention.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from denizen.export.architectures.base import FULL, WINDOWED, Architecture
from denizen.export.architectures.rope import Rope

if TYPE_CHECKING:
    import numpy as np

# llama.cpp knows the 27B model by its layers: it alone scales queries by hidden size / heads.
_LAYERS_OF_27B = 62


class Gemma3(Architecture):
    """Gemma3ForCausalLM."""

    name: ClassVar[str] = "gemma3"
    activations: ClassVar[tuple[str, ...]] = ("gelu_pytorch_tanh",)
    ropes: ClassVar[tuple[str, ...]] = ("default", "linear")
    layer_types: ClassVar[tuple[str, ...]] = (WINDOWED, FULL)

    def read_rope(self) -> Rope:
        """Of the layers with full attention."""
        return Rope.read(self._parameters()[FULL], self.config)

    def check(self) -> None:
        """Scales, caps and the order of the layers must be those of llama.cpp's graph."""
        super().check()
        config = self.config
        for key in ("attn_logit_softcapping", "final_logit_softcapping"):
            if config.get(key):
                raise self.refused(f"llama.cpp's gemma3 has no {key}")
        if config.get("use_bidirectional_attention"):
            raise self.refused("llama.cpp's gemma3 attends to the past only")
        large = self.layers == _LAYERS_OF_27B
        expected = self.hidden // self.heads if large else self.head_dim
        if config["query_pre_attn_scalar"] != expected:
            raise self.refused(f"llama.cpp scales gemma3's queries by {expected} alone")
        if self._local.kind != "default":
            raise self.refused("llama.cpp's windowed layers have no rope scaling")
        kinds = [
            FULL if layer % self.period == self.period - 1 else WINDOWED
            for layer in range(self.layers)
        ]
        if list(config["layer_types"]) != kinds:
            raise self.refused("the layers with full attention do not recur evenly")

    @property
    def period(self) -> int:
        """One layer in so many has full attention."""
        kinds = list(self.config["layer_types"])
        return kinds.index(FULL) + 1 if FULL in kinds else self.layers + 1

    @property
    def _local(self) -> Rope:
        return Rope.read(self._parameters()[WINDOWED], self.config)

    def _parameters(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.config["rope_parameters"]
        return found

    def write(self, writer: Any, context: int | None) -> None:
        """With the window, its period and its rotary base."""
        super().write(writer, context)
        writer.add_sliding_window(int(self.config["sliding_window"]))
        writer.add_sliding_window_pattern(self.period)
        writer.add_rope_freq_base_swa(self._local.theta)

    def values(self, name: str, values: np.ndarray) -> np.ndarray:
        """Norms plus one."""
        return values + 1 if name.endswith("norm.weight") else values
