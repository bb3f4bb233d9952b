"""A GGUF whose weights are rewritten in place while llama.cpp has the file mapped.

Contract: every weight is stored as the model multiplies by it now, adapters merged by PEFT's own
`merge`; `refresh` writes the ones that are trained again, and the next decode sees them without a
reload (the file is mapped shared, the CPU repacks nothing).  No vocabulary is stored: token ids go
in and logits come out.  Llama and Qwen2 architectures; f32, f16 or q8_0.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from denizen.project.errors import ArtefactError, TrainingError

if TYPE_CHECKING:
    import torch

Storage = Literal["f32", "f16", "q8_0"]
ARCHITECTURES = ("llama", "qwen2")
# A block of q8_0: a half-precision scale and 32 signed bytes.
_BLOCK, _BLOCK_BYTES = 32, 34


def unfit(model: Any) -> str:
    """Why a transformers model or PeftModel cannot be stored; empty if it can."""
    peft = getattr(model, "active_peft_config", None)
    if peft is not None and peft.is_prompt_learning:
        return "llama.cpp rollouts do not cover virtual tokens (prefix and prompt tuning)"
    model, config = _inner(model), model.config
    if config.model_type not in ARCHITECTURES:
        return f"llama.cpp rollouts do not cover the {config.model_type} architecture"
    rope = getattr(config, "rope_parameters", None) or {}
    if rope.get("rope_type", "default") != "default":
        return f"llama.cpp rollouts do not cover {rope['rope_type']} rotary scaling"
    if not all(values.is_floating_point() for values in model.parameters()):
        return "llama.cpp rollouts need a base in floating point"
    if config.hidden_size % _BLOCK or config.intermediate_size % _BLOCK:
        return f"llama.cpp rollouts need sizes that are multiples of {_BLOCK}"
    return ""


class LiveGGUF:
    """The file at `path`, made from `model` (raises TrainingError) and kept up to date."""

    def __init__(self, model: Any, path: Path, storage: Storage = "f16") -> None:
        import gguf

        if reason := unfit(model):
            raise TrainingError(reason, where="rl.rollouts", fix="set rl.rollouts: transformers")
        self._config, self._storage = model.config, storage
        arch = gguf.MODEL_ARCH[self._config.model_type.upper()]
        self._names = gguf.get_tensor_name_map(arch, self._config.num_hidden_layers)
        try:
            self._write(model, path)
        except OSError as error:
            raise TrainingError(
                f"cannot write the sampler's weights: {error.strerror}",
                where=str(path),
                fix="free some disk space, or set rl.rollouts: transformers",
            ) from error
        # The file is whole, so that writing to its pages later needs no more room on the disk.
        self._tensors = {t.name: t.data for t in gguf.GGUFReader(str(path), "r+").tensors}

    def refresh(self, model: Any) -> None:
        """Store the weights that are trained, as they are now."""
        import torch

        with torch.no_grad():
            for name, values in _weights(_inner(model), trained=True):
                self._store(self._tensors[self._name(name)], self._laid_out(name, values))

    def _write(self, model: Any, path: Path) -> None:
        import gguf
        import torch
        from gguf import GGMLQuantizationType as Types

        writer = gguf.GGUFWriter(str(path), self._config.model_type, use_temp_file=False)
        _write_hyperparameters(writer, self._config)
        with torch.no_grad():
            for name, values in _weights(_inner(model)):
                matrix = values.ndim > 1
                kind = Types[self._storage.upper()] if matrix else Types.F32
                found = self._laid_out(name, values)
                raw = _q8_0(found) if kind == Types.Q8_0 else found.to(_dtype(kind.name))
                writer.add_tensor(
                    self._name(name),
                    raw.contiguous().cpu().numpy(),
                    raw_dtype=kind if kind == Types.Q8_0 else None,
                )
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()

    def _name(self, name: str) -> str:
        mapped: str | None = self._names.get_name(name, try_suffixes=(".weight", ".bias"))
        if mapped is None:
            raise ArtefactError(f"no GGUF name for tensor {name!r}")
        return mapped

    def _laid_out(self, name: str, values: torch.Tensor) -> torch.Tensor:
        """Rows in llama.cpp's order: interleaved rotary pairs in Q and K of Llama."""
        config = self._config
        if config.model_type != "llama" or not any(
            part in name for part in (".q_proj.", ".k_proj.")
        ):
            return values
        heads = config.num_attention_heads if ".q_proj." in name else config.num_key_value_heads
        halves = values.reshape(heads, 2, values.shape[0] // heads // 2, -1)
        return halves.transpose(1, 2).reshape(values.shape)

    def _store(self, place: Any, values: torch.Tensor) -> None:
        import torch

        target = torch.from_numpy(place)
        target.copy_(_q8_0(values) if target.dtype == torch.uint8 else values)


def _inner(model: Any) -> Any:
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _tuned(model: Any) -> Iterator[tuple[str, Any]]:
    from peft.tuners.tuners_utils import BaseTunerLayer

    return ((n, m) for n, m in model.named_modules() if isinstance(m, BaseTunerLayer))


def _weights(model: Any, *, trained: bool = False) -> Iterator[tuple[str, torch.Tensor]]:
    """Name in the transformers checkpoint and float32 values; `trained`: only what training moves.

    An adapted layer is merged, read and restored bit by bit.
    """
    layers = dict(_tuned(model))
    inside = tuple(f"{name}." for name in layers)
    for name, values in model.named_parameters():
        if not name.startswith(inside) and (values.requires_grad or not trained):
            yield name, values.detach().float()
    for name, layer in layers.items():
        base = layer.get_base_layer()
        kept = base.weight.detach().clone()
        layer.merge()
        merged = base.weight.detach().clone()
        layer.unmerge()
        base.weight.data.copy_(kept)
        yield f"{name}.weight", merged.float()
        if base.bias is not None and not trained:
            yield f"{name}.bias", base.bias.detach().float()


def _dtype(kind: str) -> torch.dtype:
    import torch

    return {"F32": torch.float32, "F16": torch.float16}[kind]


def _q8_0(values: torch.Tensor) -> torch.Tensor:
    """Rows of q8_0 blocks, uint8 (rows, columns / 32 * 34)."""
    import torch

    blocks = values.reshape(-1, _BLOCK)
    scale = blocks.abs().amax(1, keepdim=True) / 127
    whole = (blocks * torch.where(scale > 0, 1 / scale, 0)).round_().to(torch.int8)
    raw = torch.cat([scale.half().view(torch.uint8), whole.view(torch.uint8)], 1)
    return raw.reshape(values.shape[0], -1)


def _write_hyperparameters(writer: Any, config: Any) -> None:
    rope = getattr(config, "rope_parameters", None) or {}
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_rope_dimension_count(head)
    writer.add_rope_freq_base(float(rope.get("rope_theta", 1e4)))
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("none")
