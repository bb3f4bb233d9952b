"""The certificate itself: its nulls are nulls, its theory is right, and the gate keeps its size."""

from __future__ import annotations

import math

import numpy as np
import pytest
from benchmarks import gate as bench

from denizen.evaluate import Status
from denizen.evaluate.gate import gate
from denizen.evaluate.simulation import (
    Design,
    Study,
    family_trial,
    floor_trial,
    looks_trial,
    margin_trial,
    study,
    superiority_trial,
    uneven,
)
from denizen.evaluate.spending import Schedule

SMALL = Design(uneven(40, 160), discordance=0.4)
QUICK = {"resamples": 200}


def keeps_its_size(found: Study, alpha: float = 0.05) -> bool:
    """Not shown to pass more often than alpha (three standard errors)."""
    return found.passed.value <= alpha + 3 * math.sqrt(alpha * (1 - alpha) / found.gates)


def test_a_gate_without_a_difference_keeps_its_size() -> None:
    found = study(superiority_trial(SMALL, **QUICK), range(500), seed=1)
    assert keeps_its_size(found, 0.025) and found.gates == 500
    assert found.passed.successes + found.failed + found.inconclusive == 500
    assert found.failed > 0  # and it is not asleep


def test_a_quant_at_its_margin_keeps_its_size() -> None:
    design = Design(uneven(50, 200), discordance=0.15)
    found = study(margin_trial(design, 0.06, **QUICK), range(400), seed=2)
    assert keeps_its_size(found) and found.passed.successes > 0


def test_repeated_looks_share_one_alpha_and_would_not_without_spending() -> None:
    spent = study(looks_trial(SMALL, 6, Schedule(), **QUICK), range(80), seed=3)
    assert keeps_its_size(spent, 0.025)

    def careless(rng: np.random.Generator) -> Status:
        first = SMALL.first(rng)
        for _ in range(6):
            second = SMALL.second(first, 0.0, rng)
            pair = SMALL.suite("base", first), SMALL.suite("new", second)
            if gate(*pair, every_family=False, slices=(), **QUICK).status is Status.PASS:
                return Status.PASS
        return Status.INCONCLUSIVE

    assert study(careless, range(80), seed=3).passed.successes > spent.passed.successes


def test_one_idle_family_and_a_floor_keep_their_size() -> None:
    families = Design(uneven(40, 240), discordance=0.4, families=3)
    found = study(family_trial(families, 0.38, **QUICK), range(150), seed=4)
    assert keeps_its_size(found, 0.025) and found.inconclusive > 100
    floors = study(floor_trial(SMALL, 0.7, **QUICK), range(300), seed=5)
    assert keeps_its_size(floors) and floors.passed.successes > 0 and floors.failed > 0


@pytest.mark.parametrize("effect", [0.08, 0.16])
def test_power_matches_theory(effect: float) -> None:
    found = study(superiority_trial(SMALL, effect, **QUICK), range(250), seed=6).passed
    assert found.low - 0.06 < SMALL.power(effect) < found.high + 0.06


@pytest.mark.parametrize("difference", [0.0, 0.1, -0.05])
def test_the_true_difference_and_its_variance_are_what_the_design_says(difference: float) -> None:
    design = Design(uneven(30, 180), discordance=0.3, share_rho=0.4, anew_rho=0.2)
    rng = np.random.default_rng(8)
    means, disagree = [], []
    for _ in range(3000):
        first = design.first(rng)
        second = design.second(first, difference, rng)
        means.append(second.mean() - first.mean())
        disagree.append((first != second).mean())
    independent = (0.3 - difference**2) / 180
    assert np.mean(means) == pytest.approx(difference, abs=4 * np.std(means) / 3000**0.5)
    assert np.mean(disagree) == pytest.approx(0.3, abs=0.01)
    effect = design.design_effect(difference)
    assert effect > 1.5 and np.var(means) / independent == pytest.approx(effect, rel=0.1)


def test_trials_are_numbered_and_not_ordered() -> None:
    trial = superiority_trial(SMALL, 0.12, **QUICK)
    whole, parts = study(trial, range(40)), [study(trial, r) for r in (range(20, 40), range(20))]
    assert whole.passed.successes == sum(part.passed.successes for part in parts)
    assert whole.passed.successes != study(trial, range(40), seed=9).passed.successes


def test_cluster_sizes_add_up() -> None:
    sizes = uneven(100, 600)
    assert (len(sizes), sum(sizes), min(sizes), max(sizes)) == (100, 600, 2, 10)
    with pytest.raises(ValueError, match="3 items"):
        uneven(100, 200)
    with pytest.raises(ValueError, match="beyond"):
        SMALL.second(SMALL.first(np.random.default_rng(0)), 0.5, np.random.default_rng(0))


def test_the_benchmark_asks_every_null_of_the_real_gate() -> None:
    for make in bench.NULLS.values():
        assert study(make(), range(1)).gates == 1
    assert bench.GATES == 10_000
