"""Training: the supervision ledger, every method under one recipe, guards and checkpoints."""

from denizen.train.batch import rendered_example
from denizen.train.checkpoints import TrainingPoint, newest_checkpoint
from denizen.train.choices import ChoiceCut
from denizen.train.examples import examples_of
from denizen.train.guards import Guard, chosen_guards
from denizen.train.guards.stopping import DevelopmentSet
from denizen.train.ledger import Ledger, tabulate
from denizen.train.methods import Example
from denizen.train.recipe import Job, TrainingResult, fine_tune
from denizen.train.replay import ReplayRow, mix_replay, replay_count, replay_rows
from denizen.train.rollouts.prompts import questions_of

__all__ = [
    "ChoiceCut",
    "DevelopmentSet",
    "Example",
    "Guard",
    "Job",
    "Ledger",
    "ReplayRow",
    "TrainingPoint",
    "TrainingResult",
    "chosen_guards",
    "examples_of",
    "fine_tune",
    "mix_replay",
    "newest_checkpoint",
    "questions_of",
    "rendered_example",
    "replay_count",
    "replay_rows",
    "tabulate",
]
