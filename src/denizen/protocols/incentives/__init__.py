"""Incentives: who earns how much of a reward, when, and what it takes to get out.

One file an idea: accrual (MasterChef, StakingRewards), emissions (schedules with closed-form
totals), escrow (veCRV locks, boost, gauges, bribes), vesting and campaigns.  Integers are raw
units.
"""

from .accrual import MasterChef, StakingRewards
from .campaigns import (
    Campaign,
    capped_rewards,
    share_exactly,
    time_weighted_balance,
    window_rewards,
)
from .emissions import Constant, CrvEmission, GeometricDecay, Halving, LinearDecay, Schedule
from .escrow import (
    MAXTIME,
    WEEK,
    Lock,
    boost,
    bribe_apr,
    bribe_per_vote,
    emission_per_bribe,
    gauge_emissions,
    gauge_relative_weights,
    ve_for_boost,
    working_balance,
)
from .vesting import Vesting, early_exit_penalty

__all__ = [
    "MAXTIME",
    "WEEK",
    "Campaign",
    "Constant",
    "CrvEmission",
    "GeometricDecay",
    "Halving",
    "LinearDecay",
    "Lock",
    "MasterChef",
    "Schedule",
    "StakingRewards",
    "Vesting",
    "boost",
    "bribe_apr",
    "bribe_per_vote",
    "capped_rewards",
    "early_exit_penalty",
    "emission_per_bribe",
    "gauge_emissions",
    "gauge_relative_weights",
    "share_exactly",
    "time_weighted_balance",
    "ve_for_boost",
    "window_rewards",
    "working_balance",
]
