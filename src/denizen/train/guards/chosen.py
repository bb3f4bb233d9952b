"""The guards a configuration asks for.

Contract: an RL run is always watched for degeneracy and asked about reward hacking at its end; the
forgetting probe and early stopping are there when `guard.probe` and `guard.patience` say so, and
their material is handed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from denizen.project.config import Config
from denizen.tasks import Item
from denizen.train.guards.base import Guard
from denizen.train.guards.degeneracy import DegeneracyMeter
from denizen.train.guards.forgetting import ForgettingProbe
from denizen.train.guards.hacking import RewardHacking
from denizen.train.guards.stopping import DevelopmentSet, EarlyStopping
from denizen.train.methods import find_objective
from denizen.train.refusals import ONLINE
from denizen.train.replay import ReplayRow
from denizen.train.rollouts.record import NAME


def chosen_guards(
    config: Config,
    work: Path,
    *,
    probe: Sequence[ReplayRow] = (),
    development: DevelopmentSet | None = None,
    items: Sequence[Item] = (),
) -> list[Guard]:
    """Guards for a Job whose work folder is `work`; `items` are an RL run's, in their order."""
    guards: list[Guard] = []
    if config.train.objective in ONLINE:
        guards += [DegeneracyMeter(config.guard.collapse), RewardHacking(work / NAME, items)]
    if config.guard.probe:
        guards.append(ForgettingProbe(probe, work, config.guard.forgetting_limit))
    if config.guard.patience and development is not None:
        objective = find_objective(config)
        guards.append(EarlyStopping(development, objective, work, config.guard.patience))
    return guards
