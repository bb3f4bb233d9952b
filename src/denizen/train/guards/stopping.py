"""Early stopping on the development split, and the best weights at the end.

Contract: at each save the loss on development examples is measured as in training (supervised
tokens weigh the same, dropout off); after `patience` saves without a better one the run stops.
What is saved at the end is the best measured weights.  They and the losses lie in the work folder,
so a resumed run knows them.  An item of another split than dev is refused: the holdout judges the
finished model and nothing before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from denizen.project.atomic import atomic_path
from denizen.project.errors import DataError, LeakError
from denizen.tasks import Item
from denizen.train.batch import IGNORED
from denizen.train.buckets import TokenBuckets
from denizen.train.checkpoints import TrainingPoint, resumed_step
from denizen.train.guards.base import Quiet, Trend
from denizen.train.methods.base import Example, Objective

_TOKENS = 2400
# A resumed run begins at one of the last two checkpoints: one of the last two bests is before it.
_KEPT = 2


@dataclass(frozen=True)
class DevelopmentSet:
    """Examples with the items they were made from; raises LeakError unless all are of dev."""

    items: Sequence[Item]
    examples: Sequence[Example]

    def __post_init__(self) -> None:
        for item in self.items:
            if item.split != "dev":
                raise LeakError(
                    f"item {item.id} is of the {item.split} split",
                    where="early stopping",
                    fix="give it items of the dev split; the holdout is for the gate alone",
                )
        if not self.items or len(self.items) != len(self.examples):
            raise DataError(
                f"{len(self.examples)} development examples of {len(self.items)} items",
                where="early stopping",
                fix="make one example of each dev item",
            )


def development_loss(model: Any, objective: Objective, examples: Sequence[Example]) -> float:
    """The objective's mean loss, in nats; a supervised token (without masks, a row) weighs 1."""
    import torch

    device = next(model.parameters()).device
    training = bool(model.training)
    model.eval()
    total = weight = 0.0
    try:
        with torch.no_grad():
            for batch in TokenBuckets([e.length for e in examples], _TOKENS).batches:
                rows = [examples[i] for i in batch]
                tensors = {
                    key: value.to(device) if hasattr(value, "to") else value
                    for key, value in objective.collate(rows).items()
                }
                tensors = objective.before(model, tensors, 0)
                share = sum(map(_weight, rows))
                if share:
                    total += share * float(objective.loss(model, tensors, None).loss)
                    weight += share
    finally:
        model.train(training)
    return total / weight


def _weight(example: Example) -> int:
    labels = example.fields.get("labels")
    return 1 if labels is None else sum(label != IGNORED for label in labels[1:])


class EarlyStopping(Quiet):
    """`patience` is `guard.patience`; `work` the run's work folder."""

    name = "development"

    def __init__(
        self, development: DevelopmentSet, objective: Objective, work: Path, patience: int
    ) -> None:
        self._examples, self._objective = development.examples, objective
        self._patience, self._work = patience, work
        self._trend = Trend(work / "development.jsonl")
        reached = resumed_step(work)
        for path in work.glob("best-*.safetensors"):
            if _step(path) > reached:
                path.unlink()
        self._seen = reached
        self._chosen: int | None = None

    def after_step(self, point: TrainingPoint) -> str | None:
        """Remember how far the weights have gone."""
        self._seen = point.step
        return None

    def at_save(self, model: Any, step: int) -> str | None:
        """A reason once the best loss is `patience` saves old."""
        best = self._best()
        loss = development_loss(model, self._objective, self._examples)
        better = best is None or loss < best[1]
        if better:
            # Before its loss is recorded: a kill in between must not leave a best without weights.
            self._keep(model, step)
        self._trend.add(step, loss)
        if best is None or better:
            return None
        waited = sum(saved > best[0] for saved, _ in self._trend.points)
        if waited < self._patience:
            return None
        return (
            f"step {step}: the development loss is {loss:.4f}, and was {best[1]:.4f} at step "
            f"{best[0]}, {waited} saves ago (guard.patience); the weights of that step are kept"
        )

    def at_end(self, model: Any) -> None:
        """Put the best weights in, unless the last ones are the best."""
        if not self._trend.points or self._trend.points[-1][0] < self._seen:
            self.at_save(model, self._seen)
        best = self._best()
        assert best is not None
        self._chosen = best[0]
        if best[0] < self._trend.points[-1][0]:
            self._restore(model, best[0])

    def summary(self) -> dict[str, Any]:
        """The losses, and the step whose weights were saved."""
        return {
            "trend": self._trend.to_json(),
            "patience": self._patience,
            "best": self._chosen,
            "items": len(self._examples),
        }

    def _best(self) -> tuple[int, float] | None:
        return min(self._trend.points, key=lambda p: (p[1], p[0]), default=None)

    def _keep(self, model: Any, step: int) -> None:
        from safetensors.torch import save_file

        with atomic_path(self._file(step)) as temporary:
            save_file({n: p.detach().contiguous() for n, p in _trained(model)}, temporary)
        bests = sorted(self._work.glob("best-*.safetensors"), key=_step, reverse=True)
        for path in bests[_KEPT:]:
            path.unlink()

    def _restore(self, model: Any, step: int) -> None:
        import torch
        from safetensors.torch import load_file

        weights = load_file(str(self._file(step)))
        with torch.no_grad():
            for name, parameter in _trained(model):
                parameter.copy_(weights[name])

    def _file(self, step: int) -> Path:
        return self._work / f"best-{step}.safetensors"


def _trained(model: Any) -> list[tuple[str, Any]]:
    return [(n, p) for n, p in model.named_parameters() if p.requires_grad]


def _step(path: Path) -> int:
    return int(path.stem.split("-")[1])
