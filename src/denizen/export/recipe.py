"""Which tensor gets which type in a quantised GGUF: llama.cpp's recipe for Q4_K_M and others.

Q4_K_M keeps attn_v and ffn_down of the first and last eighth of the layers, and every third
between, at Q6_K, and the output matrix at Q6_K.  K-quants need rows of a multiple of 256; other
rows fall back as llama.cpp's quantiser does: Q4_K to Q5_0, Q6_K to Q8_0, then F16.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from denizen.project.errors import ArtefactError

if TYPE_CHECKING:
    from gguf import GGMLQuantizationType

_FALLBACK = {"Q4_K": "Q5_0", "Q6_K": "Q8_0"}


@cache
def _names(layers: int) -> Any:
    import gguf

    return gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, layers)


def gguf_name(name: str, layers: int) -> str:
    """The GGUF name of a transformers tensor; raises ArtefactError if it has none."""
    mapped: str | None = _names(layers).get_name(name, try_suffixes=(".weight", ".bias"))
    if mapped is None:
        raise ArtefactError(f"no GGUF name for tensor {name!r}")
    return mapped


def tensor_type(quant: str, name: str, shape: tuple[int, ...], layers: int) -> GGMLQuantizationType:
    """The type of tensor `name` (GGUF name) of `shape` (rows, columns) under `quant`."""
    from gguf import GGMLQuantizationType as Types

    if len(shape) == 1:
        return Types.F32
    if quant in ("f32", "f16"):
        return Types[quant.upper()]
    wanted = "Q8_0" if quant == "q8_0" else _q4_k_m(name, layers)
    if wanted in _FALLBACK and shape[-1] % 256:
        wanted = _FALLBACK[wanted]
    return Types[wanted] if shape[-1] % 32 == 0 else Types.F16


def _q4_k_m(name: str, layers: int) -> str:
    if name in ("token_embd.weight", "output.weight"):
        return "Q6_K"
    if name.endswith(("attn_v.weight", "ffn_down.weight")):
        layer = int(name.split(".")[1])
        if more_bits(layer, layers):
            return "Q6_K"
    return "Q4_K"


def more_bits(layer: int, layers: int) -> bool:
    """llama.cpp's use_more_bits: the first and last eighth, and every third layer between."""
    eighth = layers // 8
    return layer < eighth or layer >= 7 * eighth or (layer - eighth) % 3 == 2
