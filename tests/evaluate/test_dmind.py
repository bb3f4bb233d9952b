"""The DMind adapter on questions of our own in its public layout; no row of DMind is here."""

from __future__ import annotations

import collections
import csv
import json
from pathlib import Path

import pytest

from denizen.evaluate.records import Score
from denizen.evaluate.suites.dmind import (
    DmindQuestion,
    dmind_suite,
    judge,
    points,
    read_dmind,
    read_letters,
    shuffled,
)
from denizen.project import DataError

HEAD = ["No", "classification", "Question", "Option A", "Option B", "Option C", "Option D"]
HEAD += ["Correct option", "Multiple Choice or Not"]
ROWS = [
    ["1", "Basic", "Which pools keep reserves?", "v2", "v3", "v4", "none", "A", "No"],
    ["2", "Basic", "Which are lenders?", "Aave", "Lido", "Morpho", "ENS", "A, C", "Yes"],
    ["3", "Hard", "Which use ticks?", "v2", "v3", "v4", "Curve", "B/C", "Yes"],
    ["4", "Hard", "Which of these are tokens?", "UNI", "COMP", "CRV", "SNX", "ABCD", "Yes"],
    ["5", "Hard", "Shifted by a comma", "a", "b", "c", "d", "Faster", "A"],
    ["6", "Hard", "", "a", "b", "c", "d", "A", "No"],
    ["7", "Hard", "No such option?", "a", "b", "", "", "D", "No"],
]


def folder(tmp_path: Path) -> Path:
    (tmp_path / "objective").mkdir()
    (tmp_path / "subjective").mkdir()
    with (tmp_path / "objective" / "Defi.csv").open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows([HEAD, *ROWS])
    (tmp_path / "subjective" / "Defi.jsonl").write_text('{"question_type": "ordering"}\n')
    return tmp_path


def test_always_the_same_letter_or_all_letters_is_no_strategy() -> None:
    questions = [
        DmindQuestion(f"q{i}", "s", f"q{i}", tuple(f"{i}{c}" for c in "wxyz"), frozenset({0}))
        for i in range(400)
    ]
    cases = dmind_suite(questions).cases
    for answer in ("A", "D"):
        share = sum(judge(case, answer).ok for case in cases) / 400
        assert 0.19 < share < 0.31
    assert not any(judge(case, "A/B/C/D").score for case in cases)


def test_public_layout(tmp_path: Path) -> None:
    loaded = read_dmind(folder(tmp_path))
    assert [len(q.answer) for q in loaded.questions] == [1, 2, 2, 4]
    assert len(loaded.left_out) == 3 and "Defi.csv:5: the answer 'Faster'" in loaded.left_out[0]
    suite = dmind_suite(loaded.questions)
    suite.validate()
    assert {case.family for case in suite.cases} == {"dmind/Defi"}
    case = suite.cases[1]
    named = {line[3:] for line in case.prompt.splitlines() if line[:1] in case.facts["answer"]}
    assert {"Aave", "Morpho"} <= named
    assert judge(case, "/".join(case.facts["answer"])).ok
    assert judge(case, case.facts["answer"][0]).score == pytest.approx(1 / 3)
    assert judge(case, "A/B/C/D").score == 0


def test_jsonl_in_either_spelling(tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    rows = [
        {"question": "Which?", "options": ["x", "y"], "answer": ["A"]},
        {"Question": "Who?", "option_a": "x", "option_b": "y", "correct_option": "B"},
        {"question": "What?", "options": {"A": "x", "B": "y"}, "answer": "A,B"},
    ]
    file.write_text("\n".join(map(json.dumps, rows)))
    assert [sorted(q.answer) for q in read_dmind(file).questions] == [[0], [1], [0, 1]]


def test_the_shuffle_is_of_the_item_and_leaves_what_needs_its_place() -> None:
    def question(*options: str, key: str = "k") -> DmindQuestion:
        return DmindQuestion(key, "s", "q", options, frozenset({0}))

    plain = question("a", "b", "c", "d")
    assert shuffled(plain, 0) == shuffled(plain, 0)
    orders = {tuple(shuffled(question("a", "b", "c", "d", key=str(i)), 0)) for i in range(200)}
    assert len(orders) == 24
    above = {
        shuffled(question("a", "b", "c", "All of the above", key=str(i)), 0)[-1] for i in range(50)
    }
    assert above == {3}
    letters = question("a", "b", "Both A and B", "d")
    assert all(shuffled(letters, seed) == [0, 1, 2, 3] for seed in range(20))
    first = collections.Counter(shuffled(plain, seed)[0] for seed in range(400))
    assert min(first.values()) > 60


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("A", "A"),
        ("B/D", "BD"),
        ("(A), (C)", "AC"),
        ("ACD", "ACD"),
        ("A and C", "AC"),
        ("**B**", "B"),
        ("The answer is A and C.", "AC"),
        ("Correct options: **A, B, D**", "ABD"),
        ("I first thought the answer is A.\nThe answer is D", "D"),
        ("B. Proof of stake\nD. Rollups", "BD"),
        ("<think>A? B?</think>\nC", "C"),
        ("Reasons first.\n\nA/B", "AB"),
        ("", ""),
        ("A pool is a contract that lends.", ""),
        ("It depends on plan B being cheap", ""),
        ("Because", ""),
    ],
)
def test_reading_letters(text: str, letters: str) -> None:
    assert (read_letters(text) or set()) == set(letters)


def test_points_are_theirs() -> None:
    def score(expected: str, ok: bool, value: float, key: str) -> Score:
        return Score(key, "f", key, "", "", "", "", None, expected, ok, value)

    scores = [
        score("A", True, 1.0, "1"),  # 2 of 2
        score("A/B", True, 1.0, "2"),  # 3 of 3
        score("A/B", False, 1 / 3, "3"),  # 1 of 3
        score("B", False, 0.0, "4"),  # 0 of 2
    ]
    assert points(scores) == pytest.approx(6 / 10)
    with pytest.raises(ValueError):
        points([])


def test_wrong_files_are_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no multiple-choice question"):
        read_dmind(tmp_path)
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="no multiple-choice question"):
        read_dmind(tmp_path / "x.csv")
    (tmp_path / "x.jsonl").write_text("{")
    with pytest.raises(DataError, match="cannot read"):
        read_dmind(tmp_path / "x.jsonl")
