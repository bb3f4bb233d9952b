"""Checkable constraints: an answer that only nearly follows does not follow."""

from __future__ import annotations

import pytest

from denizen.evaluate.suites import BEHAVIOURS
from denizen.evaluate.suites.instructions import CHECKS, judge, sentences, unfence

SUITE = BEHAVIOURS["instructions"]


@pytest.mark.parametrize(
    ("kind", "value", "good", "bad"),
    [
        ("sentences", 2, "It costs 0.3%, e.g. 3 USDC. Mind that.", "It costs 0.3. 5 USDC. Yes."),
        ("sentences", 1, "它是一个池子。", "它是池子。它收费。"),
        ("max_words", 3, "one two three", "one two three four"),
        ("excludes", ["the"], "Bathe in other waters", "Bathe in The waters"),
        ("contains", ["fee"], "A fee, paid", "coffee"),
        ("upper", True, "ETH IS 5", "ETH Is 5"),
        ("upper", True, "A", "5"),
        ("bullets", ["-", 2], "- a\n- b", "- a\n-b"),
        ("numbered", 2, "1. a\n2) b", "1. a\n3. b"),
        ("ends", "the end", "It is the end.", "the end is near"),
        ("json_keys", ["a"], '{"a": 1}', '{"a": 1} '"x"),
        ("json_type", ["a", "boolean"], '{"a": false}', '{"a": 0}'),
        ("json_type", ["a", "number"], '{"a": 0.5}', '{"a": "0.5"}'),
        ("exact", "Order received", '"Order received."', "Order received!!x"),
        ("table", [["A", "B"], 1], "|A|B|\n|-|-|\n|1|2|", "|A|B|\n|1|2|\n|3|4|"),
        ("order", ["sun", "moon"], "sunrise, then the moon", "moon, then sun"),
        ("ascending", 3, "1 5 30", "1 30 5"),
        ("language", "de", "Das ist ein guter Tag für uns alle.", "This is a good day for us all."),
        ("no_chars", ",", "a b", "a, b"),
        ("paragraphs", 2, "a\n\nb", "a\n\nb\n\nc"),
        ("alphabetical", True, "ant\nbee", "bee\nant"),
        ("csv", [2, 1], "a,b\n1,2", "a,b\n1,"),
    ],
)  # fmt: skip
def test_each_check_parts_good_from_nearly_good(
    kind: str, value: object, good: str, bad: str
) -> None:
    assert CHECKS[kind](good, value)
    assert not CHECKS[kind](bad, value)


def test_every_check_is_used_and_every_case_uses_known_ones() -> None:
    assert {kind for case in SUITE.cases for kind, _ in case.facts["checks"]} == set(CHECKS)


def test_every_value_was_filled_and_agrees_with_its_prompt() -> None:
    for case in SUITE.cases:
        assert "{" not in case.prompt and "{" not in str(case.facts["checks"])
        for kind, value in case.facts["checks"]:
            if kind in ("max_words", "min_words"):
                assert str(value) in case.prompt
            if kind in ("contains", "starts", "excludes", "order"):
                for phrase in [value] if isinstance(value, str) else value:
                    assert phrase.lower() in case.prompt.lower() or phrase == '"'


def test_partial_credit_is_the_share_of_constraints() -> None:
    case = next(c for c in SUITE.cases if c.template == "mixed-list")
    n = case.facts["checks"][0][1][1]
    lines = "\n".join("- start small" for _ in range(n))
    assert judge(case, lines).score == 1.0
    assert judge(case, lines.upper()).score == pytest.approx(2 / 3)
    assert judge(case, "A call. <calc>x(a=1)</calc>").score == 0.0


def test_helpers() -> None:
    assert unfence("```json\n[1]\n```") == "[1]" and unfence(" x ") == "x"
    assert len(sentences("Is it? Yes! It costs 1.5 USDC.\n- and more")) == 4
