"""Load what training made: an adapter folder onto its base, or a whole model's folder.

Contract: what `save_pretrained` wrote comes back as it was, with the methods this project adds to
PEFT; nothing is merged.  `denizen.json` beside the weights says what they are.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def load_adapter(base: Any, folder: Path, *, trainable: bool = False) -> Any:
    """A PeftModel of `base` (a transformers causal LM, changed in place) and the adapter."""
    from peft import PeftModel

    import denizen.models.mora  # noqa: F401 (registers MoRA)

    return PeftModel.from_pretrained(base, str(folder), is_trainable=trainable)


def load_trained(base: Path, folder: Path | None) -> Any:
    """The float32 model with what was trained: a PeftModel, or a whole model; None: the base.

    Under QLoRA the base's weights are those that training saw, as floats.
    """
    from denizen.models.loading import load_model

    if folder is None:
        return load_model(base)
    made = origin(folder)
    if made.get("whole"):
        return load_model(folder)
    model, settings = load_model(base), made.get("adapter", {})
    if settings.get("method") == "qlora":
        from denizen.models.quantised import dequantise_base

        dequantise_base(model, settings["bits"])
    return load_adapter(model, folder)


def origin(folder: Path) -> dict[str, Any]:
    """What the recipe wrote beside the weights; for a folder of another tool, what PEFT did."""
    path = folder / "denizen.json"
    if path.exists():
        found: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return found
    settings = folder / "adapter_config.json"
    if not settings.exists():
        return {}
    return {"mergeable": "num_virtual_tokens" not in json.loads(settings.read_text("utf-8"))}
