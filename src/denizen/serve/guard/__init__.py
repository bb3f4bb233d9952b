"""The guard: what stands between a request, the model and the answer; and its red team.

Contract: a name's module is imported when the name is first used: redaction knows keys by
encoded.py and seedwords.py, and needs no shield.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from denizen.serve.guard.context import delimit
    from denizen.serve.guard.moderation import Moderation
    from denizen.serve.guard.output import OutputCheck, OutputStream
    from denizen.serve.guard.rules import find
    from denizen.serve.guard.shield import InputCheck, Shield

_WHERE = {
    "InputCheck": "shield",
    "Moderation": "moderation",
    "OutputCheck": "output",
    "OutputStream": "output",
    "Shield": "shield",
    "delimit": "context",
    "find": "rules",
}

__all__ = [
    "InputCheck",
    "Moderation",
    "OutputCheck",
    "OutputStream",
    "Shield",
    "delimit",
    "find",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
