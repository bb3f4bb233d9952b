"""How many paired items a question needs, and what a given number can answer.

Contract: differences, margins and discordance are fractions of all pairs; alpha is the size of
the whole test (both tails when sides = 2). Sample sizes are for McNemar's test with the null
variance under the null and the alternative's under the alternative (R. J. Connor, 1987), and
are rounded up. Impossible requests raise ValueError.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from denizen.evaluate.stats import z_value

# What pairs of small models showed on our holdouts; use an earlier run's share where there is one.
DISCORDANCE = 0.2
# How alike the differences of two releases are within one template: .58 to .62 between specialists
# of 480 and 1,449 rows, each of three quants, on 600 items of the carried exam.
CORRELATION = 0.6


def n_for_difference(
    delta: float, discordance: float, alpha: float = 0.05, power: float = 0.8, sides: int = 2
) -> int:
    """Pairs needed to detect a true difference `delta` when `discordance` of pairs disagree.

    The exact test is a little stricter than this normal form: treat it as a floor.
    """
    if not 0 < abs(delta) <= discordance <= 1:
        raise ValueError(f"need 0 < |delta| <= discordance <= 1, got {delta} and {discordance}")
    z_alpha, z_beta = z_value(1 - alpha / sides), z_value(power)
    spread = z_alpha * math.sqrt(discordance) + z_beta * math.sqrt(discordance - delta * delta)
    # With every discordant pair on one side the normal form can ask for less than the exact
    # test can ever give: (1/2)^k * sides <= alpha needs k discordant pairs.
    smallest = math.ceil(math.log2(sides / alpha)) / discordance
    return math.ceil(max(spread * spread / (delta * delta), smallest) - 1e-9)


def detectable_difference(
    n: int, discordance: float, alpha: float = 0.05, power: float = 0.8, sides: int = 2
) -> float:
    """Smallest true difference that n pairs detect; inf when even |delta| = discordance is not."""
    if n <= 0 or not 0 < discordance <= 1:
        raise ValueError(f"need n > 0 and 0 < discordance <= 1, got {n} and {discordance}")
    if n_for_difference(discordance, discordance, alpha, power, sides) > n:
        return math.inf
    low, high = 0.0, discordance
    for _ in range(60):
        middle = (low + high) / 2
        if middle and n_for_difference(middle, discordance, alpha, power, sides) <= n:
            high = middle
        else:
            low = middle
    return high


def n_for_noninferiority(
    margin: float,
    discordance: float,
    difference: float = 0.0,
    alpha: float = 0.05,
    power: float = 0.8,
) -> int:
    """Pairs needed to show 'not worse by `margin`' when the true difference is `difference`.

    One-sided, Wald variance, with the score bound's floor for a system that never disagrees.
    """
    room = margin + difference
    if margin <= 0 or room <= 0 or not 0 <= discordance <= 1:
        raise ValueError(f"no n shows a margin of {margin} at a true difference of {difference}")
    z_alpha, z_beta = z_value(1 - alpha), z_value(power)
    variance = max(0.0, discordance - difference * difference)
    # No disagreement at all: the score bound is -z^2 / (n + z^2).
    floor = z_alpha * z_alpha * (1 - margin) / margin
    return math.ceil(max((z_alpha + z_beta) ** 2 * variance / (room * room), floor) - 1e-9)


def n_for_zero_failures(rate: float, confidence: float = 0.95) -> int:
    """Trials without a failure that bound the failure rate at `rate`."""
    if not 0 < rate < 1:
        raise ValueError(f"need 0 < rate < 1, got {rate}")
    return math.ceil(math.log1p(-confidence) / math.log1p(-rate) - 1e-9)


def n_for_floor(rate: float, floor: float, alpha: float = 0.05, power: float = 0.8) -> int:
    """Items needed to show that a true `rate` exceeds `floor` with a one-sided score test.

    Never below what the Wilson bound asks of a system that is always right.
    """
    if not 0 < floor < rate <= 1:
        raise ValueError(f"no n shows a rate of {rate} to exceed a floor of {floor}")
    z_alpha, z_beta = z_value(1 - alpha), z_value(power)
    spread = z_alpha * math.sqrt(floor * (1 - floor)) + z_beta * math.sqrt(rate * (1 - rate))
    perfect = z_alpha * z_alpha * floor / (1 - floor)
    return math.ceil(max((spread / (rate - floor)) ** 2, perfect) - 1e-9)


def power_for_difference(
    n: float, delta: float, discordance: float, alpha: float = 0.05, sides: int = 2
) -> float:
    """Chance that McNemar's test on n pairs finds a true difference of `delta` in its direction.

    The inverse of `n_for_difference` (Connor); for clusters put n / design effect for n.
    """
    if n <= 0 or not 0 <= abs(delta) <= discordance <= 1 or not discordance:
        raise ValueError(f"impossible: n {n}, delta {delta}, discordance {discordance}")
    from scipy.special import ndtr

    spread = math.sqrt(discordance - delta * delta)
    distance = abs(delta) * math.sqrt(n) - z_value(1 - alpha / sides) * math.sqrt(discordance)
    return float(ndtr(distance / spread)) if spread else float(distance > 0)


def expected_design_effect(sizes: Sequence[int], correlation: float) -> float:
    """1 + rho (sum m^2 / n - 1) for clusters of m items whose differences correlate by rho."""
    if not sizes or min(sizes) < 1 or not 0 <= correlation <= 1:
        raise ValueError(f"need sizes >= 1 and 0 <= correlation <= 1, got {correlation}")
    return 1 + correlation * (sum(m * m for m in sizes) / sum(sizes) - 1)


def design_effect_of(clusters: Iterable[str]) -> float:
    """What items that share their cluster cost, by the correlation that releases showed."""
    return expected_design_effect(tuple(Counter(clusters).values()), CORRELATION)


class PowerStatement(NamedTuple):
    """What a holdout can show, known before anything is scored. `detectable` may be inf."""

    n: int
    detectable: float
    discordance: float
    alpha: float
    power: float
    design_effect: float
    sentence: str


def power_statement(
    n: int,
    discordance: float = DISCORDANCE,
    alpha: float = 0.05,
    power: float = 0.8,
    *,
    sides: int = 2,
    design_effect: float = 1.0,
) -> PowerStatement:
    """The smallest difference that n paired items detect, and the sentence that says so.

    discordance    share of items on which the systems will disagree: a guess, or an earlier run's.
    design_effect  what clusters cost; see `expected_design_effect`. At least 1.
    """
    if design_effect < 1:
        raise ValueError(f"need a design effect >= 1, got {design_effect}")
    effective = int(n / design_effect)
    least = math.inf
    if effective > 0:
        least = detectable_difference(effective, discordance, alpha, power, sides)
    where = (
        f"with {power:.0%} power at alpha = {alpha:.2g}, if the systems disagree on "
        f"{discordance:.0%} of its {n:,} items"
    )
    if design_effect > 1:
        where += f" and templates make them worth {effective:,}"
    if math.isfinite(least):
        sentence = f"This holdout can detect {100 * least:.1f} points {where}."
    else:
        sentence = f"This holdout is too small to detect any difference {where}."
    return PowerStatement(n, least, discordance, alpha, power, design_effect, sentence)
