"""What watches a run: each guard sees every step and every save, and may stop the run with advice.

Contract: a Guard is an object with the methods of `guards/base.py`; a reason it returns ends the
run after the step, with everything trained so far saved and the reason in the run's record.
"""

from __future__ import annotations

from denizen.train.guards.base import Guard, Quiet, Trend
from denizen.train.guards.chosen import chosen_guards
from denizen.train.guards.degeneracy import DegeneracyMeter
from denizen.train.guards.forgetting import ForgettingProbe
from denizen.train.guards.hacking import Finding, Rewarded, RewardHacking, hacking_checks
from denizen.train.guards.stopping import DevelopmentSet, EarlyStopping

__all__ = [
    "DegeneracyMeter",
    "DevelopmentSet",
    "EarlyStopping",
    "Finding",
    "ForgettingProbe",
    "Guard",
    "Quiet",
    "RewardHacking",
    "Rewarded",
    "Trend",
    "chosen_guards",
    "hacking_checks",
]
