"""The reference: the policy at the start of the run, and what it gave the rows to be learnt.

Contract: a fresh adapter's reference is the model with it disabled, an adapter that goes on from
another one's is a frozen second adapter, a whole model's is a frozen copy.  `Scored` objectives ask
the reference about each row once, before the first step, and keep its answers in the work folder by
content hash: a resumed run and later epochs read them, and no copy stays in memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from denizen.project.atomic import atomic_write_text
from denizen.project.errors import TrainingError
from denizen.project.hashing import content_hash, sha256_tree
from denizen.train.methods.base import Example, Offline

if TYPE_CHECKING:
    import torch

    from denizen.train.recipe import Job

NAME = "reference"


class Reference:
    """The policy as it was when this was made; nothing of it is ever trained.

    `start` is the adapter folder the policy goes on from; None where it is fresh or a whole model.
    """

    def __init__(self, model: Any, start: Path | None = None) -> None:
        import copy

        self._model, self._name = model, ""
        if not hasattr(model, "peft_config"):
            self._model = copy.deepcopy(model).eval().requires_grad_(False)
        elif start is not None:
            self._name = NAME
            model.load_adapter(str(start), NAME, is_trainable=False)

    @contextmanager
    def active(self) -> Iterator[Any]:
        """The model to ask, without gradients; the policy is itself again afterwards."""
        import torch

        model = self._model
        with torch.no_grad():
            if not hasattr(model, "peft_config"):
                yield model
            elif not self._name:
                with model.disable_adapter():
                    yield model
            else:
                policy = model.active_adapter
                model.set_adapter(self._name, inference_mode=True)
                try:
                    yield model
                finally:
                    model.set_adapter(policy)


class Scores:
    """What the reference gave each row: a JSON-lines file by content hash, whole at any time."""

    def __init__(self, path: Path, identity: str) -> None:
        self._path, self._identity = path, identity
        self._known: dict[str, list[float]] = {}
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        for line in lines:
            try:
                key, values = json.loads(line)
            except ValueError:
                # A kill cut the last line short; its row is asked about again.
                continue
            self._known[key] = values
        kept = (json.dumps(entry) + "\n" for entry in self._known.items())
        atomic_write_text(path, "".join(kept))

    def key(self, row: Example) -> str:
        """Content hash of a row under this reference."""
        return content_hash([self._identity, row.fields])

    def find(self, rows: Sequence[Example]) -> list[list[float] | None]:
        """Each row's values, None where they are not known."""
        return [self._known.get(self.key(row)) for row in rows]

    def add(self, rows: Sequence[Example], values: Sequence[list[float]]) -> None:
        """Keep values of rows."""
        new = dict(zip(map(self.key, rows), values, strict=True))
        self._known |= new
        with self._path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(entry) + "\n" for entry in new.items())


class Scored(Offline):
    """An objective whose loss compares the policy with the reference.

    A subclass says which `rows` of a batch are scored, their `tensors`, and the `score` (rows, k)
    a model gives them; `collate` adds what is known of the reference as `reference`, (rows, k).
    """

    name: str
    _scores: Scores | None = None

    def rows(self, examples: Sequence[Example]) -> Sequence[Example]:
        """What of a batch is scored."""
        return examples

    def tensors(self, rows: Sequence[Example]) -> dict[str, torch.Tensor]:
        """Rows as a batch."""
        raise NotImplementedError

    def score(self, model: Any, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Log-probabilities of the rows, shape (rows, k), float64."""
        raise NotImplementedError

    def prepare(self, model: Any, job: Job, batches: Sequence[list[int]]) -> None:
        """Ask the policy of the start about every row of the run that is not yet known."""
        import torch

        from denizen.train.scale import first_alone

        identity = [job.base_hash, sha256_tree(job.start) if job.start else "", self.name]
        device = model.device
        fresh = job.start is None and hasattr(model, "peft_config")
        # The run has not begun, so the policy is its own reference once a fresh adapter is off.
        off = model.disable_adapter() if fresh else nullcontext()
        with first_alone(job.config), torch.no_grad(), off:
            self._scores = Scores(job.work / "reference.jsonl", content_hash(identity))
            for chosen in batches:
                rows = self.rows([job.examples[i] for i in chosen])
                known = zip(rows, self._scores.find(rows), strict=True)
                if new := [row for row, values in known if values is None]:
                    batch = {k: v.to(device) for k, v in self.tensors(new).items()}
                    self._scores.add(new, self.score(model, batch).tolist())

    def collate(self, examples: Sequence[Example]) -> dict[str, Any]:
        """The rows' tensors, with what the reference gave them if that is known."""
        import torch

        rows = self.rows(examples)
        batch: dict[str, Any] = self.tensors(rows)
        known = self._scores.find(rows) if self._scores else [None]
        if None not in known:
            batch["reference"] = torch.tensor(known, dtype=torch.float64)
        return batch

    def before(self, model: Any, batch: dict[str, Any], step: int) -> dict[str, Any]:
        """Where the run was not prepared, ask the model with its fresh adapter disabled."""
        if "reference" in batch:
            return batch
        if not hasattr(model, "peft_config"):
            raise TrainingError(
                "the reference's log-probabilities are unknown and the model has no adapter to "
                "disable",
                where=self.name,
                fix="call the objective's prepare before the first step, as fine_tune does",
            )
        with model.disable_adapter():
            return {**batch, "reference": self.score(model, batch)}
