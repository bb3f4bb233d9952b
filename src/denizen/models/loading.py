"""Load a base model for training: transformers weights and tokenizer, float32 by default.

A GGUF is dequantised once into a safetensors folder beside it (transformers will not save a model
that came from a GGUF), so later loads take a second.  The folder's name carries the GGUF's hash.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from denizen.models.fetch import ModelFiles
from denizen.models.registry import ModelEntry
from denizen.project.atomic import atomic_path
from denizen.project.machine import native_bfloat16

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Precision = Literal["float32", "bfloat16"]


def choose_precision(wish: str, *, gpu_bfloat16: bool = False) -> Precision:
    """`auto` is bfloat16 only where the hardware has it; emulated bf16 is about 6x slower."""
    if wish in ("float32", "bfloat16"):
        return wish  # type: ignore[return-value]
    return "bfloat16" if gpu_bfloat16 or native_bfloat16() else "float32"


def checkpoint(files: ModelFiles) -> Path:
    """A transformers folder of the model (made from the GGUF the first time)."""
    if files.gguf is None:
        return files.folder
    folder = files.folder / f"checkpoint-{files.hash[:12]}"
    if not (folder / "config.json").exists():
        with atomic_path(folder) as temporary:
            _convert(files.gguf, temporary, files.entry)
    return folder


def _convert(gguf: Path, target: Path, entry: ModelEntry) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    place = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    loaded = AutoModelForCausalLM.from_pretrained(**place, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(**place)
    config = type(loaded.config).from_dict(
        {k: v for k, v in loaded.config.to_dict().items() if k != "quantization_config"}
    )
    fresh = AutoModelForCausalLM.from_config(config)
    fresh.load_state_dict(loaded.state_dict())
    fresh.tie_weights()
    fresh.save_pretrained(target)
    if entry.chat_template and not tokenizer.chat_template:
        tokenizer.chat_template, tokenizer.eos_token = entry.chat_template, entry.end_of_turn
    tokenizer.save_pretrained(target)


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a transformers folder."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(str(folder))


def load_model(folder: Path, precision: Precision = "float32") -> PreTrainedModel:
    """The model of a transformers folder, in eval mode, on the CPU."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(str(folder), dtype=getattr(torch, precision))
    return model.eval()
