"""The Analyst's report: recomputed by its rules, corrected where stated figures contradict it."""

from __future__ import annotations

import json
from copy import deepcopy

import pytest

from denizen.serve.answering.claims import UNVERIFIED
from denizen.serve.answering.formats import broken, faults
from denizen.serve.answering.report import (
    REPORT_SCHEMA,
    UNDECIDED,
    as_text,
    review,
    wanted,
)
from denizen.serve.answering.stated import read
from denizen.serve.exchange import Format
from denizen.tasks import FAMILIES, SchemaError, suite_of
from denizen.tasks.families import analyst_report

FAMILY = FAMILIES["analyst_report"]
ENTRY = (
    "Should we go into the WETH/USDC pool? We are not in it today. Facts: fee APR 12%; no "
    "incentives; impermanent loss 2% on a price move of -25%; TVL $400k; audited 90 days ago; "
    "live for 200 days; top ten holders own 20%. Answer as a report."
)
SAID = {
    "yield_assessment": "moderate",
    "apr_sustainable": "moderate",
    "risk_flags": [],
    "recommendation": "enter",
    "confidence": 0.9,
}


def told(**changes: object) -> str:
    return json.dumps(SAID | changes)


def test_a_flag_that_the_figures_raise_is_added_and_the_advice_follows() -> None:
    found = review(ENTRY, told())
    assert found.recomputed and found.ok
    assert found.object()["risk_flags"] == ["low liquidity"]
    assert found.object()["recommendation"] == "stay out"
    assert ("risk_flags: none", "risk_flags: low liquidity") in found.corrections
    assert ("recommendation: enter", "recommendation: stay out") in found.corrections


def test_a_flag_that_the_figures_contradict_is_taken_away() -> None:
    question = ENTRY.replace("$400k", "$40M")
    found = review(question, told(risk_flags=["low liquidity"], recommendation="stay out"))
    assert found.object()["risk_flags"] == [] and found.object()["recommendation"] == "enter"


def test_a_right_report_stays_as_it_is() -> None:
    found = review(ENTRY, told(risk_flags=["low liquidity"], recommendation="stay out"))
    assert not found.corrections and found.ok and not found.flags


def test_unread_figures_leave_what_cannot_be_decided() -> None:
    question = ENTRY + " Our quants say 37% of something."
    found = review(question, told(risk_flags=["low liquidity", "old audit"], confidence=0.45))
    assert not found.recomputed and found.ok and found.flags == (UNVERIFIED,)
    # The audit is 90 days old and was read; the confidence cannot be decided.
    assert found.object()["risk_flags"] == ["low liquidity"]
    assert found.object()["confidence"] == 0.45
    assert found.object()["recommendation"] == "gather data"


def test_an_advice_that_depends_on_an_unknown_stance_is_flagged() -> None:
    found = review("Report on it, please.", told(recommendation="gather data"))
    assert found.flags == (UNDECIDED, UNVERIFIED) and not found.ok


def test_a_report_without_figures_to_check_it_by_says_so() -> None:
    found = review("Should we enter what my friend told me of? Answer as a report.", told())
    assert found.ok and not found.recomputed and found.flags == (UNVERIFIED,)
    # That a pool's figures are not stated is read, too.
    none = review("Should we enter the pool my friend told me of? Answer as a report.", told())
    assert none.object()["yield_assessment"] == "unknown" and not none.flags


def test_the_reasons_are_the_rules_that_fired_and_are_marked() -> None:
    found = review(ENTRY, told())
    text = "; ".join(found.rationale)
    assert (
        "10.00% is moderate" in text and "TVL below $1,000,000" in text and "risk score 2" in text
    )
    report = found.report()
    assert not faults(report, REPORT_SCHEMA)
    assert report["recommendations"][0]["rationale_by"] == "rules"
    assert report["recommendations"][0]["action"] == "stay out"
    assert list(report) == list(REPORT_SCHEMA["properties"])


def test_no_object_is_a_schema_error() -> None:
    with pytest.raises(SchemaError):
        review(ENTRY, told(recommendation="buy"))


def test_schemas_that_the_analyst_knows_are_recognised_by_their_fields() -> None:
    suite = suite_of("analyst_report,range_status")
    own = Format("json_schema", FAMILY.schema.json_schema() if FAMILY.schema else None)
    found = wanted(own, suite)
    assert found is not None and not found.with_reasons
    reasons = wanted(Format("json_schema", REPORT_SCHEMA), suite)
    assert reasons is not None and reasons.with_reasons
    assert wanted(Format("json_schema", {"properties": {"a": {}}}), suite) is None
    assert wanted(Format("json_object"), suite) is None
    # The rules recompute it whatever the model was trained for.
    other = wanted(Format("json_schema", REPORT_SCHEMA), suite_of("core"))
    assert other is not None and other.with_reasons
    # A strict schema without a place for who gives the reasons, as most people write it.
    plain = deepcopy(REPORT_SCHEMA)
    advice = plain["properties"]["recommendations"]["items"]
    del advice["properties"]["rationale_by"]
    advice["required"].remove("rationale_by")
    meant = wanted(Format("json_schema", plain), suite)
    assert meant is not None and meant.with_reasons
    assert not faults(review(ENTRY, told()).report(meant.fields), plain)
    # Words that the rules do not know, or fewer: no report of ours would keep to it.
    for name in ("yield_assessment", "apr_sustainable"):
        bands = deepcopy(REPORT_SCHEMA)
        bands["properties"][name] = {"enum": ["low", "medium", "high"]}
        assert wanted(Format("json_schema", bands), suite) is None
    # Of the same names, but another shape: the model writes it freely.
    other = {"properties": {"yield_assessment": {"type": "number"}, "recommendations": {}}}
    assert wanted(Format("json_schema", other), suite) is None


@pytest.mark.parametrize("split", ["train", "dev"])
def test_gold_reports_are_not_harmed(split: str) -> None:
    """Figures are read from wording; reading one wrongly would spoil a right answer."""
    harmed, recomputed = [], 0
    for seed in range(120):
        item = analyst_report.generate(seed, split)  # type: ignore[arg-type]
        found = review(item.prompt, item.gold)
        recomputed += found.recomputed
        if found.corrections:
            harmed.append((item.id, found.corrections))
    assert len(harmed) <= 1, harmed[:3]
    assert recomputed >= (60 if split == "train" else 20)


def test_wrong_reports_are_put_right() -> None:
    right = wrong = 0
    for seed in range(60):
        item = analyst_report.generate(seed, "train")
        for miss in analyst_report.near_misses(item)[:4]:
            try:
                found = review(item.prompt, miss)
            except SchemaError:
                continue
            right += json.loads(as_text(found.object())) == json.loads(item.gold)
            wrong += 1
    assert right / wrong > 0.6, (right, wrong)


def test_statements_are_read_by_their_wording() -> None:
    found = read(ENTRY, held=False)
    assert found is not None and found.complete
    figures = found.figures
    assert figures.venue == "pool" and figures.tvl is not None and figures.tvl.value == 400_000
    assert figures.fee_apr is not None and str(figures.fee_apr.value) == "0.12"
    assert figures.incentive_apr is not None and figures.incentive_apr.value == 0
    assert figures.impermanent_loss is not None and str(figures.impermanent_loss.value) == "0.02"
    stale = read(ENTRY.replace("fee APR 12%", "fee APR 12% as measured 20 days ago"), held=False)
    assert stale is not None and stale.figures.fee_apr is not None
    assert stale.figures.fee_apr.age == 20
    assert read("Give me a report.", held=False) is None
    twice = ENTRY.replace("TVL $400k", "TVL $400k; TVL $9M")
    assert read(twice, held=False) is None


def test_answers_against_schemas_are_judged_by_the_library() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "number", "minimum": 3}},
              "required": ["a"], "additionalProperties": False}  # fmt: skip
    asked = Format("json_schema", schema)
    assert broken('{"a": 3}', asked) is None
    assert "less than the minimum" in str(broken('{"a": 2}', asked))
    assert "required" in str(broken("{}", asked))
    assert "not valid JSON" in str(broken("{", asked))
    assert "not valid JSON" in str(broken('{"a": NaN}', asked))
    assert broken("[]", Format("json_object")) == "not a JSON object"
    assert broken("words", Format()) is None


@pytest.mark.parametrize(
    ("said", "unaudited"),
    [
        ("audited by two firms with no critical findings", None),
        ("audited without findings", None),
        ("no findings in the audit", None),
        ("no audit issues", None),
        ("audit pending", None),
        ("never audited", True),
        ("it has not been audited", True),
        ("audit: none", True),
        ("audited: no", True),
    ],
)
def test_an_audit_without_findings_is_an_audit(said: str, unaudited: bool | None) -> None:
    found = read(ENTRY.replace("audited 90 days ago", said), held=False)
    assert found is not None
    assert found.figures.unaudited is bool(unaudited)
    assert found.complete is bool(unaudited)  # what was not read is not taken for absent


@pytest.mark.parametrize(
    ("said", "inside"),
    [
        ("the position is out of range", False),
        ("the position is not in range", False),
        ("the price has left our range", False),
        ("the position is in range", True),
        ("in range and with 5 days left", True),
        ("the position is not out of range", None),
        ("the price has never left our range", None),
        ("in range and not near its bounds", None),
    ],
)
def test_a_range_that_is_denied_twice_is_not_guessed_at(said: str, inside: bool | None) -> None:
    found = read(ENTRY.replace("audited 90 days ago", said), held=True)
    assert found is not None
    assert ("in_range" in found.names) is (inside is not None)
    assert inside is None or found.figures.in_range is inside


def test_a_figure_named_after_a_comma_and_not_read_leaves_the_question_open() -> None:
    found = read(ENTRY.replace("audited 90 days ago; ", "").replace(
        "fee APR 12%", "fee APR 12%, security review pending"), held=False)  # fmt: skip
    assert found is not None and not found.complete
    more = read(ENTRY.replace("no incentives", "incentives 3% APR, end not announced"), held=False)
    assert more is not None and more.complete
