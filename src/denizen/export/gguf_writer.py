"""Write a transformers folder as GGUF, at any type of `recipe`, for the known architectures.

Contract: tensors stream one at a time (peak memory is one tensor); names, hyperparameters and the
layout of weights are the architecture's; tokenizer metadata is copied from the base GGUF, so
llama.cpp sees the tokenizer it already knows, or built from tokenizer.json.  What llama.cpp would
compute otherwise is refused before anything is written; the file appears whole or not at all.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from denizen.export._ggml import quantize
from denizen.export.architectures import Architecture, open_architecture
from denizen.export.checkpoint import Weights
from denizen.export.recipe import FILE_TYPES, check_quant, tensor_type
from denizen.export.vocabulary import build_vocabulary, copy_vocabulary
from denizen.project.atomic import atomic_path
from denizen.project.errors import ArtefactError

if TYPE_CHECKING:
    import numpy as np

_DIRECT = {"F32": 4, "F16": 2}  # bytes a number
# Written by old checkpoints; computed, not learnt.
_COMPUTED = (".rotary_emb.inv_freq", ".self_attn.bias", ".self_attn.masked_bias")
_PHI3 = ("phi-3", "phi3")


class _Planned(NamedTuple):
    """A tensor to be written: `key` is its name in the checkpoint, None for a computed one."""

    key: str | None
    name: str
    shape: tuple[int, ...]
    kind: Any


def write_gguf(
    checkpoint: Path,
    target: Path,
    *,
    quant: str,
    name: str,
    base_gguf: Path | None = None,
    context: int | None = None,
    on_tensor: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, int]:
    """Write `target`; returns how many tensors got each type.  `on_tensor(done, total)`."""
    import gguf

    check_quant(quant)
    architecture = open_architecture(checkpoint)
    factors = architecture.factors()
    with Weights(checkpoint) as weights, atomic_path(target) as temporary:
        plan = _plan(architecture, weights, quant, factors)
        writer = gguf.GGUFWriter(str(temporary), architecture.name, use_temp_file=False)
        named = _write_vocabulary(writer, checkpoint, architecture, name, base_gguf)
        writer.add_type("model")
        writer.add_name(named)
        architecture.write(writer, context)
        writer.add_file_type(FILE_TYPES[quant])
        writer.add_quantization_version(2)
        counts: dict[str, int] = {}
        for planned in plan:
            declare(writer, planned.name, planned.shape, planned.kind)
            counts[planned.kind.name] = counts.get(planned.kind.name, 0) + 1
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for done, planned in enumerate(plan, 1):
            if planned.key is None:
                values = factors[planned.name]
            else:
                stored = weights.tensor(planned.key).float().numpy()
                values = architecture.values(planned.name, stored)
            writer.write_tensor_data(encode(values, planned.kind))
            on_tensor(done, len(plan))
        writer.close()
    return counts


def _plan(
    architecture: Architecture, weights: Weights, quant: str, factors: dict[str, np.ndarray]
) -> list[_Planned]:
    keys = [key for key in weights.names() if not key.endswith(_COMPUTED)]
    if architecture.tied:
        keys = [key for key in keys if key != "lm_head.weight"]
    names = {key: architecture.gguf_name(key) for key in keys}
    tied = "output.weight" not in names.values()
    plan = []
    for key, name in names.items():
        shape = weights.shape(key)
        if name == "token_embd.weight" and shape[0] != architecture.vocabulary:
            raise architecture.refused(
                f"{shape[0]} embeddings, but vocab_size {architecture.vocabulary}",
                "save model and config together",
            )
        kind = tensor_type(
            quant, name, shape, architecture.layers, architecture=architecture.name, tied=tied
        )
        plan.append(_Planned(key, name, shape, kind))
    for name, values in factors.items():
        kind = tensor_type(quant, name, values.shape, architecture.layers)
        plan.append(_Planned(None, name, values.shape, kind))
    return plan


def _write_vocabulary(
    writer: Any, checkpoint: Path, architecture: Architecture, name: str, base_gguf: Path | None
) -> str:
    """Write the tokenizer; returns the model's name, by which llama.cpp knows a Phi-3 tokenizer."""
    if base_gguf is not None:
        copy_vocabulary(writer, base_gguf, architecture.vocabulary)
        return name
    strips = build_vocabulary(writer, checkpoint, dict(architecture.config))
    called = any(part in name.lower() for part in _PHI3)
    if called and not strips:
        raise ArtefactError(
            "llama.cpp reads the tokenizer of a model named phi-3 as Phi-3's, which this is not",
            where=f"name: {name}",
            fix="name it otherwise",
        )
    return name if called or not strips else f"{name} (phi-3)"


def declare(writer: Any, name: str, shape: tuple[int, ...], kind: Any) -> None:
    """Announce a tensor of `shape` (rows, columns) stored as `kind`."""
    import numpy as np
    from gguf.quants import quant_shape_to_byte_shape

    if kind.name in _DIRECT:
        dtype = np.dtype(np.float32 if kind.name == "F32" else np.float16)
        writer.add_tensor_info(name, shape, dtype, int(np.prod(shape)) * _DIRECT[kind.name])
        return
    stored = quant_shape_to_byte_shape(shape, kind)
    writer.add_tensor_info(name, stored, np.dtype(np.uint8), int(np.prod(stored)), raw_dtype=kind)


def encode(values: np.ndarray, kind: Any) -> np.ndarray:
    """Values of shape (rows, columns) as a tensor of `kind` is stored."""
    import numpy as np

    if kind.name == "F32":
        return np.ascontiguousarray(values, dtype=np.float32)
    if kind.name == "F16":
        return np.ascontiguousarray(values, dtype=np.float16)
    return quantize(values, kind)
