"""RouteLLM's figures against brute force and known values."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from denizen.evaluate.suites.ranking import ClusterDraws
from denizen.serve.route.measures import _resampled, apgr, cpt, curve, measure, money, oracle


def test_the_curve_is_what_escalating_the_least_sure_gives() -> None:
    rng = np.random.default_rng(0)
    stated = rng.random(50)
    ours, theirs = rng.random(50) < 0.6, rng.random(50) < 0.9
    found = curve(stated, ours, theirs)
    order = np.argsort(stated)
    for k in range(51):
        away = set(order[:k].tolist())
        right = [theirs[i] if i in away else ours[i] for i in range(50)]
        assert found.at(k / 50) == pytest.approx(float(np.mean(right)))
    # Between two counts the marginal question escalates at random.
    assert found.at(0.05) == pytest.approx((found.at(0.04) + found.at(0.06)) / 2)


def test_ties_escalate_evenly() -> None:
    found = curve([0.5] * 4, [True, True, False, False], [True] * 4)
    assert [found.at(s) for s in (0, 0.25, 0.5, 1)] == pytest.approx([0.5, 0.625, 0.75, 1.0])
    assert apgr(found) == pytest.approx(0.5)


def test_perfect_and_useless_routers() -> None:
    ours, theirs = [False] * 2 + [True] * 8, [True] * 10
    perfect = curve(range(10), ours, theirs)
    assert cpt(perfect, 0.5) == pytest.approx(0.1) and cpt(perfect, 0.8) == pytest.approx(0.16)
    assert apgr(perfect) == pytest.approx(0.9)
    inverse = curve([9, 8, *range(8)], ours, theirs)
    assert apgr(inverse) == pytest.approx(0.1) and cpt(inverse, 0.5) == pytest.approx(0.9)
    assert oracle(ours, theirs).at(0.1) == pytest.approx(0.9)
    assert oracle(ours, theirs).at(1.0) == 1.0


def test_a_frontier_that_is_no_better_has_no_gap_to_recover() -> None:
    same = curve([0.1, 0.2], [True, False], [False, True])
    assert apgr(same) is None and cpt(same, 0.5) is None
    worse = measure([0.1, 0.2, 0.3], [True] * 3, [False] * 3, ["a", "b", "c"], 0.05, resamples=50)
    assert worse.apgr is None and worse.cpt50 is None and worse.cpt80 is None
    assert worse.cpt50_interval is None and worse.cpt80_interval is None
    # Escalating to it would only lose; the oracle escalates nothing.
    assert worse.quality.value == pytest.approx(0.95) and worse.oracle == 1.0
    assert worse.regret == pytest.approx(0.05)


def test_a_gap_that_may_be_none_claims_no_recovery() -> None:
    rng = np.random.default_rng(5)
    ours, theirs = [True] * 80 + [False] * 20, [True] * 60 + [False] * 19 + [True] * 21
    stated = rng.random(100).tolist()
    found = measure(stated, ours, theirs, list(range(100)), 0.05)
    assert found.frontier > found.local
    assert found.apgr is None and found.cpt50 is None


def test_all_figures_with_intervals() -> None:
    rng = np.random.default_rng(1)
    stated = rng.random(300)
    ours, theirs = rng.random(300) < stated, rng.random(300) < 0.9
    found = measure(
        stated.tolist(), ours.tolist(), theirs.tolist(), [f"t{i % 60}" for i in range(300)], 0.05
    )
    assert found.n == 300 and found.clusters == 60
    assert found.apgr is not None and found.apgr.low < found.apgr.value < found.apgr.high
    assert 0.5 < found.apgr.value < 1 and 0 < (found.cpt50 or 0) < (found.cpt80 or 0) < 1
    assert found.quality.low < found.quality.value < found.quality.high
    assert found.quality.value > found.random and found.regret >= 0
    low, high = found.regret_interval
    assert 0 <= low < found.regret < high
    for value, interval in (
        (found.cpt50, found.cpt50_interval),
        (found.cpt80, found.cpt80_interval),
    ):
        assert interval is not None and value is not None and interval[0] < value < interval[1]
    again = measure(
        stated.tolist(), ours.tolist(), theirs.tolist(), [f"t{i % 60}" for i in range(300)], 0.05
    )
    assert again == found


def test_weights_are_repeats() -> None:
    stated, ours, theirs = [0.1, 0.4, 0.9], [False, True, True], [True, False, True]
    weighted = curve(stated, ours, theirs, np.array([2.0, 0.0, 3.0]))
    repeated = curve([0.1, 0.1, 0.9, 0.9, 0.9], [False] * 2 + [True] * 3, [True] * 5)
    for share in np.linspace(0, 1, 21):
        assert weighted.at(float(share)) == pytest.approx(repeated.at(float(share)))


def test_resampled_figures_are_those_of_weighted_curves() -> None:
    rng = np.random.default_rng(2)
    stated = np.round(rng.random(40), 1).tolist()
    ours, theirs = (rng.random(40) < 0.5).tolist(), (rng.random(40) < 0.8).tolist()
    draws = ClusterDraws.of([f"t{i % 9}" for i in range(40)], 30, 3)
    drawn = _resampled(stated, ours, theirs, draws, 0.07)
    found = [
        curve(stated, ours, theirs, counts[draws.labels].astype(float)) for counts in draws.counts
    ]
    assert drawn.qualities.tolist() == pytest.approx([one.at(0.07) for one in found])
    for calls, part in ((drawn.fifties, 0.5), (drawn.eighties, 0.8)):
        assert calls.tolist() == pytest.approx([c for one in found if (c := cpt(one, part))])
    for regret, counts in zip(drawn.regrets, draws.counts, strict=True):
        times = counts[draws.labels]
        best = oracle(np.repeat(ours, times), np.repeat(theirs, times)).at(0.07)
        again = curve(stated, ours, theirs, times.astype(float)).at(0.07)
        assert regret == pytest.approx(best - again)
    wanted = [area for one in found if (area := apgr(one)) is not None]
    assert drawn.areas.tolist() == pytest.approx(wanted)


def test_unpaired_items_are_refused() -> None:
    for bad in (([], [], []), ([0.1], [True], [])):
        with pytest.raises(ValueError, match="paired"):
            curve(*bad)


def test_money_is_exact() -> None:
    found = money(0.05, 0.02, 5.0)
    assert found.routed == Decimal("0.2700") and found.frontier == Decimal("5.0")
    assert found.saving == pytest.approx(1 - 0.27 / 5)
    assert money(1.0, 0.02, 5.0).saving == pytest.approx(-0.004)  # all escalated: paid twice
    assert money(0.5, 0.02, 0.0).saving is None
    audited = money(0.05, 0.02, 5.0, audit=0.02)  # of the 95% that stay
    assert audited.audited == pytest.approx(0.019) and audited.routed == Decimal("0.3650")
