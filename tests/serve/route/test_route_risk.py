"""Learn then Test: exact p-values, error control in simulation, sequences that never peek."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from tests.serve.route.route_sample import pool

from denizen.serve.route.calibration import POOLED
from denizen.serve.route.learn import is_local, learn, sentence
from denizen.serve.route.risk import (
    FLOOR,
    ample,
    binomial_p,
    binomial_ps,
    counts_at,
    fixed_sequence,
    learn_then_test,
    lower_bound,
    needed,
    percent,
    sequence,
    stands_alone,
    upper_bound,
)


def exact_tail(errors: int, n: int, risk: Fraction) -> Fraction:
    return sum(
        (math.comb(n, k) * risk**k * (1 - risk) ** (n - k) for k in range(errors + 1)),
        Fraction(0),
    )


@pytest.mark.parametrize(("errors", "n"), [(0, 1), (0, 29), (3, 50), (7, 90), (40, 40), (12, 200)])
def test_the_p_value_is_the_exact_binomial_tail(errors: int, n: int) -> None:
    wanted = float(exact_tail(errors, n, Fraction(1, 10)))
    assert binomial_p(errors, n, 0.1) == pytest.approx(wanted, rel=1e-9)
    assert binomial_ps([errors, 0], [n, 0], 0.1).tolist() == pytest.approx([wanted, 1.0], rel=1e-9)


def test_no_items_and_bad_counts_prove_nothing() -> None:
    assert binomial_p(0, 0, 0.1) == 1.0
    for bad in ((3, 2, 0.1), (-1, 2, 0.1), (0, 2, 0.0), (0, 2, 1.0)):
        with pytest.raises(ValueError, match="need"):
            binomial_p(*bad)


def test_clopper_pearson_bounds_invert_the_tail() -> None:
    for errors, n in ((0, 30), (2, 40), (9, 77)):
        high = upper_bound(errors, n, 0.05)
        assert binomial_p(errors, n, high) == pytest.approx(0.05, rel=1e-6)
        assert lower_bound(errors, n, 0.05) <= errors / n <= high
    assert upper_bound(0, 29, 0.05) == pytest.approx(1 - 0.05 ** (1 / 29))
    assert upper_bound(5, 5, 0.05) == 1.0 and upper_bound(0, 0, 0.05) == 1.0
    assert lower_bound(0, 9, 0.05) == 0.0


def test_how_many_clean_answers_prove_a_risk() -> None:
    assert needed(0.1, 0.05) == 29
    for risk, delta in ((0.1, 0.05), (0.05, 0.01), (0.5, 0.5), (0.01, 0.05)):
        n = needed(risk, delta)
        assert (1 - risk) ** n <= delta * (1 + 1e-9) and (1 - risk) ** (n - 1) > delta


def test_a_fixed_sequence_ends_at_the_first_failure() -> None:
    assert fixed_sequence([0.01, 0.04, 0.06, 0.001], 0.05) == 2
    assert fixed_sequence([], 0.05) == 0 and fixed_sequence([0.2, 0.0], 0.05) == 0
    assert fixed_sequence([math.nan, 0.0], 0.05) == 0


def test_counts_are_those_of_brute_force() -> None:
    rng = np.random.default_rng(0)
    stated, right = np.round(rng.random(200), 2), rng.random(200) < 0.8
    levels = [0.0, 0.25, 0.5, 0.505, 0.99, 1.0, 2.0]
    answered, errors = counts_at(stated, right, levels)
    for level, n, k in zip(levels, answered, errors, strict=True):
        kept = stated >= level
        assert n == kept.sum() and k == (kept & ~right).sum()


def test_the_error_is_controlled_in_two_thousand_runs() -> None:
    """Thresholds all of which break the promise are accepted with chance delta at most."""
    rng = np.random.default_rng(1)
    runs, n, risk, delta = 2000, 200, 0.1, 0.05
    levels = (0.5, 0.4, 0.3, 0.2, 0.1, FLOOR)
    broken = 0
    for _ in range(runs):
        stated = rng.random(n)
        # From 0.1 on downwards the true risk of what is answered is above the promise.
        truth = np.where(stated >= 0.5, 0.04, 0.19)
        right = rng.random(n) >= truth
        found = learn_then_test(stated.tolist(), right.tolist(), levels, risk, delta)
        # Risk at threshold t below .5: (.5 * .04 + (.5 - t) * .19) / (1 - t).
        if found.threshold is not None and found.threshold < 0.5:
            t = max(found.threshold, 0.0)
            broken += (0.5 * 0.04 + (0.5 - t) * 0.19) / (1 - t) > risk
    assert broken / runs <= delta + 3 * math.sqrt(delta * (1 - delta) / runs)
    # The test is not empty: right on the boundary it does accept now and then.
    boundary = sum(
        learn_then_test([1.0] * n, (rng.random(n) >= risk).tolist(), (0.5,), risk, delta).threshold
        is not None
        for _ in range(runs)
    )
    assert 0.01 < boundary / runs <= delta + 0.015


def test_the_sequence_falls_and_begins_where_something_can_be_proven() -> None:
    rng = np.random.default_rng(2)
    stated = rng.random(400)
    right = rng.random(400) < 0.5 + 0.5 * stated
    order = sequence(stated.tolist(), right.tolist(), 0.2, 0.05, 400)
    assert list(order) == sorted(order, reverse=True) and order[-1] == FLOOR
    answered, _ = counts_at(stated, right, order)
    assert answered[0] >= needed(0.2, 0.05)
    assert sequence([], [], 0.1, 0.05, 10) == () and sequence([0.5], [True], 0.1, 0.05, 0) == ()


def test_groups_stand_alone_where_their_size_allows() -> None:
    assert ample(0.1, 0.05) == 76 and ample(0.1, 0.05 / 3) == 134
    assert binomial_p(3, 76, 0.1) <= 0.05 < binomial_p(3, 75, 0.1)
    # Half of a group must be ample at its part of delta, and the rest has a part, too.
    assert stands_alone({"a": 300, "b": 268, "c": 10}, 0.1, 0.05) == ("a", "b")
    assert stands_alone({"a": 300, "b": 267, "c": 10}, 0.1, 0.05) == ("a",)
    assert stands_alone({"a": 20, "b": 20}, 0.1, 0.05) == ()
    assert stands_alone({"a": 200}, 0.1, 0.05) == ("a",)
    assert stands_alone({}, 0.1, 0.05) == ()


def test_learning_keeps_the_halves_apart_and_splits_delta() -> None:
    scored = pool(2400, groups=("a", "b", "c"))
    fitting, testing = scored[:1200], scored[1200:]
    found = learn(fitting, testing, risk=0.1, delta=0.06, budget=0.05)
    assert [g.group for g in found.groups] == ["a", "b", "c"]
    assert sum(g.delta for g in found.groups) == pytest.approx(0.06)
    for group in found.groups:
        own = [
            (c, s)
            for c, s in zip(found.confidences, testing, strict=True)
            if s.group == group.group
        ]
        assert group.n == len(own)
        if group.threshold is not None:
            kept = [s for c, s in own if c >= group.threshold]
            assert group.answered == len(kept) and group.errors == sum(not s.ok for s in kept)
            assert group.p <= group.delta and group.p == pytest.approx(
                binomial_p(group.errors, group.answered, 0.1)
            )
    with pytest.raises(ValueError, match="share an item"):
        learn(fitting, fitting[:10], risk=0.1, delta=0.05, budget=0.05)
    with pytest.raises(ValueError, match="empty"):
        learn(fitting, [], risk=0.1, delta=0.05, budget=0.05)


def test_infeasible_says_what_budget_buys_and_risk_needs() -> None:
    scored = pool(800)
    found = learn(scored[:400], scored[400:], risk=0.15, delta=0.05, budget=0.02)
    trade = found.tradeoff
    assert trade.status == "INFEASIBLE" and trade.escalated > 0.02
    assert trade.budget_of_risk == trade.escalated and trade.risk_of_budget > 0.15
    text = sentence(trade, 0.15, 0.05, 0.02)
    assert "not possible" in text and "buys a risk of" in text and "needs" in text
    # What the budget buys is the exact bound at the share that the other half fixed for it.
    assert trade.share_of_budget == pytest.approx(0.02, abs=0.03)
    hopeless = [s for s in scored if not s.ok]
    none = learn(hopeless[::2], hopeless[1::2], risk=0.05, delta=0.05, budget=0.02)
    assert none.groups[0].threshold is None and none.tradeoff.budget_of_risk == 1.0
    assert "everything would have to escalate" in sentence(none.tradeoff, 0.05, 0.05, 0.02)


def test_a_feasible_promise_holds_within_its_budget() -> None:
    scored = [s for s in pool(2000, noise=0.1) if s.ok or s.signals["margin_least"] < 1.0]
    found = learn(scored[::2], scored[1::2], risk=0.1, delta=0.05, budget=0.3)
    assert found.tradeoff.status == "FEASIBLE"
    assert found.tradeoff.low <= found.tradeoff.escalated <= found.tradeoff.high
    assert "within 30.0%" in sentence(found.tradeoff, 0.1, 0.05, 0.3)
    pooled = next(g for g in found.groups if g.group in ("a", POOLED))
    assert pooled.threshold is not None
    assert is_local(found.groups, "a", 1.0) and not is_local(found.groups, "a", 0.0)


@pytest.mark.parametrize(
    ("share", "digits", "told"),
    [(0.95, 0, "95%"), (0.975, 0, "97.5%"), (0.999, 0, "99.9%"), (0.1, 1, "10.0%"),
     (0.0004, 1, "0.04%"), (1 - 0.001, 0, "99.9%"), (1 - 1e-6, 0, "99.9999%")],
)  # fmt: skip
def test_a_promise_is_never_rounded_to_another(share: float, digits: int, told: str) -> None:
    assert percent(share, digits) == told
