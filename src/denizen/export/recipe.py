"""Which tensor gets which type in a quantised GGUF: the recipe of llama.cpp's quantiser.

The K_M mixes keep attn_v (or the fused attn_qkv) and ffn_down of the first and last eighth of the
layers, and every third between, at Q6_K.  The output matrix is Q6_K, and so are the embeddings
where they are the output matrix too.  K-quants need rows of a multiple of 256; other rows fall back
to types with blocks of 32, and then to F16.  Tests compare this with llama_model_quantize's own
files (recorded in tests/export/llama_cpp_recipes.json).
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from denizen.project.errors import ArtefactError

if TYPE_CHECKING:
    from gguf import GGMLQuantizationType

# Each quantisation's number in llama.cpp (general.file_type) and the type of most of its tensors
FILE_TYPES = {"f32": 0, "f16": 1, "q8_0": 7, "q4_k_m": 15, "q5_k_m": 17, "q6_k": 18}
_DEFAULT = {"q8_0": "Q8_0", "q6_k": "Q6_K", "q5_k_m": "Q5_K", "q4_k_m": "Q4_K"}
_FALLBACK = {"Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0"}
# 80 layers is how llama.cpp knows its "70B" models, whose attn_v is small for its worth.
_LAYERS_OF_70B = 80


@cache
def _names(layers: int, architecture: str) -> Any:
    import gguf

    known = {name: number for number, name in gguf.MODEL_ARCH_NAMES.items()}
    return gguf.get_tensor_name_map(known[architecture], layers)


def gguf_name(name: str, layers: int, architecture: str = "llama") -> str:
    """The GGUF name of a transformers tensor; raises ArtefactError if it has none."""
    mapped: str | None = _names(layers, architecture).get_name(
        name, try_suffixes=(".weight", ".bias")
    )
    if mapped is None:
        raise ArtefactError(
            f"no GGUF name for tensor {name!r} in a {architecture} model",
            fix="export a model whose weights are all of its architecture",
        )
    return mapped


def check_quant(quant: str) -> None:
    """Raise ArtefactError for a quantisation that is not written."""
    if quant not in FILE_TYPES:
        raise ArtefactError(
            f"no quantisation {quant!r}", where="quant", fix=f"use one of {', '.join(FILE_TYPES)}"
        )


def tensor_type(
    quant: str,
    name: str,
    shape: tuple[int, ...],
    layers: int,
    *,
    architecture: str = "llama",
    tied: bool = True,
) -> GGMLQuantizationType:
    """The type of tensor `name` (GGUF name) of `shape` (rows, columns) under `quant`.

    `tied`: the embeddings are the output matrix as well.
    """
    from gguf import GGMLQuantizationType as Types

    check_quant(quant)
    if len(shape) == 1:
        return Types.F32
    if quant not in _DEFAULT:
        return Types[quant.upper()]
    wanted = _wanted(quant, name, shape, layers, architecture, tied)
    if shape[-1] % 256:
        wanted = _FALLBACK.get(wanted, wanted)
    return Types[wanted] if shape[-1] % 32 == 0 else Types.F16


def _wanted(
    quant: str, name: str, shape: tuple[int, ...], layers: int, architecture: str, tied: bool
) -> str:
    if name == "output.weight" or (tied and name == "token_embd.weight"):
        return "Q8_0" if quant == "q8_0" else "Q6_K"
    mixed = quant in ("q4_k_m", "q5_k_m")
    values = name.endswith(("attn_v.weight", "attn_qkv.weight"))
    if mixed and (values or name.endswith("ffn_down.weight")):
        layer = int(name.split(".")[1])
        if more_bits(layer, layers):
            return "Q6_K"
    if quant == "q4_k_m" and values and _is_70b(shape, layers, architecture):
        return "Q5_K"
    return _DEFAULT[quant]


def more_bits(layer: int, layers: int) -> bool:
    """llama.cpp's use_more_bits: the first and last eighth, and every third layer between."""
    eighth = layers // 8
    return layer < eighth or layer >= 7 * layers // 8 or (layer - eighth) % 3 == 2


def _is_70b(shape: tuple[int, ...], layers: int, architecture: str) -> bool:
    # Llama's first 65B model has as many layers, but a whole attn_v.
    grouped = architecture == "qwen2" or (architecture == "llama" and shape[0] < shape[1])
    return layers == _LAYERS_OF_70B and grouped
