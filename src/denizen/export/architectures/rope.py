"""Rotary embeddings: what transformers' config says, in the keys and tensors llama.cpp reads.

Contract: `Rope.read` takes transformers 5's rope_parameters; kinds are default, linear, yarn,
llama3 (frequency factors, Llama 3.1) and longrope (Ding et al. 2024).  What a kind has beyond what
is written here is named in `unwritten`, for the architecture to refuse.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

_COMMON = {"rope_type", "type", "rope_theta", "partial_rotary_factor"}
_YARN = {"factor", "original_max_position_embeddings"}
_WRITTEN = {
    "default": set[str](),
    "linear": {"factor"},
    "yarn": _YARN,
    "llama3": {*_YARN, "low_freq_factor", "high_freq_factor"},
    "longrope": {*_YARN, "short_factor", "long_factor", "attention_factor"},
}


@dataclass(frozen=True)
class Rope:
    """One rotary embedding; `part` is the share of each head that rotates."""

    kind: str
    theta: float
    part: float
    settings: Mapping[str, Any]
    original: int
    longest: int

    @classmethod
    def read(cls, parameters: Mapping[str, Any], config: Mapping[str, Any]) -> Rope:
        """From rope_parameters (of one layer type) and the config around them."""
        longest = int(config["max_position_embeddings"])
        original = (
            parameters.get("original_max_position_embeddings")
            or config.get("original_max_position_embeddings")
            or longest
        )
        part = parameters.get("partial_rotary_factor", config.get("partial_rotary_factor"))
        return cls(
            kind=str(parameters.get("rope_type") or parameters.get("type") or "default"),
            theta=float(parameters.get("rope_theta") or config.get("rope_theta") or 10_000.0),
            part=1.0 if part is None else float(part),
            settings={k: v for k, v in parameters.items() if k not in _COMMON and v is not None},
            original=int(original),
            longest=longest,
        )

    @property
    def unwritten(self) -> str:
        """Settings that would be lost, comma-separated."""
        lost = set(self.settings) - _WRITTEN.get(self.kind, set())
        return ", ".join(sorted(lost - {"original_max_position_embeddings"}))

    def dimensions(self, head_dim: int) -> int:
        """How many of a head's numbers rotate."""
        return int(head_dim * self.part)

    def write(self, writer: Any, head_dim: int) -> None:
        """The metadata; factors are tensors (`llama3_factors`, `longrope_factors`)."""
        import gguf

        writer.add_rope_dimension_count(self.dimensions(head_dim))
        writer.add_rope_freq_base(self.theta)
        if self.kind in ("linear", "yarn"):
            writer.add_rope_scaling_type(gguf.RopeScalingType(self.kind))
            writer.add_rope_scaling_factor(float(self.settings["factor"]))
        if self.kind in ("yarn", "longrope"):
            writer.add_rope_scaling_orig_ctx_len(self.original)
        if self.kind == "longrope":
            writer.add_rope_scaling_attn_factors(self.attention())

    def attention(self) -> float:
        """LongRoPE's scale of the attention's logits' root."""
        if "attention_factor" in self.settings:
            return float(self.settings["attention_factor"])
        stretch = float(self.settings.get("factor") or self.longest / self.original)
        return math.sqrt(1 + math.log(stretch) / math.log(self.original)) if stretch > 1 else 1.0

    def llama3_factors(self, head_dim: int) -> np.ndarray:
        """By what each frequency is divided: long waves by `factor`, short ones by 1."""
        import numpy as np

        count = self.dimensions(head_dim)
        waves = 2 * np.pi * self.theta ** (np.arange(0, count, 2, dtype=np.float64) / count)
        factor, low, high = (
            float(self.settings[key]) for key in ("factor", "low_freq_factor", "high_freq_factor")
        )
        # Between the two wavelengths the change is gradual, in the frequencies.
        kept = np.clip((self.original / waves - low) / (high - low), 0, 1)
        found: np.ndarray = (1 / ((1 - kept) / factor + kept)).astype(np.float32)
        return found

    def longrope_factors(self) -> dict[str, np.ndarray]:
        """Factors for contexts beyond the original one, and for those within."""
        import numpy as np

        return {
            f"rope_factors_{name}.weight": np.array(self.settings[f"{name}_factor"], np.float32)
            for name in ("long", "short")
        }
