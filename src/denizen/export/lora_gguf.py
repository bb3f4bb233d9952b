"""A PEFT LoRA adapter as GGUF, which llama.cpp adds to the base's GGUF when it loads both.

Contract: only what llama.cpp computes is written: pairs A and B on linear layers, each with its
scale.  Everything else an adapter may hold (DoRA's magnitudes, whole modules, biases, embeddings,
a base changed at the start) is refused, as are adapters that change nothing, hold NaN or belong to
another base.  llama.cpp adds the pair to the base as it is quantised: only an F32 base gives
exactly what merging gives.  After QLoRA that base is not the quantised one which training saw.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from denizen.export.architectures import Architecture, open_architecture
from denizen.export.checkpoint import Weights
from denizen.export.gguf_writer import declare, encode
from denizen.export.merge import check_adapter, tensors
from denizen.project.atomic import atomic_path
from denizen.project.errors import ArtefactError

if TYPE_CHECKING:
    import torch

_PREFIX = "base_model.model."
_PARTS = {".lora_A.weight": "a", ".lora_B.weight": "b"}
# What may be set in adapter_config.json without changing what the adapter computes, or is read here
_HARMLESS = {
    *("task_type", "peft_type", "auto_mapping", "peft_version", "base_model_name_or_path"),
    *("revision", "inference_mode", "r", "target_modules", "exclude_modules", "lora_alpha"),
    *("lora_dropout", "use_rslora", "init_lora_weights", "layers_to_transform", "layers_pattern"),
    *("rank_pattern", "alpha_pattern", "megatron_core", "qalora_group_size", "runtime_config"),
    *("loftq_config", "eva_config", "ensure_weight_tying"),
}
# Starts that leave the base's weights alone; PiSSA, OLoRA, CorDA and LoftQ subtract from them
_STARTS = (True, False, "gaussian", "orthogonal", "eva")


class _Pair(NamedTuple):
    """One layer's update: scale x b @ a, with a of (rank, in) and b of (out, rank)."""

    name: str
    a: torch.Tensor
    b: torch.Tensor
    scale: float


def write_lora_gguf(
    adapter: Path,
    base_checkpoint: Path,
    target: Path,
    *,
    base_hash: str,
    name: str,
    precision: str = "f32",
) -> int:
    """Write `target` from a PEFT folder; returns how many tensors of the base it changes.

    `precision` is f32 or f16.  Raises ArtefactError for what llama.cpp cannot apply.
    """
    import gguf

    if precision not in ("f32", "f16"):
        raise ArtefactError(f"no precision {precision!r}", where="precision", fix="use f32 or f16")
    check_adapter(adapter, base_hash)
    settings = _settings(adapter)
    architecture = open_architecture(base_checkpoint)
    pairs = _pairs(adapter, base_checkpoint, architecture, settings)
    # llama.cpp scales every pair by alpha / rank; one alpha serves all, and b takes what is left.
    alpha = max(pair.scale * len(pair.a) for pair in pairs)
    if alpha <= 0:
        raise _refused(adapter, "its scale (lora_alpha) is not positive")
    kind = gguf.GGMLQuantizationType[precision.upper()]
    with atomic_path(target) as temporary:
        writer = gguf.GGUFWriter(str(temporary), architecture.name, use_temp_file=False)
        writer.add_type("adapter")
        writer.add_name(name)
        writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
        writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, alpha)
        writer.add_string("denizen.base_hash", base_hash)
        stored = []
        for pair in pairs:
            rest = pair.scale * len(pair.a) / alpha
            b = architecture.rows(pair.name, pair.b.float().numpy()) * rest
            for part, values in (("a", pair.a.float().numpy()), ("b", b)):
                declare(writer, f"{pair.name}.lora_{part}", values.shape, kind)
                stored.append(values)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for values in stored:
            writer.write_tensor_data(encode(values, kind))
        writer.close()
    return len(pairs)


def _settings(adapter: Path) -> dict[str, Any]:
    """adapter_config.json of a plain LoRA."""
    path = adapter / "adapter_config.json"
    try:
        found: dict[str, Any] = json.loads(path.read_text("utf-8"))
        kind = found.get("peft_type")
    except (OSError, ValueError, AttributeError) as error:
        raise ArtefactError(
            f"no adapter can be read here: {error}",
            where=str(path),
            fix="export the whole model with `denizen export`",
        ) from error
    if kind != "LORA":
        raise _refused(adapter, f"it is {kind}, not LORA")
    start = found.get("init_lora_weights", True)
    if start not in _STARTS:
        raise _refused(adapter, f"it began by changing the base (init_lora_weights: {start})")
    for key, value in found.items():
        if value and key not in _HARMLESS and (key, value) != ("bias", "none"):
            raise _refused(adapter, f"it uses {key}")
    return found


def _pairs(
    adapter: Path, base: Path, architecture: Architecture, settings: dict[str, Any]
) -> list[_Pair]:
    found: dict[str, dict[str, torch.Tensor]] = {}
    with Weights(base) as weights:
        shapes = {name: weights.shape(name) for name in weights.names()}
        for key, value in tensors(adapter):
            part = next((p for p in _PARTS if key.endswith(p)), None)
            module = key.removeprefix(_PREFIX)
            if module.startswith("lm_head.") and architecture.tied:
                raise _refused(adapter, "it adapts an output matrix that is the embeddings too")
            if part is not None:
                found.setdefault(module.removesuffix(part), {})[_PARTS[part]] = value
            elif not _is_copy(weights, module.replace(".base_layer.", "."), value):
                raise _refused(adapter, f"it holds {key}")
    if not found:
        raise _refused(adapter, "it holds no tensors")
    pairs = []
    for module, both in sorted(found.items()):
        shape = shapes.get(f"{module}.weight")
        if set(both) != {"a", "b"} or len(both["a"]) != both["b"].shape[1]:
            raise _refused(adapter, f"{module} lacks its other half")
        if shape != (both["b"].shape[0], both["a"].shape[1]):
            raise ArtefactError(
                f"the adapter's {module} is not of the base's shape {shape}",
                where=str(adapter),
                fix="name the base it was trained on",
            )
        scale = _scale(settings, module, len(both["a"]))
        pairs.append(_Pair(architecture.gguf_name(f"{module}.weight"), both["a"], both["b"], scale))
    return pairs


def _is_copy(weights: Weights, name: str, value: torch.Tensor) -> bool:
    """Whether it is the base's own weight, which PEFT saves along with an adapted output matrix."""
    if name not in weights.names():
        return False
    own = weights.tensor(name)
    return own.shape == value.shape and bool((own.float() == value.float()).all())


def _scale(settings: dict[str, Any], module: str, rank: int) -> float:
    """What PEFT multiplies the pair by (rank-stabilised: Kalajdzievski 2023)."""
    from peft.utils.other import get_pattern_key

    patterns = settings.get("alpha_pattern") or {}
    alpha = patterns.get(get_pattern_key(list(patterns), module), settings.get("lora_alpha", 8))
    return float(alpha) / (math.sqrt(rank) if settings.get("use_rslora") else rank)


def _refused(adapter: Path, why: str) -> ArtefactError:
    return ArtefactError(
        f"llama.cpp cannot apply this adapter: {why}",
        where=str(adapter),
        fix="merge it and export the whole model with `denizen export`",
    )
