"""A guard that ends a run when its seconds are spent: equal budgets for unequal methods.

Contract: the clock starts when the guard is made; the step that passes the limit is the last.
"""

from __future__ import annotations

import time
from typing import Any

from denizen.train.guards.base import Quiet


class Deadline(Quiet):
    """Stops after `seconds` of wall time."""

    name = "deadline"

    def __init__(self, seconds: float) -> None:
        self._seconds, self._began = seconds, time.monotonic()

    def after_step(self, point: Any) -> str | None:
        """The reason, once the time is over."""
        over = time.monotonic() - self._began > self._seconds
        return f"{self._seconds:.0f} s are spent" if over else None

    def summary(self) -> dict[str, Any]:
        """The budget."""
        return {"seconds": self._seconds}
