"""The forgetting probe: what the base itself wrote, as likely to the model in training as before?

Contract: at each save, `forgetting` is the mean over the probe's tokens of the base's
log-probability minus the model's, in nats a token.  The text is sampled from the base at
temperature 1, so this estimates KL(base || model) on neutral questions; at the start it is 0.
Past `limit` at two saves in a row the run stops.  The probe's questions are never trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from denizen.train.guards.base import Quiet, Trend
from denizen.train.replay import ReplayRow, written_logprobs


class ForgettingProbe(Quiet):
    """Works on a PEFT model with its adapters on and on a model trained whole."""

    name = "forgetting"

    def __init__(self, rows: Sequence[ReplayRow], work: Path, limit: float) -> None:
        self._rows, self._limit = rows, limit
        self._tokens = sum(row.written for row in rows)
        self._base = sum(row.logprob for row in rows)
        self._trend = Trend(work / "forgetting.jsonl")

    def measure(self, model: Any) -> float:
        """Nats a token that the base's own text has lost."""
        return (self._base - sum(written_logprobs(model, self._rows))) / self._tokens

    def at_save(self, model: Any, step: int) -> str | None:
        """Advice, at the second save in a row past the limit."""
        self._trend.add(step, self.measure(model))
        last = [value for _, value in self._trend.points[-2:]]
        if not self._limit or len(last) < 2 or min(last) <= self._limit:
            return None
        return (
            f"step {step}: the base's own text lost {last[-1]:.2f} nats a token, more than "
            f"guard.forgetting_limit ({self._limit:g}), at two saves in a row: lower "
            "train.learning_rate, or replay the base's answers (guard.replay: 0.1)"
        )

    def summary(self) -> dict[str, Any]:
        """The trend, the limit, the first save past it, and what was probed."""
        past = [step for step, value in self._trend.points if self._limit and value > self._limit]
        return {
            "trend": self._trend.to_json(),
            "limit": self._limit,
            "warned_at": past[0] if past else None,
            "rows": len(self._rows),
            "tokens": self._tokens,
        }
