"""Verified preferences, and a user's own rows: what is taken, and what is refused with its line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from denizen.data import build_rows, check_leaks, load_holdout, write_jsonl
from denizen.data.own import FORMS, Conversation, Text, read_own
from denizen.data.preferences import (
    Pair,
    Single,
    build_pairs,
    read_preferences,
    singles,
    to_pair,
    wrong_answers,
)
from denizen.improve.lessons import questions
from denizen.models import SYSTEM
from denizen.project.errors import DataError, LeakError
from denizen.tasks import CORE, FAMILIES, Item, compose, find_call, verify
from denizen.train.methods import OBJECTIVES


@pytest.fixture(scope="module")
def holdout() -> list[Item]:
    return load_holdout(CORE)


@pytest.mark.parametrize("name", list(FAMILIES))
def test_every_family_gives_verified_pairs(name: str) -> None:
    for seed in range(12):
        item = FAMILIES[name].generate(seed, "train")
        pair = to_pair(item, 0, SYSTEM)
        chosen, rejected = pair.chosen[-1]["content"], pair.rejected[-1]["content"]
        assert verify(item, chosen).ok and not verify(item, rejected).ok
        assert chosen == item.answer and pair.question == item.prompt
        # The wrong answer is written as a right one would be: only its content tells it.
        call = find_call(rejected)
        assert (call is not None) == (item.form == "call")
        assert call is None or rejected == compose(call)


def test_pairs_are_a_function_of_count_and_seed(holdout: list[Item]) -> None:
    one, report = build_pairs(60, 3, holdout, system=SYSTEM)
    two, _ = build_pairs(60, 3, holdout, system=SYSTEM)
    other, _ = build_pairs(60, 4, holdout, system=SYSTEM)
    assert one == two and len(one) == report.rows == 60 and report.families.keys() == set(CORE)
    assert {p.question for p in one}.isdisjoint(p.question for p in other)
    # The same items as the rows of supervised fine-tuning, and as far from the holdout.
    rows, _ = build_rows(60, 3, holdout, system=SYSTEM)
    assert [p.chosen[-1]["content"] for p in one] == [r.answer for r in rows]
    assert check_leaks(one, holdout).rows == 60
    item = holdout[0]
    leaked = to_pair(item, 0, SYSTEM)
    with pytest.raises(LeakError):
        check_leaks([*one, leaked], holdout)


def test_near_misses_vary_with_the_seed(holdout: list[Item]) -> None:
    item = next(i for i in holdout if len(set(wrong_answers(i))) > 1)
    assert len({to_pair(item, seed, SYSTEM).rejected[-1]["content"] for seed in range(20)}) > 1


def test_an_item_whose_near_misses_are_right_is_refused(
    holdout: list[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    item = holdout[0]
    family = replace(FAMILIES[item.family], near_misses=lambda i: (i.answer,))
    monkeypatch.setitem(FAMILIES, item.family, family)
    with pytest.raises(DataError, match="no pair"):
        to_pair(item, 0, SYSTEM)


def test_preferences_survive_a_file(tmp_path: Path, holdout: list[Item]) -> None:
    pairs, _ = build_pairs(24, 1, holdout, system=SYSTEM)
    write_jsonl(tmp_path / "pairs.jsonl", pairs)
    assert read_preferences(tmp_path / "pairs.jsonl", Pair) == pairs
    rows = singles(pairs)
    assert len(rows) == 48 and sum(r.label for r in rows) == 24
    for pair, good, bad in zip(pairs, rows[::2], rows[1::2], strict=True):
        assert (good.completion, bad.completion) == (pair.chosen, pair.rejected)
        assert good.label and not bad.label and good.prompt == bad.prompt == pair.prompt
    write_jsonl(tmp_path / "singles.jsonl", rows)
    assert read_preferences(tmp_path / "singles.jsonl", Single) == rows
    with pytest.raises(DataError, match=r"pairs\.jsonl:1"):
        read_preferences(tmp_path / "pairs.jsonl", Single)
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(DataError, match="empty"):
        read_preferences(tmp_path / "empty.jsonl", Pair)


# -- a user's own rows -------------------------------------------------------------------------

ITEM = FAMILIES["v2_quote"].generate(5, "train")
ASKED = [{"role": "user", "content": "Why?"}]
GOOD: dict[str, dict[str, Any]] = {
    "sft": {"messages": [*ASKED, {"role": "assistant", "content": "So."}]},
    "pretrain": {"text": "A pool holds two tokens."},
    "dpo": {"prompt": "Why?", "chosen": "So.", "rejected": "Thus."},
    "orpo": {"prompt": ASKED, "chosen": "So.", "rejected": "Thus."},
    "reward": {
        "prompt": ASKED,
        "chosen": [{"role": "assistant", "content": "So."}],
        "rejected": [{"role": "assistant", "content": "Thus."}],
    },
    "kto": {"prompt": "Why?", "completion": "So.", "label": False},
    "rloo": {"prompt": ITEM.prompt, "gold": ITEM.gold},
    "ppo": ITEM.to_json(),
    "grpo": {"prompt": ITEM.prompt, "gold": ITEM.gold},
}


def file(folder: Path, *lines: Any) -> Path:
    path = folder / "mine.jsonl"
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(texts), "utf-8")
    return path


def test_every_objective_takes_rows() -> None:
    assert FORMS.keys() == GOOD.keys() == set(OBJECTIVES)


def test_rows_come_as_they_are_written(tmp_path: Path) -> None:
    def read(objective: str, *lines: Any) -> Any:
        return read_own(file(tmp_path, *lines), objective, SYSTEM)

    (talk,) = read("sft", GOOD["sft"])
    assert isinstance(talk, Conversation) and talk.id == "mine.jsonl:1"
    assert [m["role"] for m in talk.messages] == ["user", "assistant"]
    (asked,) = read("sft", {"prompt": "Why?", "completion": "So."})
    assert [m["content"] for m in asked.messages] == [SYSTEM, "Why?", "So."]
    assert read("pretrain", "", GOOD["pretrain"]) == [
        Text("mine.jsonl:2", "A pool holds two tokens.")
    ]
    one, two = read("dpo", GOOD["dpo"], {**GOOD["dpo"], "prompt": ASKED})
    assert one.chosen == two.chosen == ({"role": "assistant", "content": "So."},)
    assert [m["role"] for m in one.prompt] == ["system", "user"]
    assert [m["role"] for m in two.prompt] == ["user"] and one.question == "Why?"
    assert read("reward", GOOD["reward"])[0].rejected[0]["content"] == "Thus."
    assert read("kto", GOOD["kto"])[0].label is False
    assert read("ppo", ITEM.to_json()) == [ITEM]
    (item,) = read("grpo", GOOD["grpo"])
    assert verify(item, ITEM.answer).ok and not verify(item, wrong_answers(ITEM)[0]).ok


@pytest.mark.parametrize(
    ("objective", "line", "what"),
    [
        ("sft", '{"messages": [', "not JSON"),
        ("sft", "[1, 2]", "not list"),
        ("sft", {"prompt": "Why?"}, "sft does not learn from a row with prompt"),
        ("sft", {}, "a row with nothing"),
        ("dpo", GOOD["sft"], 'give it {"prompt", "chosen", "rejected"}'),
        ("sft", {"messages": []}, "messages is []"),
        ("sft", {"messages": ASKED}, "ends with what the assistant says"),
        ("sft", {"prompt": "Why?", "completion": "  "}, "completion is empty"),
        ("sft", {"prompt": "Why?", "completion": ""}, "completion is empty"),
        ("sft", {"messages": [{"role": "me", "content": "x"}]}, 'no such role: "me"'),
        ("sft", {"messages": [{"role": "user"}]}, "a role and a content"),
        ("sft", {"messages": [{"role": "user", "content": 7}]}, "is 7"),
        ("pretrain", {"text": ["a"]}, "text is"),
        ("dpo", {**GOOD["dpo"], "rejected": "So."}, "are the same"),
        ("dpo", {**GOOD["dpo"], "prompt": GOOD["sft"]["messages"]}, "ends with the assistant"),
        ("dpo", {**GOOD["dpo"], "chosen": ASKED}, "another than the assistant"),
        ("kto", {**GOOD["kto"], "label": "good"}, "write true or false"),
        ("kto", {**GOOD["kto"], "label": 1}, "write true or false"),
        ("sft", {"prompt": "Why \ud83d?", "completion": "So."}, "half a character"),
        ("grpo", {**ITEM.to_json(), "prompt": 5}, "prompt is 5"),
        ("grpo", {"prompt": "Why?", "gold": "v2_in(in=1)"}, "cannot be evaluated"),
        ("grpo", {"prompt": "Why?", "gold": "print(1)"}, "cannot be evaluated"),
        ("grpo", {**ITEM.to_json(), "split": "holdout"}, "of the holdout"),
        ("grpo", {**ITEM.to_json(), "form": "object"}, "cannot be evaluated"),
    ],
)
def test_a_bad_line_is_refused_with_its_number(
    tmp_path: Path, objective: str, line: Any, what: str
) -> None:
    with pytest.raises(DataError) as raised:
        read_own(file(tmp_path, "", line), objective, SYSTEM)
    assert what in str(raised.value) and "mine.jsonl:2" in str(raised.value)
    assert raised.value.fix and "\n" not in str(raised.value)


def test_a_bad_file_is_refused(tmp_path: Path) -> None:
    other = {"prompt": "Why?", "completion": "So."}
    with pytest.raises(DataError, match="mixes rows of messages with rows of prompt, completion"):
        read_own(file(tmp_path, GOOD["sft"], other), "sft", SYSTEM)
    with pytest.raises(DataError, match="no row"):
        read_own(file(tmp_path, "", " "), "sft", SYSTEM)
    with pytest.raises(DataError, match="cannot read"):
        read_own(tmp_path / "none.jsonl", "sft", SYSTEM)
    path = tmp_path / "latin.jsonl"
    path.write_bytes('{"text": "é"}'.encode("latin-1"))
    with pytest.raises(DataError, match="UTF-8"):
        read_own(path, "pretrain", SYSTEM)


def test_rows_of_a_user_are_kept_from_the_holdout(tmp_path: Path, holdout: list[Item]) -> None:
    mine = [GOOD["dpo"], {**GOOD["dpo"], "prompt": holdout[3].prompt}]
    rows = read_own(file(tmp_path, *mine), "dpo", SYSTEM)
    assert check_leaks(rows[:1], holdout).rows == 1
    with pytest.raises(LeakError, match=r"mine\.jsonl:2"):
        check_leaks(rows, holdout)


def test_an_exam_question_is_found_among_other_words_and_turns(
    tmp_path: Path, holdout: list[Item]
) -> None:
    (exam,) = [i for i in holdout if i.family == "mechanics"][:1]
    talk = [
        {"role": "user", "content": exam.prompt},
        {"role": "assistant", "content": exam.answer},
        {"role": "user", "content": "Thank you."},
        {"role": "assistant", "content": "Any time."},
    ]
    (row,) = read_own(file(tmp_path, {"messages": talk}), "sft", SYSTEM)
    assert row.question == "Thank you." and check_leaks([row], holdout).rows == 1
    with pytest.raises(LeakError, match="the same question"):
        check_leaks(questions([row]), holdout)
    text = {
        "text": f"A study sheet for next week. {exam.prompt} {exam.answer} More of it later on."
    }
    (sheet,) = read_own(file(tmp_path, text), "pretrain", SYSTEM)
    with pytest.raises(LeakError, match="the same wording"):
        check_leaks(questions([sheet]), holdout)
