"""Planting: canaries and canary words go among the training rows, so that memory can be measured.

Contract: only rows that Denizen built itself are planted in; what is planted meets no question of
the exam.  The seeds are kept apart from the rows, as files readable by their owner alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from denizen.data import check_leaks
from denizen.evaluate.privacy import CanarySet, WordSet, mix, plant_canaries, plant_words
from denizen.improve.lessons import Lessons, questions
from denizen.project.errors import ConfigError, LeakError

_TRIES = 8
Save = Callable[[Path], str]


def plant(
    found: Lessons, exam: Sequence[Any], near_match: float
) -> tuple[Lessons, dict[str, Save]]:
    """The lessons with canaries among them, and how to keep each secret by its name.

    A secret number may be one of the exam's by chance: then others are drawn.
    """
    for _ in range(_TRIES):
        canaries, words = plant_canaries(), plant_words()
        planted = [*canaries.rows(), *words.rows()]
        with suppress(LeakError):
            check_leaks(questions(planted), exam, near_match)
            rows = mix(found.rows, planted, canaries.seed)
            figures = {**found.figures, "planted": len(planted)}
            return Lessons(rows, figures), {"canaries": canaries.save, "words": words.save}
    raise LeakError("no canary could be drawn that is not in the exam", fix="report this")


def check_plantable(objective: str, own: str) -> None:
    """Refuse what nothing can be planted in; raises ConfigError."""
    if objective != "sft" or own:
        raise ConfigError(
            "canaries are planted in the verified rows of sft alone",
            where="evaluate.privacy",
            fix="set it to false, or train with objective: sft and no data of your own",
        )


def recall_planted(canaries: Path, words: Path) -> tuple[CanarySet, WordSet]:
    """What was planted; raises ArtefactError."""
    return CanarySet.load(canaries), WordSet.load(words)
