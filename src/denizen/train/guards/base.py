"""The Guard protocol, its quiet default, and the trend a guard keeps from save to save.

Contract: a guard sees every step and every save; a reason it returns ends the run after the step,
with everything trained so far saved and the reason in the run's record.  A Trend survives a kill:
it is a file in the run's work folder, taken back to the step that a resumed run starts from.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Protocol

from denizen.project.atomic import atomic_write_text
from denizen.train.checkpoints import TrainingPoint, resumed_step


class Guard(Protocol):
    """One watcher; its figures go into the run's record."""

    name: str

    def after_step(self, point: TrainingPoint) -> str | None:
        """A reason to stop, with advice; None to go on.  A resumed run's past steps come first."""
        ...

    def at_save(self, model: Any, step: int) -> str | None:
        """The same at each checkpoint; `model` is the trainable model."""
        ...

    def at_end(self, model: Any) -> None:
        """Once, before the trained weights are saved; may put better ones in."""
        ...

    def summary(self) -> dict[str, Any]:
        """What it saw, JSON-serialisable."""
        ...


class Quiet:
    """A guard that has nothing to say: the defaults of the others."""

    def after_step(self, point: TrainingPoint) -> str | None:
        """Go on."""
        return None

    def at_save(self, model: Any, step: int) -> str | None:
        """Go on."""
        return None

    def at_end(self, model: Any) -> None:
        """Nothing to do."""


class Trend:
    """(step, value) at each save, in the order of the steps."""

    def __init__(self, path: Path) -> None:
        self._path = path
        reached = resumed_step(path.parent)
        self.points = [(s, v) for s, v in self._read() if s <= reached]

    def add(self, step: int, value: float) -> None:
        """Record a save; the file is replaced whole."""
        self.points = [(s, v) for s, v in self.points if s < step] + [(step, value)]
        atomic_write_text(self._path, "".join(f"{json.dumps(p)}\n" for p in self.points))

    def to_json(self) -> list[list[float]]:
        """[[step, value], ...] with values of six places."""
        return [[step, round(value, 6)] for step, value in self.points]

    def _read(self) -> list[tuple[int, float]]:
        if not self._path.exists():
            return []
        rows = [json.loads(line) for line in self._path.read_text("utf-8").splitlines()]
        return [(int(step), float(value)) for step, value in rows]
