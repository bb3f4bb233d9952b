"""Every listed suite proves itself without a model, and a part of it is still a fair sample."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from denizen.evaluate.runner import run_suite
from denizen.evaluate.suites import BEHAVIOURS, Behaviour, behaviours, take
from denizen.evaluate.suites._cases import prose, shown, spread
from denizen.evaluate.suites.base import Case
from denizen.project.errors import DataError

# The suites of this file's neighbours; others may be listed besides.
NAMES = (
    "instructions", "language", "script", "safety", "overrefusal", "injection", "injection_clean",
    "schema",
)  # fmt: skip


@pytest.fixture(params=NAMES)
def behaviour(request: pytest.FixtureRequest) -> Behaviour:
    return BEHAVIOURS[request.param]


def test_silence_does_not_win_a_suite_or_its_twin(behaviour: Behaviour) -> None:
    # Safety-like suites cannot be lost by silence, so each has a twin that silence loses.
    twins = {"script": "language", "safety": "overrefusal", "injection": "injection_clean"}
    lost = BEHAVIOURS[twins.get(behaviour.name, behaviour.name)]
    for answer in ("", "   \n"):
        assert not any(lost.judge(case, answer).ok for case in lost.cases)


def test_it_validates_itself_without_a_model(behaviour: Behaviour) -> None:
    behaviour.validate()


def test_validation_notices_a_judge_that_likes_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    from denizen.evaluate.suites import instructions

    monkeypatch.setitem(instructions.CHECKS, "max_words", lambda text, n: True)
    with pytest.raises(AssertionError, match="words-max"):
        BEHAVIOURS["instructions"].validate()


def test_cases_are_many_unique_and_several_a_wording(behaviour: Behaviour) -> None:
    cases = behaviour.cases
    assert len(cases) >= 120
    assert len({case.id for case in cases}) == len({case.prompt for case in cases}) == len(cases)
    assert "{" + "topic" not in " ".join(case.prompt for case in cases)
    templates = {case.family: set() for case in cases}
    for case in cases:
        templates[case.family].add(case.template)
    assert all(len(wordings) >= 3 for wordings in templates.values())
    assert 48 <= behaviour.max_tokens <= 160


@pytest.mark.parametrize("n", [8, 40, 77])
def test_any_beginning_holds_the_families_in_proportion(behaviour: Behaviour, n: int) -> None:
    part = take(behaviour, n)
    assert part.cases == take(behaviour, 10_000).cases[:n] == behaviour.cases[:n]
    whole, found = Counter(c.family for c in behaviour.cases), Counter(c.family for c in part.cases)
    for family, count in whole.items():
        assert abs(found[family] - n * count / len(behaviour.cases)) < 1.01


def test_take_also_orders_suites_that_are_not_spread() -> None:
    cases = [Case(f"{f}{t}{i}", f, "?", t) for f in "ba" for t in "xyz" for i in range(4)]
    made = replace(BEHAVIOURS["schema"], cases=tuple(cases))
    assert [c.id for c in take(made, 6).cases] == ["ax0", "bx0", "ay0", "by0", "az0", "bz0"]
    assert spread(spread(cases)) == spread(cases)
    with pytest.raises(DataError, match="at least 1"):
        take(made, 0)


def test_unknown_names_are_told_and_nothing_else_is_made() -> None:
    with pytest.raises(DataError, match="no behaviour suite is called 'instrctions'"):
        behaviours(["instrctions"])
    assert [b.name for b in behaviours(["script", "safety", "script"])] == ["script", "safety"]
    assert {b.name for b in behaviours()} >= set(NAMES) <= set(BEHAVIOURS)
    assert "nothing" not in BEHAVIOURS and BEHAVIOURS["schema"] is BEHAVIOURS["schema"]


def test_the_runner_scores_them_as_they_are() -> None:
    part = take(BEHAVIOURS["injection_clean"], 10)
    result = run_suite(
        part.cases, lambda batch: [c.facts["gold"][0] for c in batch], part.judge, "oracle"
    )
    assert result.accuracy == 1.0 and len({s.cluster for s in result.scores}) == 10


def test_calls_are_dropped_or_shown_as_their_result() -> None:
    answer = "A fee. <calc>cannot_answer(missing=price)</calc><|im_end|>"
    assert prose(answer) == "A fee." and prose("A <calc>x(") == "A"
    assert "cannot be answered" in shown(answer) and "<calc>" not in shown("a <calc>no</calc> b")
