"""What architectures share: names, hyperparameters, checks, and weights in llama.cpp's layout.

Contract: an Architecture is made of a checked config; what llama.cpp would compute otherwise than
transformers is refused in one line.  A subclass says only where it differs: one short file each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from denizen.export.architectures.rope import Rope
from denizen.export.recipe import gguf_name
from denizen.project.errors import ArtefactError

if TYPE_CHECKING:
    import numpy as np

_EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts")
_OTHER_MODALITIES = ("vision_config", "audio_config")
FULL, WINDOWED = "full_attention", "sliding_attention"


class Architecture:
    """One model's way into GGUF; `config` is transformers' with its defaults, `where` its path."""

    name: ClassVar[str]
    activations: ClassVar[tuple[str, ...]] = ("silu",)
    ropes: ClassVar[tuple[str, ...]] = ("default", "linear", "yarn")
    partial_rotary: ClassVar[bool] = False
    # llama.cpp attends to everything here; only Gemma's graph has windows.
    layer_types: ClassVar[tuple[str, ...]] = (FULL,)

    def __init__(self, config: Mapping[str, Any], where: str) -> None:
        self.config, self.where = config, where
        self.layers = int(config["num_hidden_layers"])
        self.heads = int(config["num_attention_heads"])
        self.kv_heads = int(config.get("num_key_value_heads") or self.heads)
        self.hidden = int(config["hidden_size"])
        self.head_dim = int(config.get("head_dim") or self.hidden // self.heads)
        self.rope = self.read_rope()
        self.check()

    # -- what a subclass may change

    def read_rope(self) -> Rope:
        """The rotary embedding of the layers with full attention."""
        return Rope.read(self.config.get("rope_parameters") or {}, self.config)

    def check(self) -> None:
        """Raise ArtefactError for what llama.cpp's graph of this architecture does not compute."""
        config = self.config
        if any((config.get(key) or 0) > 1 for key in _EXPERTS):
            raise self.refused("mixtures of experts are not exported", "choose a dense model")
        if any(config.get(key) for key in _OTHER_MODALITIES):
            raise self.refused("images and sound are not exported", "choose the text model")
        if config.get("quantization_config"):
            raise self.refused("the weights are quantised already", "export the float weights")
        activation = config.get("hidden_activation") or config.get("hidden_act")
        if activation not in self.activations:
            raise self.refused(f"llama.cpp's {self.name} has no activation {activation!r}")
        others = set(config.get("layer_types") or ()) - set(self.layer_types)
        if others:
            raise self.refused(f"llama.cpp's {self.name} has no {', '.join(sorted(others))}")
        if self.rope.kind not in self.ropes:
            raise self.refused(f"rope scaling {self.rope.kind!r} is not exported for {self.name}")
        if self.rope.unwritten:
            raise self.refused(f"rope scaling with {self.rope.unwritten!r} is not exported")
        if self.rope.part != 1 and not self.partial_rotary:
            raise self.refused(f"llama.cpp's {self.name} rotates whole heads, not a part of each")

    def values(self, name: str, values: np.ndarray) -> np.ndarray:
        """The weight `name` (GGUF name) as llama.cpp expects it."""
        return self.rows(name, values)

    def rows(self, name: str, values: np.ndarray) -> np.ndarray:
        """The rows (outputs) of `name` in llama.cpp's order, whatever the columns are."""
        return values

    def factors(self) -> dict[str, np.ndarray]:
        """Tensors that no checkpoint holds: the rotary frequencies' factors, float32."""
        return {}

    def write(self, writer: Any, context: int | None) -> None:
        """The hyperparameters."""
        writer.add_context_length(self.context(context))
        writer.add_embedding_length(self.hidden)
        writer.add_block_count(self.layers)
        writer.add_feed_forward_length(int(self.config["intermediate_size"]))
        writer.add_head_count(self.heads)
        writer.add_head_count_kv(self.kv_heads)
        writer.add_key_length(self.head_dim)
        writer.add_value_length(self.head_dim)
        writer.add_vocab_size(self.vocabulary)
        self.write_norm(writer)
        self.rope.write(writer, self.head_dim)

    def write_norm(self, writer: Any) -> None:
        """The epsilon of the norms."""
        writer.add_layer_norm_rms_eps(float(self.config["rms_norm_eps"]))

    # -- what is the same everywhere

    @property
    def vocabulary(self) -> int:
        """Rows of the embeddings."""
        return int(self.config["vocab_size"])

    @property
    def tied(self) -> bool:
        """Whether the output matrix is the embeddings."""
        return bool(self.config.get("tie_word_embeddings"))

    def gguf_name(self, key: str) -> str:
        """The GGUF name of a tensor of the checkpoint."""
        return gguf_name(key, self.layers, self.name)

    def context(self, wanted: int | None) -> int:
        """Tokens of context; a window that llama.cpp does not apply ends it."""
        tokens = wanted or int(self.config["max_position_embeddings"])
        window = self.config.get("sliding_window")
        return min(tokens, int(window)) if window and WINDOWED not in self.layer_types else tokens

    def refused(self, what: str, fix: str = "choose another base model") -> ArtefactError:
        """The error to raise."""
        return ArtefactError(what, where=self.where, fix=fix)


def permute_rotary(values: np.ndarray, heads: int) -> np.ndarray:
    """Rows from transformers' half-split rotary layout to llama.cpp's interleaved one."""
    shape = values.shape
    split = values.reshape(heads, 2, shape[0] // heads // 2, *shape[1:])
    return split.swapaxes(1, 2).reshape(shape)
