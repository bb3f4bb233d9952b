"""QLoRA: LoRA over a base frozen in 4 or 8 bits (Dettmers et al. 2023, arXiv:2305.14314).

Contract: `adapter.bits` 4 is NF4 through bitsandbytes, 8 is int8 rows without any extra package;
everything else is LoRA's.  The adapter belongs to the base as it was quantised: merging starts
from `denizen.models.quantised.dequantise_base`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from denizen.models.loading import Precision
from denizen.project.config import AdapterConfig
from denizen.train.methods.base import Adapter
from denizen.train.methods.lora import wrap


def load(base: Path, settings: AdapterConfig, precision: Precision) -> Any:
    """The base with its linear layers quantised; raises TrainingError."""
    from denizen.models.quantised import load_quantised

    return load_quantised(base, settings.bits, precision)


METHOD = Adapter("qlora", "QLoRA", wrap, learning_rate=1e-3, load=load)
