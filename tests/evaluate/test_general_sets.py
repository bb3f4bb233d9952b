"""Public sets: every file normalises, hub rows do, and what does not says which line and field."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from denizen.evaluate.general import SETS, GeneralItem, chosen_sets, judge_item, read_set, read_sets
from denizen.project.errors import DataError

PUBLIC = Path(__file__).parents[3] / "shared" / "data" / "general-evals"
shared = pytest.mark.skipif(not PUBLIC.is_dir(), reason=f"no public sets at {PUBLIC.name}")


def arc(folder: Path, *records: Any) -> Path:
    lines = [r if isinstance(r, str) else json.dumps(r) for r in records]
    (folder / "arc_easy.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    return folder


GOOD = {"query": "Question: Which is a metal?", "choices": ["iron", "oak"], "gold": 0}


def test_a_renamed_field_is_one_line_with_file_line_and_field(tmp_path: Path) -> None:
    renamed = {"question": "Q?", "choices": ["a", "b"], "gold": 0}
    with pytest.raises(DataError) as told:
        read_set(SETS["arc_easy"], arc(tmp_path, GOOD, renamed))
    assert "'query'" in told.value.what and "choices, gold, question" in told.value.what
    assert told.value.where == f"{tmp_path / 'arc_easy.jsonl'}:2"
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ("{", "JSON"),
        ("[1]", "not a JSON object"),
        ({**GOOD, "gold": 2}, "gold option 2 is none of 2"),
        ({**GOOD, "gold": True}, "gold option"),
        ({**GOOD, "gold": "0"}, "gold option"),
        ({**GOOD, "choices": ["iron"]}, "two options"),
        ({**GOOD, "choices": "iron"}, "list of texts"),
        ({**GOOD, "choices": ["iron", ""]}, "list of texts"),
        ({**GOOD, "query": " "}, "must be text"),
        ({**GOOD, "query": "\ud800"}, "surrogates"),
    ],
)
def test_unusable_records_are_refused(tmp_path: Path, record: Any, said: str) -> None:
    with pytest.raises(DataError, match=said) as told:
        read_set(SETS["arc_easy"], arc(tmp_path, record))
    assert str(told.value.where).endswith("arc_easy.jsonl:1")


def test_missing_and_empty_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read the public set arc_easy"):
        read_set(SETS["arc_easy"], tmp_path)
    with pytest.raises(DataError, match="no records"):
        read_set(SETS["arc_easy"], arc(tmp_path, ""))
    (tmp_path / "arc_easy.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="cannot read"):
        read_set(SETS["arc_easy"], tmp_path)
    with pytest.raises(DataError, match="limit"):
        read_set(SETS["arc_easy"], arc(tmp_path, GOOD), limit=0)


def test_a_limit_spreads_and_an_edited_record_is_another_item(tmp_path: Path) -> None:
    many = [{**GOOD, "query": f"Question: number {n}?"} for n in range(10)]
    items = read_set(SETS["arc_easy"], arc(tmp_path, *many), limit=4)
    assert [item.prompt.split()[2] for item in items] == ["0?", "2?", "5?", "7?"]
    assert items[0].prompt.endswith("?\nAnswer:") and items[0].branches[1].continuation == " oak"
    edited = read_set(SETS["arc_easy"], arc(tmp_path, {**many[0], "choices": ["iron", "ash"]}))
    assert edited[0].id != items[0].id and edited[0].id.startswith("arc_easy:00000:")


def test_sets_of_programs_are_off_unless_allowed() -> None:
    assert len(SETS) == 19 and len(chosen_sets()) == 18 and len(chosen_sets(run_code=True)) == 19
    assert "human_eval" not in [one.name for one in chosen_sets()]
    with pytest.raises(DataError, match="runs programs"):
        chosen_sets(["human_eval"])
    with pytest.raises(DataError, match="no public set 'arc'"):
        chosen_sets(["arc"])
    with pytest.raises(DataError, match="no public set was named"):
        chosen_sets([])
    assert all(one.licence and one.shots == 0 for one in SETS.values())


@shared
@pytest.mark.parametrize("name", SETS)
def test_every_file_normalises_and_its_gold_is_right(name: str) -> None:
    one = SETS[name]
    items = read_set(one, PUBLIC)
    lines = (PUBLIC / one.file).read_text("utf-8").splitlines()
    assert len(items) == len(lines) == len({item.id for item in items})
    assert all(
        item.prompt == item.prompt.rstrip() or one.kind in ("constraints", "code") for item in items
    )
    if one.scored:
        for item in items:
            assert len(item.branches) == (
                1 if one.kind == "cloze" else len(item.contexts or item.options)
            )
            assert all(b.continuation[0] == " " and b.continuation.strip() for b in item.branches)
            good = [float(n == item.gold) for n in range(len(item.branches))]
            output = json.dumps(
                {"nats": [g * 90 - 100 for g in good], "greedy": [g > 0 for g in good]}
            )
            assert judge_item(item, output).ok
            bad = json.dumps({"nats": [-10 - g * 90 for g in good], "greedy": [False] * len(good)})
            assert not judge_item(item, bad).ok
    elif one.kind in ("value", "alias", "target"):
        for item in items:
            assert judge_item(item, f" {item.expected}").ok, item.expected
            assert not judge_item(item, "").ok and not judge_item(item, " I am not sure.").ok
            if one.kind != "alias":
                said = judge_item(
                    item, f" First we look at 7531. So the answer is {item.expected}."
                )
                assert said.ok, (item.expected, said.answer)


@shared
def test_prompts_end_as_their_sets_are_asked() -> None:
    sets = read_sets(chosen_sets(run_code=True), PUBLIC, limit=3)
    for name in ("arc_easy", "boolq", "piqa", "siqa", "logi_qa", "gsm8k", "triviaqa"):
        assert all(item.prompt.endswith("\nAnswer:") for item in sets[name]), name
        assert all(item.prompt.count("Answer:") == 1 for item in sets[name]), name
    assert all("Q: " not in item.prompt[:14] for item in sets["agi_eval_sat_math"])
    item = sets["winogrande"][0]
    assert item.branches[0].continuation == item.branches[1].continuation
    assert len({item.template for item in sets["bbh"]}) == 3


HUB_ROWS: dict[str, dict[str, Any]] = {
    "arc_easy": {
        "id": "x",
        "question": "Which is a metal?",
        "choices": {"text": ["oak", "iron"], "label": ["1", "2"]},
        "answerKey": "2",
    },
    "arc_challenge": {
        "id": "x",
        "question": "Which is a metal?",
        "choices": {"text": ["oak", "iron"], "label": ["A", "B"]},
        "answerKey": "B",
    },
    "boolq": {"question": "is iron a metal", "answer": True, "passage": "Iron is a metal."},
    "commonsense_qa": {
        "question": "Where?",
        "choices": {"label": ["A", "B"], "text": ["here", "there"]},
        "answerKey": "A",
    },
    "openbook_qa": {
        "question_stem": "Iron is",
        "choices": {"text": ["metal", "wood"], "label": ["A", "B"]},
        "answerKey": "A",
    },
    "piqa": {"goal": "Open it.", "sol1": "Push.", "sol2": "Pull.", "label": 1},
    "siqa": {
        "context": "Ann ran.",
        "question": "Why?",
        "answerA": "fun",
        "answerB": "fear",
        "answerC": "habit",
        "label": "3",
    },
    "winogrande": {
        "sentence": "Ann beat Eve because _ was fast.",
        "option1": "Ann",
        "option2": "Eve",
        "answer": "1",
    },
    "lambada_openai": {"text": "He opened the old door"},
    "logi_qa": {
        "label": "b",
        "context": "All are.",
        "question": "Is it?",
        "options": ["No.", "Yes."],
    },
    "agi_eval_lsat_lr": {
        "query": "Q: Which? Answer Choices: (A)this (B)that\nA: Among A through B, the answer is",
        "choices": ["(A)this", "(B)that"],
        "gold": [1],
    },
    "agi_eval_sat_math": {
        "query": "Q: What is 2+2? Answer Choices: (A)3 (B)4\nA: Among A through B, the answer is",
        "choices": ["(A)3", "(B)4"],
        "gold": [1],
    },
    "aqua": {
        "question": "What is 2+2?",
        "options": ["A)3", "B)4"],
        "rationale": "add",
        "correct": "B",
    },
    "gsm8k": {"question": "What is 2+2?", "answer": "2+2=<<2+2=4>>4\n#### 4"},
    "svamp": {"Body": "Ann has 2 pens", "Question": "How many?", "Answer": "2.0", "Equation": "2"},
    "triviaqa": {"question": "Who?", "answer": {"value": "Ann", "aliases": ["Anna", "Ann"]}},
    "bbh": {"input": "not True is", "target": "False"},
    "ifeval": {
        "key": 1,
        "prompt": "No commas.",
        "instruction_id_list": ["punctuation:no_comma"],
        "kwargs": [{"num_words": None}],
    },
    "human_eval": {
        "task_id": "x",
        "prompt": "def f():\n",
        "test": "def check(c): pass",
        "entry_point": "f",
        "canonical_solution": "",
    },
}
HUB_EXPECTS = {
    "arc_easy": "iron", "arc_challenge": "iron", "boolq": "yes", "commonsense_qa": "A", "openbook_qa": "metal", "piqa": "Pull.",
    "siqa": "C", "winogrande": "Ann beat Eve because Ann", "lambada_openai": "door", "logi_qa": "B", "agi_eval_lsat_lr": "B",
    "agi_eval_sat_math": "4", "aqua": "4", "gsm8k": "4", "svamp": "2", "triviaqa": "Ann", "bbh": "False",
    "ifeval": "punctuation:no_comma", "human_eval": "passes f's tests",
}  # fmt: skip


@pytest.mark.parametrize("name", SETS)
def test_hub_rows_become_the_same_kind_of_items(name: str) -> None:
    asked: list[tuple[str, str | None, str]] = []

    def fake(repository: str, config: str | None, split: str) -> Iterable[Any]:
        asked.append((repository, config, split))
        return [HUB_ROWS[name]]

    items = read_set(SETS[name], "hub", load=fake)
    hub = SETS[name].hub
    assert [config for _, config, _ in asked] == list(hub.configs or [None])
    assert {(repository, split) for repository, _, split in asked} == {(hub.repository, hub.split)}
    assert len(items) == max(1, len(hub.configs)) and items[0].expected == HUB_EXPECTS[name]
    assert isinstance(items[0], GeneralItem) and items[0].family == name


def test_a_hub_that_cannot_be_reached_or_has_changed_says_so() -> None:
    def down(*_: Any) -> Any:
        raise ConnectionError("no route")

    with pytest.raises(DataError, match="no route") as told:
        read_set(SETS["boolq"], "hub", load=down)
    assert "boolq.jsonl in a folder" in str(told.value.fix)
    row = {"q": "is iron a metal", "answer": True, "passage": "Iron."}
    with pytest.raises(DataError, match="'question'") as told:
        read_set(SETS["boolq"], "hub", load=lambda *_: [row])
    assert told.value.where == "google/boolq/:validation:1"


@pytest.mark.slow
def test_the_hub_route_through_datasets_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`datasets` reads a folder as it reads a repository: no network."""
    import dataclasses

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    rows = [HUB_ROWS["boolq"], {**HUB_ROWS["boolq"], "answer": False}]
    (tmp_path / "validation.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n", "utf-8")
    local = dataclasses.replace(
        SETS["boolq"], hub=SETS["boolq"].hub._replace(repository=str(tmp_path))
    )
    items = read_set(local, "hub")
    assert [item.expected for item in items] == ["yes", "no"]
    gone = dataclasses.replace(local, hub=local.hub._replace(split="test"))
    with pytest.raises(DataError, match="cannot read boolq from the hub"):
        read_set(gone, "hub")
