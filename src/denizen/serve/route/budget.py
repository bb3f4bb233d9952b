"""What escalation may cost: a token bucket that requests fill and escalations empty.

Contract: every request puts in the budget's share of one escalation, `take` takes a whole one or
says no; the bucket starts empty, so at no moment have more than share x requests been escalated,
whatever their order, drift or concurrency.  Counting is in integers, under a lock.
"""

from __future__ import annotations

from threading import Lock

_WHOLE = 1_000_000  # one escalation, in millionths


class Budget:
    """`share` of requests may escalate; unused shares are saved up to `burst` escalations."""

    def __init__(self, share: float, burst: int) -> None:
        if not 0 <= share <= 1 or burst < 1:
            raise ValueError(f"need a share in [0, 1] and a burst of at least 1, got {share}")
        # Rounded down: never more than the share.
        self._share = int(share * _WHOLE + 1e-6)
        self._most = burst * _WHOLE
        self._level = 0
        self._lock = Lock()
        self.requests = 0
        self.taken = 0
        self.refused = 0

    def credit(self) -> None:
        """Count one request; call it once for each, before it may escalate."""
        with self._lock:
            self.requests += 1
            self._level = min(self._level + self._share, self._most)

    def take(self) -> bool:
        """Pay for one escalation; False if the budget does not allow it."""
        with self._lock:
            if self._level < _WHOLE:
                self.refused += 1
                return False
            self._level -= _WHOLE
            self.taken += 1
            return True

    @property
    def left(self) -> float:
        """Escalations that could be paid for now."""
        with self._lock:
            return self._level / _WHOLE

    def to_json(self) -> dict[str, float]:
        """The counts, for metrics."""
        with self._lock:
            return {
                "requests": self.requests,
                "taken": self.taken,
                "refused": self.refused,
                "left": self._level / _WHOLE,
            }
