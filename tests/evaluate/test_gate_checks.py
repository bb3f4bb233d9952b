"""Every question the gate asks beyond the base: three answers each, and none of them by accident."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from evaluate_sample import FAMILIES, general, suite

from denizen.evaluate import GateVerdict, PairingError, Score, Status, SuiteResult
from denizen.evaluate.forgetting import GeneralScores
from denizen.evaluate.gate import (
    BehaviourScores,
    Check,
    gate,
    slice_of,
)
from denizen.evaluate.looks import LookLedger
from denizen.evaluate.spending import Schedule

FAST = {"resamples": 500, "every_family": False}
BASE, NEW = suite("base", 0.05), suite("new", 0.85)
EMPTY = SuiteResult("nothing", ())


def find(verdict: GateVerdict, name: str) -> Check:
    return next(check for check in verdict.checks if check.name == name)


def cases(system: str, right: int, n: int, templates: int = 0) -> SuiteResult:
    """n cases of which the first `right` are answered well, each of a template of its own."""
    return SuiteResult(
        system,
        tuple(
            Score(
                f"c{i}",
                "b",
                f"t{i % (templates or n)}",
                "",
                "",
                "",
                "",
                None,
                None,
                i < right,
                float(i < right),
            )
            for i in range(n)
        ),
    )


def broken(result: SuiteResult, losses: int, system: str = "quant") -> SuiteResult:
    """The same answers with `losses` right ones turned wrong, spread over the suite."""
    right = [i for i, s in enumerate(result.scores) if s.ok]
    spoilt = {right[k * len(right) // losses] for k in range(losses)} if losses else set()
    scores = [
        dataclasses.replace(s, ok=s.ok and i not in spoilt) for i, s in enumerate(result.scores)
    ]
    return SuiteResult(system, tuple(scores), f"artefact-{system}")


# -- what must never pass ------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["zero", "floor", "noninferior"])
def test_an_empty_behaviour_suite_never_passes(rule: str) -> None:
    empty = BehaviourScores("refusal", rule, EMPTY, EMPTY, floor=0.8)
    verdict = gate(BASE, NEW, behaviours=[empty], **FAST)
    check = find(verdict, "behaviour refusal")
    assert verdict.status is Status.INCONCLUSIVE and check.n == 0
    assert check.n_needed is not None and verdict.n_needed == check.n_needed
    assert "no items" in check.sentence


@pytest.mark.parametrize("rule", ["zero", "floor", "noninferior"])
def test_an_unfinished_judge_never_passes(rule: str) -> None:
    whole = BehaviourScores(
        "faith", rule, cases("new", 200, 200), cases("base", 200, 200), floor=0.5
    )
    assert gate(BASE, NEW, behaviours=[whole], **FAST).status is Status.PASS
    cut = dataclasses.replace(whole, incomplete="the judge timed out on 3 of 203 answers")
    verdict = gate(BASE, NEW, behaviours=[cut], **FAST)
    assert verdict.status is Status.INCONCLUSIVE
    assert "timed out on 3 of 203" in find(verdict, "behaviour faith").sentence


def test_unfinished_figures_are_reopened_and_unknown_ones_added() -> None:
    why = "the judge timed out"
    verdict = gate(BASE, NEW, incomplete={"overall": why, "faithfulness": why}, **FAST)
    assert verdict.status is Status.INCONCLUSIVE
    assert [c.name for c in verdict.checks if c.status is not Status.PASS] == [
        "overall",
        "faithfulness",
    ]
    # Half the evidence proves no failure either, except where one failure is enough.
    worse = gate(NEW, BASE, incomplete={"overall": why}, slices=(), resamples=200)
    assert find(worse, "overall").status is Status.INCONCLUSIVE
    leak = BehaviourScores("leak", "zero", cases("new", 99, 100), incomplete=why)
    assert gate(BASE, NEW, behaviours=[leak], **FAST).status is Status.FAIL


def test_empty_suites_beside_the_holdout_are_inconclusive() -> None:
    none = GeneralScores((), (), (), ())
    verdict = gate(
        BASE,
        NEW,
        previous=EMPTY,
        reference=NEW,
        quants={"Q4_K_M": EMPTY},
        forgetting=(none, none),
        **FAST,
    )
    assert verdict.status is Status.INCONCLUSIVE
    open_ = [c.name for c in verdict.checks if c.status is not Status.PASS]
    assert open_ == ["previous release", "quant Q4_K_M", "forgetting"]
    with pytest.raises(PairingError, match="no items"):
        gate(EMPTY, EMPTY)


# -- the previous release ------------------------------------------------------------------------


def test_a_release_as_good_as_the_last_passes_and_says_it_is_not_better() -> None:
    verdict = gate(BASE, NEW, previous=broken(NEW, 0, "v1"), **FAST)
    check = find(verdict, "previous release")
    assert verdict.status is Status.PASS
    assert (check.kind, check.superior, check.threshold) == ("non-inferiority", False, -0.03)
    assert "not shown to be better" in check.sentence
    strict = gate(BASE, NEW, previous=broken(NEW, 0, "v1"), previous_margin=0, **FAST)
    assert strict.status is Status.INCONCLUSIVE


def test_a_better_release_says_so() -> None:
    check = find(gate(BASE, NEW, previous=suite("v1", 0.4), **FAST), "previous release")
    assert check.superior and "significantly better besides" in check.sentence


def test_a_worse_release_fails_and_a_shaky_one_is_undecided() -> None:
    assert gate(BASE, broken(NEW, 60), previous=NEW, **FAST).status is Status.FAIL
    shaky = gate(BASE, broken(NEW, 4), previous=NEW, **FAST)
    check = find(shaky, "previous release")
    assert shaky.status is Status.INCONCLUSIVE and check.superior is False
    assert check.n_needed is not None and check.n_needed > check.n
    assert gate(BASE, broken(NEW, 4), previous=NEW, previous_margin=0.1, **FAST).exit_code == 0


# -- the ladder of quants ------------------------------------------------------------------------


def test_every_quant_is_held_against_the_merged_model() -> None:
    quants = {"F16": broken(NEW, 0), "Q6_K": broken(NEW, 3), "Q2_K": broken(NEW, 80)}
    verdict = gate(BASE, NEW, reference=NEW, quants=quants, **FAST)
    found = {c.subject: c.status for c in verdict.checks if c.name.startswith("quant ")}
    assert found == {
        "quant F16": Status.PASS,
        "quant Q6_K": Status.INCONCLUSIVE,
        "quant Q2_K": Status.FAIL,
    }
    assert verdict.status is Status.FAIL and "quant Q2_K" in verdict.sentence
    assert find(verdict, "quant F16").against == "new"
    assert gate(BASE, NEW, reference=NEW, quants={"F16": quants["F16"]}, **FAST).exit_code == 0


def test_a_ladder_without_the_merged_model_or_of_other_items_is_refused() -> None:
    with pytest.raises(ValueError, match="reference"):
        gate(BASE, NEW, quants={"F16": NEW}, **FAST)
    other = suite("quant", 0.8, n=39)
    with pytest.raises(PairingError, match="different items"):
        gate(BASE, NEW, reference=NEW, quants={"F16": other}, **FAST)


# -- slices --------------------------------------------------------------------------------------


def test_a_protocol_made_worse_fails_a_release_that_is_better_overall() -> None:
    def outcome(score: Score, ok: bool) -> Score:
        return dataclasses.replace(score, ok=ok)

    base = SuiteResult("base", tuple(outcome(s, s.version == "v4") for s in NEW.scores))
    new = SuiteResult("new", tuple(outcome(s, s.version != "v4") for s in NEW.scores))
    verdict = gate(base, new, **FAST)
    assert find(verdict, "overall").status is Status.PASS and verdict.status is Status.FAIL
    failed = [c.name for c in verdict.checks if c.status is Status.FAIL]
    assert failed == ["slice protocol v4"]
    assert gate(base, new, slices=(), **FAST).status is Status.PASS


def test_slices_are_corrected_for_their_number() -> None:
    # 6 losses and no win in one family: p = 0.031 alone, not enough among 9 slices.
    def scored(system: str, right: int) -> SuiteResult:
        rows = enumerate(BASE.scores)
        scores = [dataclasses.replace(s, ok=i < right) for i, s in rows]
        return SuiteResult(system, tuple(scores))

    def judged(losses: int) -> Check:
        verdict = gate(scored("base", losses), scored("new", 0), **FAST)
        assert sum(c.kind == "slice" for c in verdict.checks) == len(FAMILIES) + 3
        return find(verdict, f"slice family {FAMILIES[0]}")

    six, twelve = judged(6), judged(12)
    assert (six.losses, six.wins) == (6, 0) and six.high < 0
    assert six.p == pytest.approx(9 * 2 * 0.5**6) and six.status is Status.PASS
    assert twelve.p < 0.05 and twelve.status is Status.FAIL


def test_families_must_not_be_worse_even_when_they_need_not_be_better() -> None:
    worse = suite("new", dict.fromkeys(FAMILIES, 0.9) | {"fee_apr": 0.1})
    base = suite("base", dict.fromkeys(FAMILIES, 0.1) | {"fee_apr": 0.9})
    verdict = gate(base, worse, **FAST)
    assert find(verdict, "slice family fee_apr").status is Status.FAIL
    assert verdict.status is Status.FAIL
    same = suite("new", dict.fromkeys(FAMILIES, 0.9) | {"fee_apr": 0.88})
    assert gate(base, same, **FAST).status is Status.PASS


def test_a_slice_too_small_to_show_a_loss_says_so() -> None:
    def moved(result: SuiteResult) -> SuiteResult:
        scores = [dataclasses.replace(s, difficulty="3" if i < 4 else "1") for i, s in enumerate(result.scores)]  # fmt: skip
        return SuiteResult(result.system, tuple(scores))

    verdict = gate(moved(BASE), moved(NEW), **FAST)
    assert "too few to show any loss" in find(verdict, "slice difficulty 3").sentence
    assert "would have shown" in find(verdict, "slice difficulty 1").sentence


def test_what_slice_an_item_belongs_to() -> None:
    score = NEW.scores[0]
    assert slice_of(score, "protocol") == score.version
    bare = dataclasses.replace(score, version="", cluster="t1@aave v3")
    assert slice_of(bare, "protocol") == "aave v3"
    assert slice_of(dataclasses.replace(bare, cluster="t1"), "protocol") == score.family
    assert slice_of(score, "difficulty") == "normal"
    with pytest.raises(ValueError, match="no slices by"):
        slice_of(score, "moon")


# -- floors and zero rules -----------------------------------------------------------------------


def test_a_floor_has_three_answers() -> None:
    # 85% of 240 items: above 0.7, below 0.97, undecided at 0.84.
    found = {
        floor: find(gate(BASE, NEW, floors={"overall": floor}, **FAST), "floor overall")
        for floor in (0.7, 0.84, 0.97)
    }
    assert [c.status for c in found.values()] == [Status.PASS, Status.INCONCLUSIVE, Status.FAIL]
    assert found[0.7].low > 0.7 and found[0.97].high < 0.97
    assert found[0.84].n_needed is not None and found[0.84].n_needed > 240
    for floor, check in found.items():
        assert (check.p <= 0.05) == (check.status is Status.PASS) and check.threshold == floor


def test_a_floor_on_a_family_nobody_scored_is_inconclusive() -> None:
    verdict = gate(BASE, NEW, floors={"perps": 0.9, FAMILIES[0]: 0.5}, **FAST)
    assert find(verdict, "floor perps").status is Status.INCONCLUSIVE
    assert find(verdict, "floor perps").n_needed == 25  # all right: 25 / (25 + z^2) > 0.9
    assert find(verdict, f"floor {FAMILIES[0]}").status is Status.PASS
    assert find(verdict, f"floor {FAMILIES[0]}").n == 40
    with pytest.raises(ValueError, match="floor"):
        gate(BASE, NEW, floors={"overall": 1.0}, **FAST)


def test_a_zero_rule_has_three_answers() -> None:
    def judged(right: int, n: int) -> Check:
        suite_ = BehaviourScores("leak", "zero", cases("new", right, n))
        return find(gate(BASE, NEW, behaviours=[suite_], **FAST), "behaviour leak")

    assert judged(59, 59).status is Status.PASS and judged(59, 59).low > 0.95
    few = judged(58, 58)
    assert (few.status, few.n_needed) == (Status.INCONCLUSIVE, 59)
    failed = judged(58, 59)
    assert failed.status is Status.FAIL and "1 of 59" in failed.sentence


def test_a_behaviour_floor_has_three_answers() -> None:
    def judged(right: int) -> Status:
        suite_ = BehaviourScores("refusal", "floor", cases("new", right, 100), floor=0.8)
        return find(gate(BASE, NEW, behaviours=[suite_], **FAST), "behaviour refusal").status

    assert [judged(n) for n in (95, 82, 60)] == [Status.PASS, Status.INCONCLUSIVE, Status.FAIL]


def test_behaviour_noninferiority_has_three_answers_and_needs_the_base() -> None:
    def judged(right: int, base: SuiteResult | None) -> Status:
        suite_ = BehaviourScores("language", "noninferior", cases("new", right, 100), base)
        return find(gate(BASE, NEW, behaviours=[suite_], **FAST), "behaviour language").status

    base = cases("base", 90, 100)
    assert [judged(n, base) for n in (90, 84, 50)] == [
        Status.PASS,
        Status.INCONCLUSIVE,
        Status.FAIL,
    ]
    assert judged(90, None) is Status.INCONCLUSIVE
    odd = BehaviourScores("odd", "never", cases("new", 1, 1))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no rule"):
        gate(BASE, NEW, behaviours=[odd], **FAST)


# -- looks and JSON ------------------------------------------------------------------------------


def test_a_look_sets_the_level_and_is_shown(tmp_path: Path) -> None:
    ledger = LookLedger(tmp_path)
    ledger.look("holdout", "artefact-old")
    look = ledger.look("holdout", "artefact-new")
    beside = {
        "forgetting": (general(41), general(41)),
        "behaviours": [BehaviourScores("leak", "zero", cases("new", 59, 59))],
    }
    verdict = gate(BASE, NEW, look=look, **beside, **FAST)
    # Only the holdout is looked at again; 59 cases and 64 questions keep what they can show.
    assert {c.name for c in verdict.checks if c.confidence == 0.95} == {
        "forgetting",
        "behaviour leak",
    }
    assert verdict.status is Status.PASS
    assert verdict.alpha == pytest.approx(0.05 / 6)
    assert (verdict.look, verdict.alpha_total, verdict.look_hash) == (2, 0.05, look.entry)
    assert verdict.alpha_spent == pytest.approx(0.05 * 2 / 3)
    assert verdict.alpha_left == pytest.approx(0.05 / 3)
    assert "Look 2 at this holdout" in verdict.sentence
    assert verdict.checks[0].confidence == pytest.approx(1 - 0.05 / 6)
    with pytest.raises(PairingError, match="another candidate"):
        gate(BASE, suite("other", 0.9), look=look, **FAST)
    with pytest.raises(ValueError, match=r"share alpha = 0\.05"):
        gate(BASE, NEW, look=look, alpha=0.01, **FAST)


def test_a_level_too_small_for_the_resamples_still_has_a_tail(tmp_path: Path) -> None:
    look = LookLedger(tmp_path).look("h", "artefact-new", schedule=Schedule(planned=10))
    wide, usual = gate(BASE, NEW, look=look, **FAST), gate(BASE, NEW, **FAST)
    assert look.alpha < 1e-8
    assert wide.checks[0].low < usual.checks[0].low - 0.05


def test_everything_at_once_survives_json(tmp_path: Path) -> None:
    verdict = gate(
        BASE,
        NEW,
        previous=suite("v1", 0.4),
        reference=NEW,
        quants={"Q8_0": broken(NEW, 0), "none": EMPTY},
        floors={"overall": 0.5, "perps": 0.5},
        behaviours=[BehaviourScores("leak", "zero", EMPTY)],
        forgetting=(general(41), general(40)),
        incomplete={"judge": "timed out"},
        look=LookLedger(tmp_path).look("holdout", "artefact-new"),
        resamples=200,
    )
    text = json.dumps(verdict.to_dict(), allow_nan=False)
    assert GateVerdict.from_dict(json.loads(text)) == verdict
    names = [check.name for check in verdict.checks]
    assert len(set(names)) == len(names)


def test_a_verdict_written_before_looks_were_counted_still_loads() -> None:
    data = gate(BASE, NEW, **FAST).to_dict()
    for key in ("look", "alpha_total", "alpha_spent", "alpha_left", "look_hash"):
        del data[key]
    data["checks"] = [
        {k: v for k, v in check.items() if k not in ("superior", "method")}
        for check in json.loads(json.dumps(data["checks"]))
    ]
    old = GateVerdict.from_dict(data)
    assert old.look is None and old.checks[0].superior is None and old.exit_code == 0
