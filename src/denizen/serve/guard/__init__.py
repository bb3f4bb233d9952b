"""The guard: what stands between a request, the model and the answer; and its red team."""

from denizen.serve.guard.context import delimit
from denizen.serve.guard.moderation import Moderation
from denizen.serve.guard.output import OutputCheck, OutputStream
from denizen.serve.guard.rules import find
from denizen.serve.guard.shield import InputCheck, Shield

__all__ = [
    "InputCheck",
    "Moderation",
    "OutputCheck",
    "OutputStream",
    "Shield",
    "delimit",
    "find",
]
