"""What a method is: an Adapter says which weights are trained, an Objective what they learn from.

Contract: each method is one file of this folder that ends in `METHOD = Adapter(...)` or
`METHOD = <an Objective>`; `find_adapter` and `find_objective` import it by name.  The recipe
(`train/recipe.py`) is the same for all of them: any adapter goes with any objective.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from denizen.project.config import AdapterConfig, Config
from denizen.train.buckets import TokenBuckets

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from denizen.models.loading import Precision
    from denizen.train.recipe import Job


@dataclass(frozen=True)
class Adapter:
    """Which weights are trained.

    `learning_rate` is the peak that suits it in supervised fine-tuning of a small model.
    `wrap(model, settings)` returns the trainable model: a PeftModel, or `model` itself where its
    own weights are trained (`whole`).  `optimiser(model, settings, TrainingArguments)` is the
    trainer's `optimizer_cls_and_kwargs`.
    `load(folder, settings, precision)` loads the base in a form of its own (quantised).
    A prompt-learning method (`mergeable` False) has no form as plain weights.
    """

    name: str
    title: str
    wrap: Callable[[PreTrainedModel, AdapterConfig], Any]
    learning_rate: float
    optimiser: Callable[[Any, AdapterConfig, Any], tuple[type, dict[str, Any]]] | None = None
    load: Callable[[Path, AdapterConfig, Precision], PreTrainedModel] | None = None
    whole: bool = False
    mergeable: bool = True


class StepLoss(NamedTuple):
    """A step's loss (a scalar with gradient) and figures worth a curve of their own."""

    loss: torch.Tensor
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Example:
    """One training example: its tensors' source, as lists, and how many tokens it costs.

    `fields` holds what the objective's `collate` needs (input_ids, labels, chosen_ids...);
    `length` is the padded length that batches are made by.
    """

    length: int
    fields: Mapping[str, Any] = field(default_factory=dict)


class Objective(Protocol):
    """What is learnt from: how examples become a batch, and a batch a loss."""

    name: str
    title: str
    rate: float
    """What the adapter's learning rate is multiplied by."""
    mean_over: str
    """"tokens" or "rows" if its loss is a mean over the batch's supervised tokens or rows; else "":
    then parts of a batch do not add up, and it stays in one process."""

    @property
    def rounds(self) -> bool:
        """Whether its steps may see weights as the quantised file will hold them."""
        ...

    def batches(self, examples: Sequence[Example], config: Config) -> Sequence[list[int]]:
        """Which examples make each step, for the whole run: a pure function of its arguments."""
        ...

    def prepare(self, model: Any, job: Job, batches: Sequence[list[int]]) -> None:
        """What happens once, before any checkpoint is loaded: a head, the reference's answers."""
        ...

    def collate(self, examples: Sequence[Example]) -> dict[str, Any]:
        """Tensors of a batch."""
        ...

    def before(self, model: Any, batch: dict[str, Any], step: int) -> dict[str, Any]:
        """What happens once a batch without gradients: rollouts, reference log-probabilities."""
        ...

    def loss(self, model: Any, batch: dict[str, Any], count: Any) -> StepLoss:
        """The loss of a batch; `count` is the number of supervised tokens of the whole step."""
        ...

    def finish(self) -> None:
        """What happens once the last step is done, or failed: engines are closed."""
        ...


class Offline:
    """Defaults of objectives that learn from fixed rows."""

    mean_over = ""

    @property
    def rounds(self) -> bool:
        """Fixed rows do not mind."""
        return True

    def batches(self, examples: Sequence[Example], config: Config) -> Sequence[list[int]]:
        """Rows of like length under the token budget."""
        lengths = [e.length for e in examples]
        train = config.train
        return TokenBuckets(
            lengths, train.batch_tokens, epochs=train.epochs, seed=config.data.seed
        ).batches

    def prepare(self, model: Any, job: Job, batches: Sequence[list[int]]) -> None:
        """Nothing to do."""

    def before(self, model: Any, batch: dict[str, Any], step: int) -> dict[str, Any]:
        """Nothing to do."""
        return batch

    def finish(self) -> None:
        """Nothing to do."""


def plain(model: Any) -> Any:
    """The transformers model inside a PEFT model (with its adapters in place), or the model."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model
