"""Merge a LoRA adapter into its base and save a plain transformers folder.

Contract: an adapter that changes nothing, holds NaN, or was trained on another base is refused
before anything is written.
"""

from __future__ import annotations

import json
from pathlib import Path

from denizen.project.errors import ArtefactError

BASE_HASH_KEY = "denizen_base_hash"


def merge_adapter(base: Path, adapter: Path, target: Path, *, base_hash: str) -> None:
    """Write base + adapter (float32) to `target`."""
    import torch
    from peft import PeftModel

    from denizen.models import load_model, load_tokenizer

    check_adapter(adapter, base_hash)
    model = load_model(base)
    before = model.get_input_embeddings().weight.clone()
    merged = PeftModel.from_pretrained(model, str(adapter)).merge_and_unload(safe_merge=True)
    if not torch.equal(merged.get_input_embeddings().weight, before):
        raise ArtefactError("merging changed the embeddings", where=str(adapter))
    merged.save_pretrained(target)
    load_tokenizer(base).save_pretrained(target)


def check_adapter(adapter: Path, base_hash: str) -> None:
    """Raises ArtefactError if the adapter is empty, broken or of another base."""
    import torch
    from safetensors.torch import load_file

    origin = adapter / "denizen.json"
    if origin.exists():
        found = json.loads(origin.read_text("utf-8")).get(BASE_HASH_KEY)
        if found != base_hash:
            raise ArtefactError(
                f"the adapter was trained on base {str(found)[:12]}, not {base_hash[:12]}",
                where=str(adapter),
                fix="merge it into the base it was trained on",
            )
    weights = load_file(str(adapter / "adapter_model.safetensors"))
    for name, value in weights.items():
        if not torch.isfinite(value).all():
            raise ArtefactError(
                f"the adapter holds NaN or infinity in {name}",
                where=str(adapter),
                fix="train again with a lower learning rate",
            )
    if not any(bool(v.abs().max() > 0) for k, v in weights.items() if "lora_B" in k):
        raise ArtefactError(
            "the adapter changes nothing (all B matrices are zero)",
            where=str(adapter),
            fix="train it first",
        )
