"""Training: the supervision ledger, the supervised-only loss, and LoRA SFT through TRL."""

from denizen.train.choices import ChoiceCut
from denizen.train.ledger import Ledger, tabulate
from denizen.train.sft import TrainingPoint, TrainingResult, fine_tune, newest_checkpoint

__all__ = [
    "ChoiceCut",
    "Ledger",
    "TrainingPoint",
    "TrainingResult",
    "fine_tune",
    "newest_checkpoint",
    "tabulate",
]
