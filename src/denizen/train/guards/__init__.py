"""What watches a run: each guard sees every step and every save, and may stop the run with advice.

Contract: a Guard is an object with the methods below; a reason it returns ends the run after the
step, with everything trained so far saved and the reason in the run's record.
"""

from __future__ import annotations

from typing import Any, Protocol

from denizen.train.checkpoints import TrainingPoint


class Guard(Protocol):
    """One watcher; its figures go into the run's record."""

    name: str

    def after_step(self, point: TrainingPoint) -> str | None:
        """A reason to stop, with advice; None to go on."""
        ...

    def at_save(self, model: Any, step: int) -> str | None:
        """The same at each checkpoint; `model` is the trainable model."""
        ...

    def summary(self) -> dict[str, Any]:
        """What it saw, JSON-serialisable."""
        ...


__all__ = ["Guard"]
