"""Tripwires: stop a run that cannot succeed, at the step where it shows, saying why.

NaN or infinite loss, a gradient that is not finite, an adapter no gradient reaches: each raises
TrainingError with the step and what to change.  The last checkpoint stays.  A step of equal
rewards has no gradient by right (`idle`); that too many of them come is for the guards to say.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from denizen.project.errors import TrainingError


def check_loss(value: float, step: int) -> None:
    """Raises TrainingError if the loss is NaN or infinite."""
    if not math.isfinite(value):
        raise TrainingError(
            f"the loss is {value}",
            where=f"step {step}",
            fix="lower train.learning_rate; the last checkpoint is kept",
        )


def check_gradients(parameters: Iterable[Any], step: int, *, idle: bool = False) -> float:
    """The global gradient norm; raises TrainingError if it is not finite, or zero unless `idle`."""
    total = 0.0
    for parameter in parameters:
        if parameter.requires_grad and parameter.grad is not None:
            total += float(_whole(parameter.grad.detach().float().pow(2).sum()))
    norm = math.sqrt(total) if math.isfinite(total) else math.nan
    if not math.isfinite(norm):
        raise TrainingError(
            "a gradient is NaN or infinite",
            where=f"step {step}",
            fix="lower train.learning_rate; the last checkpoint is kept",
        )
    if norm == 0.0 and not idle:
        raise TrainingError(
            "no gradient reaches the adapter",
            where=f"step {step}",
            fix="check that rows are supervised and the target modules exist",
        )
    return norm


def _whole(value: Any) -> Any:
    """A sharded tensor (FSDP2) as an ordinary one."""
    return value.full_tensor() if hasattr(value, "full_tensor") else value
