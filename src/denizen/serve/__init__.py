"""Serving: the Analyst that answers exactly, behind OpenAI's and Ollama's interfaces.

Contract: nothing heavy is imported here; a name's module is imported when the name is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from denizen.serve.assembly import build
    from denizen.serve.background import serving
    from denizen.serve.service import Service
    from denizen.serve.web.app import create_server

_WHERE = {
    "Service": "service",
    "build": "assembly",
    "create_server": "web.app",
    "serving": "background",
}

__all__ = ["Service", "build", "create_server", "serving"]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
