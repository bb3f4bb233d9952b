"""Write a Llama-architecture transformers folder as GGUF, at any type of `recipe`.

Contract: tensors stream one at a time (peak memory is one tensor); Q and K rows are permuted for
llama.cpp's rotary layout; tokenizer metadata is copied from the base GGUF, so llama.cpp sees the
tokenizer it already knows, or built from tokenizer.json for a base from the hub.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from denizen.export._ggml import quantize
from denizen.export.recipe import gguf_name, tensor_type
from denizen.project.errors import ArtefactError

if TYPE_CHECKING:
    import numpy as np

_DIRECT = ("F32", "F16")
# llama.cpp file types (general.file_type)
_FILE_TYPES = {"f32": 0, "f16": 1, "q8_0": 7, "q4_k_m": 15}


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
    from safetensors import safe_open

    config = json.loads((checkpoint / "config.json").read_text("utf-8"))
    if config.get("model_type") != "llama":
        raise ArtefactError(
            f"cannot export a {config.get('model_type')!r} model",
            where=str(checkpoint),
            fix="GGUF export covers the Llama architecture",
        )
    layers = int(config["num_hidden_layers"])
    writer = gguf.GGUFWriter(str(target), "llama", use_temp_file=False)
    _write_hyperparameters(writer, config, name, quant, context)
    if base_gguf is not None:
        _copy_tokenizer(writer, base_gguf)
    else:
        _build_tokenizer(writer, checkpoint, config)
    counts: dict[str, int] = {}
    with safe_open(str(checkpoint / "model.safetensors"), framework="pt") as weights:
        keys = [k for k in weights.keys() if not _is_tied_head(k, config)]  # noqa: SIM118
        plan = []
        for key in keys:
            mapped = gguf_name(key, layers)
            shape = tuple(weights.get_slice(key).get_shape())
            kind = tensor_type(quant, mapped, shape, layers)
            plan.append((key, mapped, kind))
            _declare(writer, mapped, shape, kind)
            counts[kind.name] = counts.get(kind.name, 0) + 1
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for done, (key, _, kind) in enumerate(plan, 1):
            values = _values(weights.get_tensor(key), key, config)
            writer.write_tensor_data(encode(values, kind))
            on_tensor(done, len(plan))
    writer.close()
    return counts


def _declare(writer: Any, name: str, shape: tuple[int, ...], kind: Any) -> None:
    import numpy as np
    from gguf.quants import quant_shape_to_byte_shape

    if kind.name in _DIRECT:
        size = 4 if kind.name == "F32" else 2
        count = int(np.prod(shape)) * size
        dtype = np.dtype(np.float32 if size == 4 else np.float16)
        writer.add_tensor_info(name, shape, dtype, count)
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


def _values(tensor: Any, key: str, config: dict[str, Any]) -> np.ndarray:
    values: np.ndarray = tensor.float().numpy()
    if key.endswith(("q_proj.weight", "k_proj.weight")):
        heads = int(config["num_attention_heads"])
        if key.endswith("k_proj.weight"):
            heads = int(config.get("num_key_value_heads") or heads)
        return permute_rotary(values, heads)
    return values


def permute_rotary(values: np.ndarray, heads: int) -> np.ndarray:
    """Rows from transformers' half-split rotary layout to llama.cpp's interleaved one."""
    rows, columns = values.shape
    split = values.reshape(heads, 2, rows // heads // 2, columns)
    return split.swapaxes(1, 2).reshape(rows, columns)


def _is_tied_head(key: str, config: dict[str, Any]) -> bool:
    return key == "lm_head.weight" and bool(config.get("tie_word_embeddings"))


def _write_hyperparameters(
    writer: Any, config: dict[str, Any], name: str, quant: str, context: int | None
) -> None:
    heads = int(config["num_attention_heads"])
    head_dim = int(config.get("head_dim") or config["hidden_size"] // heads)
    rope = config.get("rope_theta") or (config.get("rope_parameters") or {}).get("rope_theta")
    writer.add_type("model")
    writer.add_name(name)
    writer.add_context_length(context or int(config["max_position_embeddings"]))
    writer.add_embedding_length(int(config["hidden_size"]))
    writer.add_block_count(int(config["num_hidden_layers"]))
    writer.add_feed_forward_length(int(config["intermediate_size"]))
    writer.add_head_count(heads)
    writer.add_head_count_kv(int(config.get("num_key_value_heads") or heads))
    writer.add_rope_freq_base(float(rope or 10_000.0))
    writer.add_rope_dimension_count(head_dim)
    writer.add_layer_norm_rms_eps(float(config["rms_norm_eps"]))
    writer.add_vocab_size(int(config["vocab_size"]))
    writer.add_file_type(_FILE_TYPES[quant])
    writer.add_quantization_version(2)


def _copy_tokenizer(writer: Any, base: Path) -> None:
    import gguf

    for key, field in gguf.GGUFReader(str(base)).fields.items():
        if not key.startswith("tokenizer."):
            continue
        kind = field.types[0]
        sub = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(key, field.contents(), kind, sub_type=sub)


def _build_tokenizer(writer: Any, checkpoint: Path, config: dict[str, Any]) -> None:
    """Tokenizer metadata of a byte-level BPE from tokenizer.json."""
    data = json.loads((checkpoint / "tokenizer.json").read_text("utf-8"))
    if data["model"]["type"] != "BPE":
        raise ArtefactError(
            f"cannot export a {data['model']['type']} tokenizer", where=str(checkpoint)
        )
    size = int(config["vocab_size"])
    tokens, types = [f"[PAD{i}]" for i in range(size)], [5] * size  # 5: unused
    for token, index in data["model"]["vocab"].items():
        tokens[index], types[index] = token, 1  # 1: normal
    for added in data.get("added_tokens", []):
        tokens[added["id"]] = added["content"]
        types[added["id"]] = 3 if added.get("special") else 4  # control, user-defined
    merges = [m if isinstance(m, str) else " ".join(m) for m in data["model"]["merges"]]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(merges)
    writer.add_add_bos_token(False)
    writer.add_add_space_prefix(False)
    settings = _special_ids(checkpoint, config, tokens)
    writer.add_bos_token_id(settings["bos"])
    writer.add_eos_token_id(settings["eos"])
    writer.add_pad_token_id(settings["pad"])
    template = _chat_template(checkpoint)
    if template:
        writer.add_chat_template(template)


def _special_ids(checkpoint: Path, config: dict[str, Any], tokens: list[str]) -> dict[str, int]:
    path = checkpoint / "tokenizer_config.json"
    settings = json.loads(path.read_text("utf-8")) if path.exists() else {}
    ids = {}
    for name in ("bos", "eos", "pad"):
        token = settings.get(f"{name}_token")
        content = str(token["content"] if isinstance(token, dict) else token)
        known = content in tokens
        ids[name] = tokens.index(content) if known else int(config.get(f"{name}_token_id") or 0)
    return ids


def _chat_template(checkpoint: Path) -> str | None:
    path = checkpoint / "chat_template.jinja"
    if path.exists():
        return path.read_text("utf-8")
    settings = checkpoint / "tokenizer_config.json"
    if settings.exists():
        found = json.loads(settings.read_text("utf-8")).get("chat_template")
        return str(found) if found else None
    return None
