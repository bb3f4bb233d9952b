"""Where downloads are kept between workspaces: base models and contract packages."""

from __future__ import annotations

import os
from pathlib import Path


def cache_dir() -> Path:
    """$DENIZEN_CACHE, else ~/.cache/denizen."""
    return Path(os.environ.get("DENIZEN_CACHE") or Path.home() / ".cache" / "denizen")
