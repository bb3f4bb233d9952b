"""Checkpoints of a run: the newest whole one, and the curve up to it.

Contract: a checkpoint that a kill or a full disk cut short is passed over; the curve is taken back
to the step a resumed run starts from.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from denizen.project.atomic import atomic_write_text

_STATE = ("optimizer.pt", "scheduler.pt", "trainer_state.json")
_WEIGHTS = ("adapter_model.safetensors", "model.safetensors", "model.safetensors.index.json")


@dataclass(frozen=True)
class TrainingPoint:
    """One step as it was seen; `metrics` are the objective's own figures."""

    step: int
    loss: float
    gradient_norm: float
    learning_rate: float
    tokens_per_second: float
    metrics: dict[str, float] = field(default_factory=dict)


def newest_checkpoint(work: Path) -> Path | None:
    """The newest checkpoint that is whole."""
    found = sorted(work.glob("checkpoint-*"), key=lambda p: int(p.name.rsplit("-", 1)[1]))
    for path in reversed(found):
        weights = any((path / name).exists() for name in _WEIGHTS)
        if weights and all((path / name).exists() for name in _STATE):
            try:
                json.loads((path / "trainer_state.json").read_text("utf-8"))
            except ValueError:
                continue
            return path
    return None


def earlier_points(curve: Path) -> list[TrainingPoint]:
    """The curve up to the checkpoint a resumed run starts from; later points are taken back."""
    checkpoint = newest_checkpoint(curve.parent)
    reached = int(checkpoint.name.rsplit("-", 1)[1]) if checkpoint else 0
    lines = curve.read_text("utf-8").splitlines() if curve.exists() and reached else []
    points = [TrainingPoint(**json.loads(line)) for line in lines if line.endswith("}")]
    kept = [point for point in points if point.step <= reached]
    atomic_write_text(curve, "".join(json.dumps(asdict(p)) + "\n" for p in kept))
    return kept
