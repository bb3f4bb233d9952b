"""The loop that makes releases: the main line, its stages, and promotion."""

from denizen.improve.mainline import STAGES, MainLine, Outcome, run_mainline
from denizen.improve.release import Release, current_release, release_gguf

__all__ = [
    "STAGES",
    "MainLine",
    "Outcome",
    "Release",
    "current_release",
    "release_gguf",
    "run_mainline",
]
