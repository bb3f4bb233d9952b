"""Training: the supervision ledger, every method under one recipe, guards and checkpoints."""

from denizen.train.batch import rendered_example
from denizen.train.checkpoints import TrainingPoint, newest_checkpoint
from denizen.train.choices import ChoiceCut
from denizen.train.ledger import Ledger, tabulate
from denizen.train.recipe import Job, TrainingResult, fine_tune

__all__ = [
    "ChoiceCut",
    "Job",
    "Ledger",
    "TrainingPoint",
    "TrainingResult",
    "fine_tune",
    "newest_checkpoint",
    "rendered_example",
    "tabulate",
]
