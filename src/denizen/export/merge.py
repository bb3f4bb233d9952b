"""What training made and its base become one plain transformers folder, float32.

Contract: LoRA, DoRA, MoRA and their like are merged; a model whose own weights were trained is
taken as it is; virtual tokens have no form as weights and are refused.  What changes nothing,
holds NaN, or was trained on another base is refused before anything is written.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from denizen.project.errors import ArtefactError

if TYPE_CHECKING:
    import torch

BASE_HASH_KEY = "denizen_base_hash"
# Matrices that are zero where an adapter adds nothing.
_ADDED = ("lora_B", "mora_matrix")
# A relative change of a weight that is more than the rounding of a merge.
_ROUNDING = 1e-6


def merge_adapter(base: Path, adapter: Path, target: Path, *, base_hash: str) -> None:
    """Write base + adapter (float32) to `target`; raises ArtefactError."""
    from denizen.models import load_tokenizer
    from denizen.models.adapters import load_trained, origin

    check_adapter(adapter, base_hash)
    whole = origin(adapter).get("whole", False)
    merged = load_trained(base, adapter)
    if not whole:
        merged = merged.merge_and_unload(safe_merge=True)
    changed = _changed(merged, base, adapter)
    embeddings = merged.get_input_embeddings().weight
    if not whole and any(merged.get_parameter(name) is embeddings for name in changed):
        raise ArtefactError("merging changed the embeddings", where=str(adapter))
    if not changed:
        raise _nothing(adapter)
    tokenizer = load_tokenizer(base)
    _end_at(merged, tokenizer.eos_token_id)
    merged.save_pretrained(target)
    tokenizer.save_pretrained(target)


def check_adapter(adapter: Path, base_hash: str) -> None:
    """Raises ArtefactError if it is empty, broken, of another base, or no form of weights."""
    import torch

    from denizen.models.adapters import origin

    made = origin(adapter)
    found = made.get(BASE_HASH_KEY, base_hash)
    if found != base_hash:
        raise ArtefactError(
            f"the adapter was trained on base {str(found)[:12]}, not {base_hash[:12]}",
            where=str(adapter),
            fix="merge it into the base it was trained on",
        )
    if not made.get("mergeable", True):
        raise ArtefactError(
            "virtual tokens (prefix and prompt tuning) have no form as weights",
            where=str(adapter),
            fix="use the adapter in Python with PEFT, or train with adapter.method: lora",
        )
    added = []
    for name, value in tensors(adapter):
        if not torch.isfinite(value).all():
            raise ArtefactError(
                f"the adapter holds NaN or infinity in {name}",
                where=str(adapter),
                fix="train again with a lower learning rate",
            )
        if "lora_magnitude_vector" in name:
            added.append(True)  # DoRA may change magnitudes alone: the merge will show it.
        elif any(part in name for part in _ADDED):
            added.append(bool(value.any()))
    if added and not any(added):
        raise _nothing(adapter)


def tensors(folder: Path) -> Iterator[tuple[str, torch.Tensor]]:
    """Name and value of every tensor in a folder's safetensors files, one in memory at a time."""
    from safetensors import SafetensorError, safe_open

    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise ArtefactError(
            "no weights here", where=str(folder), fix="train again; the run resumes"
        )
    for path in files:
        try:
            with safe_open(str(path), framework="pt") as stored:
                for name in stored.keys():  # noqa: SIM118 (it is no mapping)
                    yield name, stored.get_tensor(name)
        except SafetensorError as error:
            raise ArtefactError(
                f"the weights cannot be read: {error}",
                where=str(path),
                fix="train again; the run resumes from its last checkpoint",
            ) from error


def _end_at(merged: Any, end: int | None) -> None:
    """Let generation end where the tokenizer's turns do.

    A base that learnt its turns here (Gemma's has none) knows the end of a document alone.
    """
    settings = merged.generation_config
    if settings is None or end is None:
        return
    known = settings.eos_token_id
    ends = known if isinstance(known, list) else [known]
    if end not in ends:
        settings.eos_token_id = [end, *(one for one in ends if one is not None)]


def _changed(merged: Any, base: Path, adapter: Path) -> list[str]:
    """Names of weights that differ from the base's by more than rounding."""
    weights, changed = merged.state_dict(), []
    for name, before in tensors(base):
        after = weights.get(name)
        if after is None or after.shape != before.shape:
            raise ArtefactError(
                f"the base has {name} of shape {tuple(before.shape)}, the trained model has not",
                where=str(adapter),
                fix="merge it into the base it was trained on",
            )
        before = before.float()
        if (after.float() - before).norm() > _ROUNDING * before.norm():
            changed.append(name)
    return changed


def _nothing(adapter: Path) -> ArtefactError:
    return ArtefactError(
        "the adapter changes nothing (what it adds to the weights is zero)",
        where=str(adapter),
        fix="train it first",
    )
