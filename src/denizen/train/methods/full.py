"""Full fine-tuning: every weight of the model trains, norms and embeddings included.

Contract: `wrap` returns the model itself; a tied output head is one tensor with the embeddings
and trains as such.  What is saved is a whole model folder.
"""

from __future__ import annotations

from typing import Any

from denizen.project.config import AdapterConfig
from denizen.train.methods.base import Adapter


def wrap(model: Any, settings: AdapterConfig) -> Any:
    """The model, all of it trainable."""
    return model.requires_grad_(True)


METHOD = Adapter("full", "full fine-tuning", wrap, learning_rate=1e-4, whole=True)
