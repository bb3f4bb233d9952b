"""The guard: what stands between a request, the model and the answer; and its red team."""

from denizen.serve.guard.citations import Problem, check_citations
from denizen.serve.guard.context import delimit
from denizen.serve.guard.fingerprints import Evidence, verify_fingerprints
from denizen.serve.guard.moderation import Moderation
from denizen.serve.guard.objects import check_object
from denizen.serve.guard.output import OutputCheck, OutputStream
from denizen.serve.guard.rules import find
from denizen.serve.guard.shield import InputCheck, Shield
from denizen.serve.guard.tools import ReadOnlyTools

__all__ = [
    "Evidence",
    "InputCheck",
    "Moderation",
    "OutputCheck",
    "OutputStream",
    "Problem",
    "ReadOnlyTools",
    "Shield",
    "check_citations",
    "check_object",
    "delimit",
    "find",
    "verify_fingerprints",
]
