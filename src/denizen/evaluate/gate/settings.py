"""The margins and limits the gate uses unless told otherwise, and what every check is given.

Contract: margins, limits and floors are fractions of all items.
"""

from __future__ import annotations

from dataclasses import dataclass

# A quantised file may lose this much against the merged model, general ability that much.
QUANT_MARGIN = 0.03
FORGETTING_MARGIN = 0.10
# How much a release may lose against the one before it; 0 asks for superiority instead.
PREVIOUS_MARGIN = 0.03
# Without a failure among n cases, the rate must also be bounded below this (59 cases at 5%).
ZERO_LIMIT = 0.05
POWER = 0.8
SLICES = ("protocol", "difficulty")


@dataclass(frozen=True, slots=True)
class Settings:
    """`alpha` is the level of this look; `resamples` and `seed` are the bootstrap's."""

    alpha: float
    resamples: int
    seed: int
