"""Record what llama.cpp's own quantiser does, for test_recipe.py to compare with.

Run by hand: python tests/export/record_recipes.py FOLDER, where FOLDER holds a build of llama.cpp
as shared libraries (node package @node-llama-cpp/linux-x64 3.22.1, MIT, has one).  For the shapes
of public models (rows cut to two: types depend on columns) it calls llama_model_quantize and writes
the types of all tensors to llama_cpp_recipes.json.
"""

from __future__ import annotations

import ctypes
import json
import sys
import tempfile
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

_POINTER = ctypes.c_void_p
PLACE = Path(__file__).with_name("llama_cpp_recipes.json")
QUANTS = {"q8_0": 7, "q4_k_m": 15, "q5_k_m": 17, "q6_k": 18}
# name: (transformers' config class, layers, hidden, feed-forward, heads, KV heads, tied, further)
MODELS: dict[str, tuple[str, int, int, int, int, int, bool, dict[str, Any]]] = {
    "SmolLM2-135M": ("Llama", 30, 576, 1536, 9, 3, True, {}),
    "SmolLM2-360M": ("Llama", 32, 960, 2560, 15, 5, True, {}),
    "Llama-3.2-1B": ("Llama", 16, 2048, 8192, 32, 8, True, {"head_dim": 64}),
    "TinyLlama-1.1B": ("Llama", 22, 2048, 5632, 32, 4, False, {}),
    "Llama-3.1-70B": ("Llama", 80, 8192, 28672, 64, 8, False, {}),
    "Llama-65B": ("Llama", 80, 8192, 22016, 64, 64, False, {}),
    "Mistral-7B": ("Mistral", 32, 4096, 14336, 32, 8, False, {}),
    "Qwen2.5-0.5B": ("Qwen2", 24, 896, 4864, 14, 2, True, {}),
    "Qwen2.5-1.5B": ("Qwen2", 28, 1536, 8960, 12, 2, True, {}),
    "Qwen2.5-72B": ("Qwen2", 80, 8192, 29568, 64, 8, False, {}),
    "Qwen3-0.6B": ("Qwen3", 28, 1024, 3072, 16, 8, True, {"head_dim": 128}),
    "Gemma-3-270M": ("Gemma3Text", 18, 640, 2048, 4, 1, True, {"head_dim": 256}),
    "Gemma-3-1B": ("Gemma3Text", 26, 1152, 6912, 4, 1, True, {"head_dim": 256}),
    "Phi-3-mini": ("Phi3", 32, 3072, 8192, 32, 32, False, {"pad_token_id": 0}),
    "Phi-4-mini": ("Phi3", 32, 3072, 8192, 24, 8, True, {"pad_token_id": 0}),
    "Phi-2": ("Phi", 32, 2560, 10240, 32, 32, False, {}),
    "rows of 48": ("Llama", 3, 48, 96, 3, 1, False, {}),
}


class Params(ctypes.Structure):
    """llama_model_quantize_params."""

    _fields_ = [
        ("nthread", ctypes.c_int32),
        ("ftype", ctypes.c_int32),
        ("output_tensor_type", ctypes.c_int32),
        ("token_embedding_type", ctypes.c_int32),
        *((n, ctypes.c_bool) for n in (
            "allow_requantize", "quantize_output_tensor", "only_copy", "pure", "keep_split",
            "dry_run")),
        *((n, ctypes.c_void_p) for n in (
            "imatrix", "kv_overrides", "tt_overrides", "prune_layers")),
    ]  # fmt: skip


def config_of(model: str) -> Any:
    """The transformers config of a model of MODELS, with a vocabulary of 64."""
    import transformers

    kind, layers, hidden, inner, heads, kv_heads, tied, further = MODELS[model]
    return getattr(transformers, f"{kind}Config")(
        vocab_size=64,
        hidden_size=hidden,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        tie_word_embeddings=tied,
        **further,
    )


def architecture_of(model: str) -> Any:
    """Its Architecture."""
    from denizen.export.architectures import ARCHITECTURES

    config = config_of(model).to_dict()
    return ARCHITECTURES[config["model_type"]](config, model)


def shapes(model: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    """GGUF names and shapes of all its tensors, without values."""
    import torch
    import transformers

    kind, architecture = MODELS[model][0], architecture_of(model)
    with torch.device("meta"):
        name = f"{kind.removesuffix('Text')}ForCausalLM"
        found = getattr(transformers, name)(config_of(model)).state_dict()
    for key, value in found.items():
        if not (architecture.tied and key == "lm_head.weight"):
            yield architecture.gguf_name(key), tuple(value.shape)


def write_plain(model: str, target: Path) -> None:
    """A float GGUF of the model's tensors, each of two rows."""
    import gguf
    import numpy as np

    architecture = architecture_of(model)
    writer = gguf.GGUFWriter(str(target), architecture.name)
    architecture.write(writer, None)
    for name, shape in shapes(model):
        cut = shape if len(shape) == 1 else (2, shape[1])
        values = np.random.default_rng(0).normal(size=cut).astype(np.float32)
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def load(folder: Path) -> Any:
    """llama.cpp with its parts."""
    ctypes.CDLL(str(folder / "libggml-base.so"), mode=ctypes.RTLD_GLOBAL)
    ggml = ctypes.CDLL(str(next(folder.glob("libggml.*so"))), mode=ctypes.RTLD_GLOBAL)
    ggml.ggml_backend_load.argtypes, ggml.ggml_backend_load.restype = [ctypes.c_char_p], _POINTER
    if not ggml.ggml_backend_load(str(folder / "libggml-cpu-x64.so").encode()):
        raise SystemExit("llama.cpp's CPU backend does not load here")
    library = ctypes.CDLL(str(next(folder.glob("libllama.*so"))))
    library.llama_model_quantize_default_params.restype = Params
    library.llama_model_quantize.argtypes = [ctypes.c_char_p, ctypes.c_char_p, _POINTER]
    library.llama_model_quantize.restype = ctypes.c_uint32
    library.llama_backend_init()
    return library


def record(library: Any, model: str, quant: str, folder: Path) -> dict[str, str]:
    """Types by tensor name."""
    import gguf

    plain, made = folder / "plain.gguf", folder / "made.gguf"
    write_plain(model, plain)
    params = library.llama_model_quantize_default_params()
    params.ftype, params.nthread = QUANTS[quant], 1
    if library.llama_model_quantize(str(plain).encode(), str(made).encode(), ctypes.byref(params)):
        raise SystemExit(f"llama.cpp does not quantise {model} to {quant}")
    return {t.name: t.tensor_type.name for t in gguf.GGUFReader(str(made)).tensors}


def packed(types: dict[str, str]) -> dict[str, str]:
    """Of each kind of tensor the runs of types through the layers ("Q6_K*3 Q4_K*2"); no vectors."""
    layered: dict[str, dict[int, str]] = {}
    for name, kind in types.items():
        parts = name.split(".", 2)
        if kind == "F32":
            continue
        if parts[0] == "blk":
            layered.setdefault(parts[2], {})[int(parts[1])] = kind
        else:
            layered.setdefault(name, {})[0] = kind
    found = {}
    for name, by_layer in sorted(layered.items()):
        runs = groupby(by_layer[layer] for layer in sorted(by_layer))
        found[name] = " ".join(f"{kind}*{len(list(run))}" for kind, run in runs)
    return found


def main() -> None:
    library = load(Path(sys.argv[1]))
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        for model in MODELS:
            for quant in QUANTS:
                types = packed(record(library, model, quant, Path(folder)))
                lines.append(f'"{model}, {quant}": {json.dumps(types)}')
    PLACE.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")


if __name__ == "__main__":
    main()
