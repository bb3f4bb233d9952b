"""GaLore: every weight trains, with moments of low rank for the linear layers (arXiv:2403.03507).

Contract: `adapter.rank` is the projection's, renewed every `adapter.projection_steps`; modules,
layers and ranks choose which linear layers are projected.  What is saved is a whole model.
"""

from __future__ import annotations

from typing import Any

from denizen.project.config import AdapterConfig
from denizen.train.methods.base import Adapter
from denizen.train.methods.full import wrap


def optimiser(model: Any, settings: AdapterConfig, arguments: Any) -> tuple[type, dict[str, Any]]:
    """GaLore's class and its arguments."""
    from denizen.train.optimisers import projected
    from denizen.train.optimisers.galore import GaLore

    return projected(GaLore, model, settings, arguments)


METHOD = Adapter("galore", "GaLore", wrap, learning_rate=4e-4, whole=True, optimiser=optimiser)
