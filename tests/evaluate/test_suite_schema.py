"""The analyst's object without a grammar: what a strict consumer could not read does not pass."""

from __future__ import annotations

import json

import pytest

from denizen.data.holdout import load_holdout
from denizen.evaluate.suites import BEHAVIOURS
from denizen.evaluate.suites.schema import judge, problems
from denizen.tasks import FAMILIES

SUITE = BEHAVIOURS["schema"]
CASE = SUITE.cases[0]
GOLD = json.loads(CASE.facts["gold"])


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("I would enter the pool.", "no JSON object"),
        ("", "no JSON object"),
        (json.dumps(GOLD)[:-9], "no JSON object"),
        ("[" * 100_000, "no JSON object"),
        (json.dumps(GOLD | {"confidence": 1.01}), "confidence is out of bounds"),
        (json.dumps(GOLD | {"confidence": True}), "confidence is not of type number"),
        ('{"confidence": 1e999}', "confidence is out of bounds"),
        (json.dumps(GOLD | {"recommendation": "buy"}), "'buy' is no option"),
        (json.dumps(GOLD | {"risk_flags": ["unaudited"] * 2}), "risk_flags repeats itself"),
        (json.dumps(GOLD | {"risk_flags": [["unaudited"]]}), "risk_flags is not of type string"),
        (json.dumps(GOLD | {"advice": "x"}), "no field 'advice'"),
        (f"Report: {json.dumps(GOLD)}", "text around the object"),
        ("{}", "confidence is missing"),
    ],
)
def test_each_fault_fails_and_is_named(answer: str, reason: str) -> None:
    judgement = judge(CASE, answer)
    assert not judgement.ok and reason in judgement.reason and judgement.score < 1


def test_form_is_judged_and_not_the_analysis() -> None:
    other = GOLD | {"yield_assessment": "extreme", "recommendation": "exit", "risk_flags": []}
    assert judge(CASE, json.dumps(other)).ok


def test_the_score_is_partial() -> None:
    one, two = GOLD | {"confidence": 2}, GOLD | {"confidence": 2, "extra": 1}
    scores = [judge(CASE, json.dumps(o)).score for o in (GOLD, one, two)]
    assert scores == [1.0, pytest.approx(6 / 7), pytest.approx(5 / 7)]
    assert judge(CASE, "{}").score == pytest.approx(2 / 7) and judge(CASE, "x").score == 0


def test_the_prompt_tells_every_field_option_and_bound() -> None:
    schema = FAMILIES["analyst_report"].schema
    assert schema is not None
    for case in SUITE.cases:
        for field in schema.fields:
            assert f'"{field.name}"' in case.prompt
            assert all(f'"{option}"' in case.prompt for option in field.options)
        assert "{" not in case.prompt


def test_no_question_is_one_of_the_frozen_holdout() -> None:
    frozen = {item.prompt for item in load_holdout(["analyst_report"])}
    assert frozen and not any(old in case.prompt for case in SUITE.cases for old in frozen)


def test_other_keywords_of_the_schemas_are_checked() -> None:
    nullable = {"anyOf": [{"type": "string", "maxLength": 3}, {"type": "null"}]}
    assert not problems(None, nullable) and not problems("abc", nullable)
    assert problems("abcd", nullable) and problems(3, nullable)
    address = {"type": "string", "pattern": "^0x[0-9a-f]{4}$"}
    assert not problems("0xabcd", address) and problems("0xabc", address)
    assert problems(1.5, {"type": "integer"}) and problems(-1, {"type": "number", "minimum": 0})
