"""What tests of the main line share: a tiny base in the registry, as the hub route leaves it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from conftest import make_tiny
from denizen.models import MODELS, ModelEntry


def register(cache: Path, tiny: Path, patch: pytest.MonkeyPatch, *names: str) -> None:
    """Each name is a base; the second and later ones have weights of their own."""
    for seed, name in enumerate(names or ("tiny",)):
        folder = cache / "models" / name / "hub"
        if not folder.exists():
            if seed:
                make_tiny(folder, seed=seed)
            else:
                shutil.copytree(tiny, folder)
        entry = ModelEntry(name, "llama", 100_000, "Apache-2.0", 4096, f"org/{name}", "main")
        patch.setitem(MODELS, name, entry)
    patch.setenv("DENIZEN_CACHE", str(cache))
