"""APOLLO: every weight trains, the linear layers almost without moments (arXiv:2412.05270).

Contract: `adapter.rank` is the projection's, drawn anew every `adapter.projection_steps`; modules,
layers and ranks choose which linear layers are projected.  What is saved is a whole model.
"""

from __future__ import annotations

from typing import Any

from denizen.project.config import AdapterConfig
from denizen.train.methods.base import Adapter
from denizen.train.methods.full import wrap


def optimiser(model: Any, settings: AdapterConfig, arguments: Any) -> tuple[type, dict[str, Any]]:
    """APOLLO's class and its arguments."""
    from denizen.train.optimisers import projected
    from denizen.train.optimisers.apollo import Apollo

    return projected(Apollo, model, settings, arguments)


METHOD = Adapter("apollo", "APOLLO", wrap, learning_rate=1e-4, whole=True, optimiser=optimiser)
