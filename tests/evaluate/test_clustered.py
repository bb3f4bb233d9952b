"""What clusters cost, against simulation and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from denizen.evaluate import stats
from denizen.evaluate.clustered import (
    cluster_interval,
    clustered_wilson,
    paired_spread,
    spread,
    wider,
)
from denizen.evaluate.margin import noninferiority, score_bounds
from denizen.evaluate.power import (
    expected_design_effect,
    n_for_difference,
    n_for_floor,
    power_for_difference,
    power_statement,
)
from denizen.evaluate.stats import paired_bootstrap, wilson


def copies(k: int, m: int, seed: int = 0) -> tuple[list[float], list[int]]:
    rng = np.random.default_rng(seed)
    return np.repeat(rng.random(k) < 0.6, m).astype(float).tolist(), np.repeat(range(k), m).tolist()


def test_copies_are_worth_one_item_each() -> None:
    values, labels = copies(40, 12)
    found = spread(values, labels)
    assert found.design_effect == pytest.approx(12 * 40 / 39)
    share = found.value
    assert found.error == pytest.approx(math.sqrt(share * (1 - share) / 39))


def test_independent_items_cost_nothing() -> None:
    rng = np.random.default_rng(1)
    effects = [spread(rng.random(400) < 0.5, np.arange(400) % 80).design_effect for _ in range(200)]
    assert min(effects) == 1.0 and np.mean(effects) == pytest.approx(1.06, abs=0.04)


def test_freedom_counts_the_clusters_that_differ() -> None:
    labels = [c for c in range(50) for _ in range(4)]
    two = paired_spread([0] * 200, [1] * 8 + [0] * 192, labels)
    assert 1.5 < two.freedom < 3
    all_ = paired_spread([0] * 200, [1, 0, 0, 0] * 25 + [0] * 100, labels)
    assert all_.freedom == 49
    same = paired_spread([1] * 200, [1] * 200, labels)
    assert (same.design_effect, same.freedom, same.error) == (1.0, 49.0, 0.0)


def test_one_cluster_knows_nothing() -> None:
    assert spread([0, 1, 1], "aaa") == (2 / 3, math.inf, 3.0, 1.0, 3, 1)
    assert cluster_interval([0, 0], [1, 1], "aa")[1:3] == (-1.0, 1.0)
    with pytest.raises(ValueError, match="one cluster a value"):
        spread([1, 0], ["a"])


def test_five_clusters_keep_their_level_with_student_and_not_without() -> None:
    rng = np.random.default_rng(7)
    labels = np.repeat(range(5), 10).tolist()
    alarms = {"bootstrap": 0, "both": 0}
    for _ in range(600):
        effect = np.repeat(rng.normal(0, 0.3, 5), 10)
        values = np.clip(effect + rng.normal(0, 0.2, 50), -1, 1)
        boot = paired_bootstrap(np.zeros(50), values, clusters=labels, resamples=400)
        both = wider(boot, cluster_interval(np.zeros(50), values, labels))
        alarms["bootstrap"] += boot.low > 0
        alarms["both"] += both.low > 0
    assert alarms["both"] / 600 < 0.025 + 3 * math.sqrt(0.025 * 0.975 / 600)
    assert alarms["bootstrap"] > 1.5 * alarms["both"]


def test_the_wilson_bound_widens_with_clusters_and_is_plain_without() -> None:
    values, labels = copies(30, 10)
    right = [bool(v) for v in values]
    plain = wilson(sum(right), 300)
    wide, found = clustered_wilson(right, labels)
    assert found is not None and wide.value == plain.value
    assert (wide.high - wide.low) / (plain.high - plain.low) == pytest.approx(10**0.5, rel=0.15)
    assert clustered_wilson(right, list(range(300))) == (plain, None)
    assert clustered_wilson(right, [i % 4 for i in range(300)]) == (plain, None)
    sure, _ = clustered_wilson([True] * 50, [i % 10 for i in range(50)])
    assert sure.high == 1.0 and 0.9 < sure.low < wilson(50, 50, 0.9).low


def test_large_and_small_bootstraps_draw_the_same_distribution(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(3)
    a, b = rng.random(300) < 0.4, rng.random(300) < 0.5
    labels = (np.arange(300) % 60).tolist()
    kept = paired_bootstrap(a, b, clusters=labels)
    assert kept == paired_bootstrap(a, b, clusters=labels)
    monkeypatch.setattr(stats, "_KEEP", 0)
    made = paired_bootstrap(a, b, clusters=labels)
    assert (made.low, made.high) == pytest.approx((kept.low, kept.high), abs=0.004)


def test_clusters_make_the_margin_harder() -> None:
    labels = [i // 10 for i in range(300)]
    first = [True] * 300
    together = [i not in range(6) for i in range(300)]
    apart = [i not in range(0, 300, 50) for i in range(300)]
    near, far = (noninferiority(first, x, 0.05, clusters=labels) for x in (together, apart))
    assert near.low < far.low < score_bounds(0, 6, 300)[0]
    assert near.design_effect > 3 and far.design_effect < 1.2
    assert far.noninferior and not near.noninferior
    assert noninferiority(first, first, 0.03, clusters=labels).noninferior


def test_the_holdout_says_what_it_can_detect_before_the_run() -> None:
    said = power_statement(1000)
    assert said.sentence.startswith(f"This holdout can detect {100 * said.detectable:.1f} points")
    assert n_for_difference(said.detectable, 0.2) <= 1000
    assert power_statement(1000, sides=1).detectable == pytest.approx(0.0351, abs=5e-4)
    half = power_statement(1000, design_effect=2.0)
    assert half.detectable == power_statement(500).detectable > said.detectable
    assert "worth 500" in half.sentence
    assert power_statement(600, alpha=0.025).detectable > power_statement(600).detectable
    none = power_statement(5)
    assert none.detectable == math.inf and "too small" in none.sentence
    with pytest.raises(ValueError, match="design effect"):
        power_statement(100, design_effect=0.5)


def test_power_inverts_the_sample_size() -> None:
    for delta in (0.03, 0.06, 0.1):
        n = n_for_difference(delta, 0.2)
        assert power_for_difference(n, delta, 0.2) == pytest.approx(0.8, abs=0.01)
    assert power_for_difference(500, 0.0, 0.2) == pytest.approx(0.025)
    with pytest.raises(ValueError, match="impossible"):
        power_for_difference(100, 0.3, 0.2)


def test_floor_sample_size_by_hand_and_by_simulation() -> None:
    # ((1.6449 * .4 + .8416 * .3) / .1)^2
    n = n_for_floor(0.9, 0.8)
    assert n == 83
    rng = np.random.default_rng(4)
    shown = [wilson(int(k), n, 0.9).low > 0.8 for k in rng.binomial(n, 0.9, 2000)]
    assert 0.7 < np.mean(shown) < 0.9
    perfect = n_for_floor(1.0, 0.9)
    assert wilson(perfect, perfect, 0.9).low > 0.9 > wilson(perfect - 2, perfect - 2, 0.9).low
    with pytest.raises(ValueError, match="floor"):
        n_for_floor(0.8, 0.8)


def test_expected_design_effect_by_hand() -> None:
    assert expected_design_effect([6] * 100, 0.1) == pytest.approx(1.5)
    assert expected_design_effect([1] * 9, 0.7) == 1.0
    assert expected_design_effect([2, 10], 0.5) == pytest.approx(1 + 0.5 * (104 / 12 - 1))
    with pytest.raises(ValueError, match="correlation"):
        expected_design_effect([3], 2.0)
