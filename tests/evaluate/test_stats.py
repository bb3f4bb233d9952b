"""Statistics against hand-computed values, scipy and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from denizen.evaluate import stats
from denizen.evaluate.margin import noninferiority, score_bounds, score_statistic
from denizen.evaluate.power import (
    detectable_difference,
    n_for_difference,
    n_for_noninferiority,
    n_for_zero_failures,
)
from denizen.evaluate.stats import holm, mcnemar, paired_bootstrap, wilson, zero_failure_bound


@pytest.mark.parametrize(("k", "n"), [(0, 10), (3, 17), (17, 17), (480, 600)])
def test_wilson_matches_scipy(k: int, n: int) -> None:
    ours, theirs = wilson(k, n), binomtest(k, n).proportion_ci(0.95, "wilson")
    assert ours.low == pytest.approx(theirs.low, abs=1e-12)
    assert ours.high == pytest.approx(theirs.high, abs=1e-12)
    assert ours.value == k / n


def test_wilson_refuses_nonsense() -> None:
    for k, n in ((1, 0), (5, 4), (-1, 4)):
        with pytest.raises(ValueError, match="successes"):
            wilson(k, n)


def test_zero_failures_in_300_bound_a_rate_at_one_percent() -> None:
    bound = zero_failure_bound(300)
    assert bound.high == pytest.approx(1 - 0.05 ** (1 / 300))
    assert bound.high < 0.01 < zero_failure_bound(298).high
    assert n_for_zero_failures(0.01) == 299


def test_mcnemar_by_hand() -> None:
    # 5 wins, 1 loss: P(X >= 5) = (6 + 1) / 64
    assert mcnemar(5, 1, "greater").p == pytest.approx(7 / 64)
    assert mcnemar(5, 1).p == pytest.approx(14 / 64)
    assert mcnemar(5, 1, "less").p == pytest.approx(63 / 64)
    assert mcnemar(3, 3).p == 1.0
    assert mcnemar(0, 0).p == 1.0
    assert math.isnan(mcnemar(0, 0).win_share)


@pytest.mark.parametrize(("w", "lost"), [(0, 7), (9, 2), (4, 0), (30, 41)])
def test_mcnemar_matches_scipy(w: int, lost: int) -> None:
    theirs = binomtest(w, w + lost)
    ours = mcnemar(w, lost)
    assert ours.p == pytest.approx(theirs.pvalue)
    exact = theirs.proportion_ci(0.95, "exact")
    assert (ours.low, ours.high) == pytest.approx((exact.low, exact.high))


def test_bootstrap_agrees_with_the_normal_interval_and_is_reproducible() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random(800) < 0.4, rng.random(800) < 0.5
    got = paired_bootstrap(a, b)
    d = b.astype(float) - a.astype(float)
    half = 1.96 * d.std() / math.sqrt(len(d))
    assert got.value == pytest.approx(d.mean())
    assert (got.low, got.high) == pytest.approx((d.mean() - half, d.mean() + half), abs=0.004)
    assert got == paired_bootstrap(a, b)
    assert got != paired_bootstrap(a, b, seed=1)


def test_cluster_bootstrap_widens_when_items_repeat_each_other() -> None:
    rng = np.random.default_rng(1)
    outcome = rng.random(20) < 0.6
    a, b = np.zeros(400), np.repeat(outcome, 20).astype(float)
    labels = np.repeat(np.arange(20), 20).tolist()
    plain, cluster = paired_bootstrap(a, b), paired_bootstrap(a, b, clusters=labels)
    assert cluster.clusters == 20
    ratio = (cluster.high - cluster.low) / (plain.high - plain.low)
    assert 3.5 < ratio < 6  # 20 copies each: sqrt(20) = 4.5 wider
    singles = paired_bootstrap(a, b, clusters=list(range(400)))
    assert singles.high - singles.low == pytest.approx(plain.high - plain.low, rel=0.05)


def test_one_cluster_knows_nothing() -> None:
    got = paired_bootstrap([0, 0, 1], [1, 1, 1], clusters=["t"] * 3)
    assert (got.low, got.high) == (-1.0, 1.0)


def test_unpaired_input_is_refused() -> None:
    with pytest.raises(ValueError, match="paired"):
        paired_bootstrap([1, 0], [1])
    with pytest.raises(ValueError, match="cluster"):
        paired_bootstrap([1, 0], [1, 1], clusters=["a"])


def test_holm_by_hand() -> None:
    got = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    assert list(got) == ["a", "b", "c", "d"]
    assert {k: round(v.adjusted, 4) for k, v in got.items()} == {
        "a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02,
    }  # fmt: skip
    assert [v.rejected for v in got.values()] == [True, False, False, True]


def test_score_bound_without_disagreement_has_its_closed_form() -> None:
    z2 = stats.z_value(0.95) ** 2
    low, high = score_bounds(0, 0, 100)
    assert low == pytest.approx(-z2 / (100 + z2))
    assert high == pytest.approx(z2 / (100 + z2))


def test_score_statistic_uses_the_constrained_likelihood() -> None:
    # The nuisance parameter must maximise the trinomial likelihood at the given difference.
    wins, losses, n, delta = 9, 4, 60, -0.08
    grid = np.linspace(0.0801, 0.53, 200_000)
    like = wins * np.log(grid + delta) + losses * np.log(grid)
    like += (n - wins - losses) * np.log1p(-2 * grid - delta)
    q = grid[np.nanargmax(like)]
    z = (wins - losses - n * delta) / math.sqrt(n * (2 * q + delta * (1 - delta)))
    assert score_statistic(wins, losses, n, delta) == pytest.approx(z, abs=2e-3)


@pytest.mark.parametrize(("w", "lost", "n"), [(3, 9, 80), (0, 5, 60), (12, 1, 40), (0, 10, 10)])
def test_score_bounds_invert_the_test_and_mirror(w: int, lost: int, n: int) -> None:
    low, high = score_bounds(w, lost, n)
    assert -1 <= low <= (w - lost) / n <= high <= 1
    if low > -1:
        assert score_statistic(w, lost, n, low) == pytest.approx(1.6449, abs=1e-3)
    assert score_bounds(lost, w, n) == pytest.approx((-high, -low), abs=1e-9)


def test_noninferiority_keeps_its_level_at_the_margin() -> None:
    # Truth exactly at the margin: declared non-inferior in at most about 5% of trials.
    rng = np.random.default_rng(5)
    n, margin, passed, trials = 200, 0.05, 0, 2000
    for lost, won, _ in rng.multinomial(n, [0.08, 0.03, 0.89], size=trials):
        passed += score_bounds(int(won), int(lost), n)[0] > -margin
    assert passed / trials < 0.05 + 3 * math.sqrt(0.05 * 0.95 / trials)
    assert passed / trials > 0.02  # and it is not vacuously strict


def test_noninferiority_decisions() -> None:
    ones = [True] * 300
    same = noninferiority(ones, ones, 0.03)
    assert same.noninferior and not same.inferior and same.p < 0.05
    worse = noninferiority(ones, [True] * 240 + [False] * 60, 0.03)
    assert worse.inferior and not worse.noninferior
    few = noninferiority(ones[:20], ones[:20], 0.03)
    assert not few.inferior and not few.noninferior
    with pytest.raises(ValueError, match="margin"):
        noninferiority(ones, ones, 0.0)


def test_power_by_hand_and_against_the_noted_figures() -> None:
    # (1.6449 sqrt(.2) + .8416 sqrt(.2 - .0009))^2 / .0009
    assert n_for_difference(0.03, 0.2, sides=1) == 1372
    assert n_for_difference(0.05, 0.2, sides=1) == pytest.approx(489, rel=0.01)
    assert n_for_difference(0.03, 0.2) == 1742
    with pytest.raises(ValueError, match="discordance"):
        n_for_difference(0.3, 0.2)


def test_power_is_the_exact_tests_power() -> None:
    delta, discordance = 0.08, 0.2
    n = n_for_difference(delta, discordance)
    win = (discordance + delta) / 2 / discordance
    power = 0.0
    for m in range(n + 1):
        weight = float(binom.pmf(m, n, discordance))
        if weight < 1e-9:
            continue
        wins = np.arange(m + 1)
        p = np.minimum(1, 2 * binom.cdf(np.minimum(wins, m - wins), m, 0.5))
        reject = (p <= 0.05) & (wins > m - wins)
        power += weight * float(binom.pmf(wins, m, win)[reject].sum())
    assert 0.75 < power < 0.85


def test_detectable_difference_inverts_the_sample_size() -> None:
    for n in (100, 600, 3000):
        delta = detectable_difference(n, 0.2)
        assert n_for_difference(delta, 0.2) <= n < n_for_difference(delta * 0.98, 0.2)
    assert detectable_difference(5, 0.2) == math.inf


def test_noninferiority_sample_size_is_enough_without_disagreement() -> None:
    n = n_for_noninferiority(0.03, 0.0)
    assert score_bounds(0, 0, n + 1)[0] > -0.03 > score_bounds(0, 0, n - 2)[0]
    assert n_for_noninferiority(0.03, 0.1, -0.01) > n_for_noninferiority(0.03, 0.1)
    with pytest.raises(ValueError, match="margin"):
        n_for_noninferiority(0.03, 0.1, -0.03)


def test_mcnemar_false_alarm_rate_under_the_null() -> None:
    rng = np.random.default_rng(2)
    alarms = 0
    for wins, losses, _ in rng.multinomial(60, [0.15, 0.15, 0.7], size=2000):
        alarms += mcnemar(int(wins), int(losses)).p <= 0.05
    assert alarms / 2000 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 2000)


def test_power_counts_the_templates() -> None:
    from denizen.evaluate import design_effect_of, power_statement

    alone = [f"t{n}" for n in range(600)]
    twos = [f"t{n // 2}" for n in range(600)]
    assert design_effect_of(alone) == 1 and design_effect_of(twos) == pytest.approx(1.6)
    plain = power_statement(600)
    told = power_statement(600, design_effect=design_effect_of(twos))
    assert told.detectable > plain.detectable and "worth 375" in told.sentence
