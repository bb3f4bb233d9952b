"""The gate: its three answers, its integrity checks and its error rate."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from evaluate_sample import FAMILIES, general, suite

from denizen.evaluate import (
    GateVerdict,
    PairingError,
    Score,
    Status,
    SuiteResult,
    gate,
)

FAST = {"resamples": 500}


def test_a_clear_winner_passes_every_check() -> None:
    merged = suite("merged", 0.85)
    shipped = SuiteResult("gguf", merged.scores, "q4")
    verdict = gate(
        suite("base", 0.05),
        shipped,
        previous=suite("v1", 0.4),
        reference=merged,
        forgetting=(general(41), general(40)),
        **FAST,
    )
    assert verdict.status is Status.PASS and verdict.exit_code == 0
    assert [c.name for c in verdict.checks][-3:] == [
        "previous release",
        "quantisation",
        "forgetting",
    ]
    assert sum(c.name.startswith("family ") for c in verdict.checks) == len(FAMILIES)
    assert verdict.n == 240 and "9" not in verdict.sentence.split()[0]


def test_a_worse_candidate_fails() -> None:
    verdict = gate(suite("base", 0.6), suite("bad", 0.2), **FAST)
    assert verdict.status is Status.FAIL and verdict.exit_code == 1
    assert verdict.checks[0].sentence.startswith("Significantly worse")


def test_too_few_items_are_inconclusive_and_say_how_many() -> None:
    verdict = gate(suite("base", 0.40, n=5), suite("maybe", 0.52, n=5, seed=3), every_family=False)
    check = verdict.checks[0]
    assert check.figure > 0
    assert verdict.status is Status.INCONCLUSIVE and verdict.exit_code == 3
    assert verdict.n_needed is not None and verdict.n_needed > verdict.n
    assert f"{verdict.n_needed:,}" in check.sentence


def test_one_weak_family_holds_the_release_back() -> None:
    rates = dict.fromkeys(FAMILIES, 0.9) | {"fee_apr": 0.05}
    verdict = gate(suite("base", 0.05), suite("new", rates), **FAST)
    assert verdict.status is Status.INCONCLUSIVE
    open_ = [c.subject for c in verdict.checks if c.status is not Status.PASS]
    assert open_ == ["fee_apr"] and "fee_apr" in verdict.sentence


def test_a_family_made_worse_fails() -> None:
    base = suite("base", dict.fromkeys(FAMILIES, 0.1) | {"fee_apr": 0.9})
    new = suite("new", dict.fromkeys(FAMILIES, 0.9) | {"fee_apr": 0.1})
    assert gate(base, new, **FAST).status is Status.FAIL


def test_a_broken_quantisation_fails_and_a_shaky_one_is_undecided() -> None:
    base, merged = suite("base", 0.05), suite("merged", 0.9)
    broken = gate(base, suite("gguf", 0.6), reference=merged, every_family=False, **FAST)
    assert broken.status is Status.FAIL
    scores = [
        dataclasses.replace(s, ok=False) if i in (3, 40, 77, 120) and s.ok else s
        for i, s in enumerate(merged.scores)
    ]
    shaky = gate(
        base, SuiteResult("gguf", tuple(scores)), reference=merged, every_family=False, **FAST
    )
    assert shaky.status is Status.INCONCLUSIVE
    assert shaky.checks[-1].n_needed is not None and shaky.checks[-1].n_needed > 240


def test_losing_general_ability_fails() -> None:
    base, new = suite("base", 0.05), suite("new", 0.9)
    kept = gate(base, new, forgetting=(general(41), general(41)), every_family=False, **FAST)
    lost = gate(base, new, forgetting=(general(41), general(12)), every_family=False, **FAST)
    assert (kept.status, lost.status) == (Status.PASS, Status.FAIL)


def test_different_or_doubled_items_are_refused() -> None:
    base, new = suite("base", 0.1), suite("new", 0.9)
    with pytest.raises(PairingError, match="different items"):
        gate(base, SuiteResult("new", new.scores[1:]))
    with pytest.raises(PairingError, match="scored twice"):
        SuiteResult("new", (*new.scores, new.scores[0]))
    moved = (dataclasses.replace(new.scores[0], expected="1"), *new.scores[1:])
    with pytest.raises(PairingError, match="expected"):
        gate(base, SuiteResult("new", moved))
    with pytest.raises(PairingError, match="no items"):
        gate(SuiteResult("a", ()), SuiteResult("b", ()))
    with pytest.raises(PairingError, match="general"):
        gate(base, new, forgetting=(general(4), general(4, n=60)), **FAST)


def test_verdict_survives_json() -> None:
    verdict = gate(suite("base", 0.1), suite("new", 0.5), **FAST)
    text = json.dumps(verdict.to_dict(), allow_nan=False)
    assert GateVerdict.from_dict(json.loads(text)) == verdict


def test_order_of_items_does_not_matter() -> None:
    base, new = suite("base", 0.3), suite("new", 0.5)
    turned = SuiteResult("new", new.scores[::-1])
    assert gate(base, turned, **FAST).checks == gate(base, new, **FAST).checks


def _null_suite(name: str, ok: np.ndarray) -> SuiteResult:
    return SuiteResult(
        name,
        tuple(
            Score(
                f"i{i}", f"f{i % 2}", f"t{i % 10}", "v3", "n", "", "", None, None, bool(x), float(x)
            )
            for i, x in enumerate(ok)
        ),
    )


@pytest.mark.slow
def test_false_pass_rate_under_the_null_is_at_most_alpha() -> None:
    rng = np.random.default_rng(11)
    passed = failed = 0
    trials = 2000
    for _ in range(trials):
        a, b = rng.random((2, 60)) < 0.5
        status = gate(
            _null_suite("a", a), _null_suite("b", b), every_family=False, resamples=200
        ).status
        passed += status is Status.PASS
        failed += status is Status.FAIL
    slack = 3 * math.sqrt(0.05 * 0.95 / trials)
    assert passed / trials <= 0.05 + slack and failed / trials <= 0.05 + slack
    assert passed + failed > 0
