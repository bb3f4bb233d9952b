"""The architectures that can be exported: `model_type` finds the class, or is refused.

Contract: `open_architecture(checkpoint)` reads config.json with transformers' defaults filled in,
checks it, and gives an Architecture: GGUF names, hyperparameters and the form of each weight.
"""

from __future__ import annotations

import json
from pathlib import Path

from denizen.export.architectures.base import Architecture
from denizen.export.architectures.gemma3 import Gemma3
from denizen.export.architectures.llama import Llama, Mistral
from denizen.export.architectures.phi2 import Phi2
from denizen.export.architectures.phi3 import Phi3
from denizen.export.architectures.qwen import Qwen2, Qwen3
from denizen.project.errors import ArtefactError

__all__ = ["ARCHITECTURES", "Architecture", "open_architecture"]

# transformers' model_type to what writes it
ARCHITECTURES: dict[str, type[Architecture]] = {
    "llama": Llama,
    "mistral": Mistral,
    "qwen2": Qwen2,
    "qwen3": Qwen3,
    "gemma3_text": Gemma3,
    "phi3": Phi3,
    "phi": Phi2,
}


def open_architecture(checkpoint: Path) -> Architecture:
    """The architecture of a transformers folder; raises ArtefactError if it cannot be written."""
    path = checkpoint / "config.json"
    try:
        kind = json.loads(path.read_text("utf-8")).get("model_type")
    except (OSError, ValueError, AttributeError) as error:
        raise ArtefactError(
            f"the model's config cannot be read: {error}",
            where=str(path),
            fix="name a transformers folder",
        ) from error
    if kind not in ARCHITECTURES:
        raise ArtefactError(
            f"cannot export a {kind!r} model",
            where=str(checkpoint),
            fix=f"GGUF export covers the model types {', '.join(ARCHITECTURES)}",
        )
    from transformers import AutoConfig

    try:
        # What config.json leaves out has a default, which transformers knows; no code is run.
        config = AutoConfig.from_pretrained(
            str(checkpoint), local_files_only=True, trust_remote_code=False
        ).to_dict()
    except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:
        raise ArtefactError(
            f"transformers cannot read the model's config: {error}",
            where=str(path),
            fix="save the model again, or choose another base model",
        ) from error
    return ARCHITECTURES[kind](config, str(path))
