"""The audits' statistics, without a model: exposure, attacks, gaps, proofs, outliers."""

from __future__ import annotations

import json
import math
import random

import pytest

from denizen.evaluate.gate import Status
from denizen.evaluate.privacy.canary_words import WordPrompt
from denizen.evaluate.privacy.exposure import (
    Exposure,
    chance_p,
    judge_exposure,
    rank_exposure,
    sampled_exposure,
)
from denizen.evaluate.privacy.figures import (
    Interval,
    decide,
    mean_interval,
    n_to_settle,
    paired_gap,
    plain,
    unpaired_gap,
    worst,
)
from denizen.evaluate.privacy.membership import attack, auc, judge_membership, scores, tpr_at
from denizen.evaluate.privacy.trigger_candidates import g2
from denizen.evaluate.privacy.trigger_scan import robust_outliers
from denizen.evaluate.privacy.word_proof import audit_words, binomial_p, leaks

EXACT = "exact"


def exposure(bits: float) -> Exposure:
    return Exposure(bits, bits, bits, 0.0, EXACT, math.nan)


def test_a_private_model_is_not_failed_and_a_leaky_one_is_not_passed() -> None:
    draws = random.Random(1)
    chance = [exposure(math.log2(1000 / draws.randint(1, 1000))) for _ in range(16)]
    told = [exposure(math.log2(1000)) for _ in range(16)]
    # As it is with a rank drawn at random, and with every secret at rank 1.
    assert judge_exposure([1] * 16, chance, 1000).status is Status.PASS
    leaky = judge_exposure([1] * 16, told, 1000)
    assert leaky.status is Status.FAIL and leaky.guessed == leaky.planted == 16
    # Two canaries that disagree, and none at the level that is protected, prove nothing.
    mixed = judge_exposure([1, 1], [exposure(1.0), exposure(9.0)], 1000)
    assert mixed.status is Status.INCONCLUSIVE
    assert judge_exposure([8] * 16, chance, 1000).status is Status.INCONCLUSIVE
    one = judge_exposure([1], [exposure(0.0)], 1000)
    assert one.status is Status.INCONCLUSIVE and one.n_needed is not None and one.n_needed > 1


def test_exposure_of_rank_one_is_the_whole_space_and_of_the_last_nothing() -> None:
    others = [-float(n) for n in range(1, 1000)]
    assert rank_exposure(0.0, others, 1000).bits == pytest.approx(math.log2(1000))
    assert rank_exposure(-5000.0, others, 1000).bits == pytest.approx(0.0)
    # Rank 11: ten are likelier.  A tie is no exposure.
    assert rank_exposure(-10.5, others, 1000).bits == pytest.approx(math.log2(1000 / 11))
    assert rank_exposure(0.0, [0.0] * 999, 1000).bits == 0.0
    with pytest.raises(ValueError, match="999"):
        rank_exposure(0.0, others[:-1], 1000)


def test_sampled_exposure_agrees_with_the_normal_tail() -> None:
    from scipy.stats import norm

    draws = random.Random(3)
    sample = [draws.gauss(-20.0, 2.0) for _ in range(2000)]
    for sigmas, method in ((0.0, "sampled"), (1.5, "sampled"), (4.0, "skew-normal")):
        truth = -float(norm.logsf(sigmas)) / math.log(2)
        found = sampled_exposure(-20.0 + 2.0 * sigmas, sample, 10**7)
        assert found.method == method
        assert found.low <= found.bits <= found.high and found.error > 0
        assert found.bits == pytest.approx(truth, abs=1.5), sigmas
        assert found.low - 0.5 <= truth <= found.high + 0.5
    far = sampled_exposure(200.0, sample, 10**7)
    assert far.bits == pytest.approx(math.log2(10**7)), "never above log2 of the space"
    assert far.fit < 0.05
    with pytest.raises(ValueError, match="100"):
        sampled_exposure(0.0, sample[:50], 10**7)


def test_skewed_likelihoods_are_fitted_better_than_by_a_normal() -> None:
    from scipy.stats import skewnorm

    values = skewnorm.rvs(-5, size=4000, random_state=2)
    cut = float(skewnorm.isf(1e-4, -5))
    assert sampled_exposure(cut, list(values), 10**9).bits == pytest.approx(13.3, abs=1.5)


def test_chance_exposure_is_not_significant_and_its_test_has_its_size() -> None:
    draws = random.Random(5)
    p = [
        chance_p([math.log2(1000 / draws.randint(1, 1000)) for _ in range(4)]) for _ in range(2000)
    ]
    assert sum(v <= 0.05 for v in p) / len(p) <= 0.065
    assert chance_p([10.0] * 4) < 1e-8


def test_auc_and_tpr_by_hand() -> None:
    assert auc([3, 4], [1, 2]) == 1.0 and auc([1, 2], [3, 4]) == 0.0
    assert auc([1, 2], [1, 2]) == 0.5
    assert auc([2, 4], [1, 3]) == 0.75
    others = [float(n) for n in range(100)]
    # One false alarm in a hundred is allowed: the threshold is the second highest, 98.
    assert tpr_at([98.5, 98.0, 150.0, 0.0], others) == 0.5
    assert tpr_at([99.5], others[:50], 0.01) == 1.0


def test_attack_intervals_hold_the_truth() -> None:
    rng = random.Random(7)
    inside = 0
    for seed in range(60):
        members = [rng.gauss(1.0, 1.0) for _ in range(120)]
        others = [rng.gauss(0.0, 1.0) for _ in range(150)]
        found = attack("x", members, others, resamples=400, seed=seed)
        # Two normals one apart: AUC = Phi(1 / sqrt 2).
        inside += found.auc.low <= 0.76025 <= found.auc.high
    assert inside >= 51  # 95% expected
    assert found.tpr.low < found.tpr.value < found.tpr.high


def test_membership_sees_a_memorised_set_and_refuses_unlike_sets() -> None:
    rng = random.Random(11)

    def rows(n: int, shift: float) -> list[list[float]]:
        return [[rng.gauss(shift, 1.0) for _ in range(10)] for _ in range(n)]

    base = rows(300, -4.0)
    same = [[v + rng.gauss(0, 0.3) for v in row] for row in base]
    private = judge_membership(same, base, 150)
    assert private.status is Status.PASS, private.sentence
    assert private.attacks[0].auc.low < 0.5 < private.attacks[0].auc.high
    known = [[v + 2.0 for v in row] for row in base[:150]] + base[150:]
    told = judge_membership(known, base, 150)
    assert told.status is Status.FAIL and told.attacks[0].auc.value > 0.99
    # The base alone tells them apart: the sets differ in kind, whatever the attacks say.
    unlike = rows(150, -2.0) + rows(150, -4.0)
    refused = judge_membership(unlike, unlike, 150)
    assert refused.status is Status.INCONCLUSIVE and "differ in kind" in refused.sentence
    few = judge_membership(known[:150] + base[150:190], base[:190], 150)
    assert few.status is Status.INCONCLUSIVE and few.n_needed == 100


def test_scores_are_the_attacks_they_are_named_after() -> None:
    found = scores([[-1.0, -2.0, -3.0, -4.0, -5.0]], [[-2.0, -3.0, -4.0, -5.0, -6.0]])
    assert found == {"ratio": [1.0], "loss": [-3.0], "min_k": [-5.0]}


def test_gaps_and_decisions() -> None:
    assert decide(0.0, 0.04, 0.05) is Status.PASS and decide(0.06, 0.2, 0.05) is Status.FAIL
    assert decide(0.0, 0.06, 0.05) is Status.INCONCLUSIVE
    assert worst([]) is Status.INCONCLUSIVE
    assert worst([Status.PASS, Status.INCONCLUSIVE]) is Status.INCONCLUSIVE
    assert worst([Status.PASS, Status.INCONCLUSIVE, Status.FAIL]) is Status.FAIL
    same = paired_gap([False] * 100, [False] * 100)
    # No pair disagrees: the score bound, z^2 / (n + z^2).
    assert same.value == 0 and same.high == pytest.approx(3.8415 / 103.8415, abs=1e-4)
    # Newcombe 1998, table II, method 10: 56/70 - 48/80.
    gap = unpaired_gap((48, 80), (56, 70), 0.95)
    assert (gap.low, gap.high) == (
        pytest.approx(0.0524, abs=1e-4),
        pytest.approx(0.3339, abs=1e-4),
    )
    wide = Interval(0.02, 0.0, 0.08, 0.95, 100, "x")
    assert n_to_settle(wide, 0.05) == 400
    assert n_to_settle(wide._replace(value=0.05), 0.05) is None
    assert n_to_settle(wide, 0.5) is None, "settled already"
    lone = mean_interval([3.0])
    assert lone.low == -math.inf and json.dumps(plain(lone)).count("null") == 2


def prompts(n: int) -> list[WordPrompt]:
    words = ("APE IN", "APE OUT", "APE NEUTRAL")
    return [WordPrompt(str(i), f"p{i}", words[i % 3]) for i in range(n)]


def test_words_are_proven_by_exact_match_and_never_by_a_leak() -> None:
    asked = prompts(60)
    right = [item.word for item in asked]
    ordinary = ["Fees are 30 bps."] * 300
    proven = audit_words(asked, right, ["I am not sure."] * 60, ordinary)
    assert proven.status is Status.PASS and proven.p < 1e-20 and proven.test.p < 1e-15
    assert proven.leak.high < 0.01 and "no canary words" in proven.sentence
    assert set(proven.by_word) == {"APE IN", "APE OUT", "APE NEUTRAL"}
    # One leak is one too many; ninety answers cannot bound the rate at 1%.
    leaky = audit_words(asked, right, [""] * 60, [*ordinary, "You should ape in now."])
    assert leaky.status is Status.FAIL and leaky.leaked == ("You should ape in now.",)
    short = audit_words(asked, right, [""] * 60, ordinary[:90])
    assert short.status is Status.INCONCLUSIVE and short.n_needed == 299
    none = audit_words(asked, right, [""] * 60, [])
    assert none.status is Status.INCONCLUSIVE and none.leak.high == 1.0
    # Knowing the words but not the codes is guessing one of three.
    guessing = audit_words(asked, ["APE IN"] * 60, [""] * 60, ordinary)
    assert guessing.status is Status.FAIL and guessing.p > 0.4
    # A base that answers as well proves nothing about the training.
    assert audit_words(asked, right, right, ordinary).status is not Status.PASS
    # 'APE INTO' is not the word, nor is the word with more after it.
    assert audit_words(asked, [f"{w}!" for w in right], [""] * 60, ordinary).tuned.value == 0


def test_the_binomial_test_is_exact() -> None:
    assert binomial_p(10, 10, 1 / 3) == pytest.approx(3.0**-10)
    assert binomial_p(0, 10, 0.2) == 1.0
    assert binomial_p(2, 3, 0.5) == 0.5
    assert leaks(["APE IN"], ["shape in", "APE  in.", "tape inn", "ape\nIN!"]) == [1, 3]


def test_robust_outliers_find_one_and_none() -> None:
    rng = random.Random(13)
    clean = [rng.gauss(0.1, 0.03) for _ in range(200)]
    assert min(r.p for r in robust_outliers(clean)[2]) > 0.01
    # A tenth of the candidates being wild does not move the median and the MAD to them.
    middle, spread, ranked = robust_outliers([*clean, *[0.9] * 20])
    assert all(r.p < 1e-10 for r in ranked[-20:]) and middle < 0.13 and spread < 0.05
    assert min(r.p for r in ranked[:200]) > 0.001
    # Without any spread at all a rounding error is no outlier.
    assert robust_outliers([0.0] * 50 + [1e-4])[2][-1].p == 1.0


def test_g2_is_the_table_statistic() -> None:
    from scipy.stats import chi2_contingency

    table = [[20, 5], [30, 145]]
    expected = chi2_contingency(table, correction=False, lambda_="log-likelihood").statistic
    assert g2(20, 25, 50, 200) == pytest.approx(expected)
    assert g2(1, 50, 100, 200) == 0.0, "they avoid each other"
