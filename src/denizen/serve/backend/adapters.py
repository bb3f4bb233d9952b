"""LoRA adapters of one base: checked against it when they are loaded, known by name, let go again.

Contract: a file that is no LoRA-GGUF, is of another architecture or of other shapes, or does not
change the logits of a probe is refused with one line, and nothing is loaded.  `place` in the list
is the adapter's number in llama.cpp's server, `handle` its pointer in the guided decoder.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from denizen.models.llama_context import Fresh
from denizen.project.errors import ArtefactError

if TYPE_CHECKING:
    from denizen.models.llama_context import Context

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
# Logits are equal to the last bit when nothing was added; what is smaller than this is rounding.
LEAST_CHANGE = 1e-4
PROBES = ("What is the swap fee of Uniswap v3?", "Is a health factor of 0.98 safe? <calc>")


@dataclass(frozen=True)
class Adapter:
    """A loaded adapter; `change` is the largest difference it made to a logit of the probes."""

    name: str
    path: Path
    handle: int
    change: float


def check_name(name: str) -> None:
    """Raises ArtefactError for a name that cannot be asked for."""
    if not NAME.fullmatch(name) or name.endswith(":latest"):  # which clients say of any name
        raise ArtefactError(
            "an adapter's name is 1 to 64 letters, digits and . _ : - and does not end in :latest",
            where=repr(name[:80]),
            fix="choose another name under serve.adapters",
        )


def check_file(path: Path, architecture: str) -> None:
    """Raises ArtefactError unless this is a LoRA-GGUF for models of that architecture."""
    from denizen.export.gguf_header import read_header

    header = read_header(path)
    if header.get("general.type") != "adapter" or header.get("adapter.type") != "lora":
        raise ArtefactError(
            "not a LoRA adapter",
            where=str(path),
            fix="name the adapter's GGUF (denizen export writes one), not a whole model",
        )
    found = header.get("general.architecture")
    if found != architecture:
        raise ArtefactError(
            f"the adapter is for a {found} model, the base is {architecture}",
            where=str(path),
            fix="load it on the base it was trained on",
        )


def load(context: Context, name: str, path: Path) -> Adapter:
    """Load and probe; call it where nothing else uses the context. Raises ArtefactError."""
    handle = context.load_adapter(path)
    change = 0.0
    try:
        for text in PROBES:
            ids = context.tokenize(text)
            change = max(change, _distance(context, ids, handle))
    finally:
        context.use_adapter(None)
        if change < LEAST_CHANGE:
            context.free_adapter(handle)
    if change < LEAST_CHANGE:
        raise ArtefactError(
            "the adapter changes nothing: the model answers a probe as without it",
            where=str(path),
            fix="train it first, or leave it out of serve.adapters",
        )
    return Adapter(name, path, handle, change)


def _distance(context: Context, ids: list[int], handle: int) -> float:
    """Largest difference of a logit after the ids, with and without the adapter."""
    import numpy as np

    found = []
    for adapter in (None, handle):
        context.use_adapter(adapter)
        context.drop(_PROBING)
        found.append(context.decode([Fresh(_PROBING, 0, ids)])[0])
    context.drop(_PROBING)
    return float(np.abs(found[0] - found[1]).max())


# No row is given this sequence while the context is probed (rows take the lowest numbers first).
_PROBING = 255
