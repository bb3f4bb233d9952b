"""A user's own exam: a wrong gold answer is refused before it can judge, an edit after it too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from denizen.cli.app import main
from denizen.data import load_holdout
from denizen.evaluate.integrity import exam_of, freeze, freeze_exam
from denizen.improve.mainline import MainLine
from denizen.project import ArtefactError, DataError, Workspace
from denizen.project.config import parse_config
from denizen.tasks import suite_of, verify

CORE = suite_of("core")
CARRIED = load_holdout(CORE.names)
QUOTE = next(item for item in CARRIED if item.family == "v2_quote")


def write(path: Path, *records: Any) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    return path


def line(**changes: Any) -> dict[str, Any]:
    return {"prompt": QUOTE.prompt, "gold": QUOTE.gold, **changes}


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (line(gold="v2_in(in=1 WETH)"), "cannot be evaluated|takes"),
        (line(gold="about 7 USDC"), "neither a calculator call"),
        (line(gold=QUOTE.gold.replace("=", "=9", 1)), "holds a quantity that the question does not"),
        (line(gold="health_factor(x=1)"), "no trained family uses"),
        (line(answer="7"), "no field 'answer'"),
        (line(difficulty=True), "difficulty"),
        ({"prompt": QUOTE.prompt}, "gold is null"),
    ],
)  # fmt: skip
def test_a_bad_question_is_refused_with_its_line(
    tmp_path: Path, record: dict[str, Any], said: str
) -> None:
    asked = write(tmp_path / "mine.jsonl", line(id="first"), record)
    with pytest.raises(DataError, match=said) as raised:
        freeze_exam(asked, tmp_path / "exam.jsonl", CORE)
    assert raised.value.where == "mine.jsonl:2" and not (tmp_path / "exam.jsonl").exists()


def test_an_exam_comes_back_as_items_with_its_canary(tmp_path: Path) -> None:
    asked = write(tmp_path / "mine.jsonl", line(id="a", template="desk"), line(version="v2"))
    seal = freeze_exam(asked, tmp_path / "exam.jsonl", CORE)
    exam = exam_of(str(tmp_path / "exam.jsonl"), CORE)
    assert [item.id for item in exam.items] == ["a", "own-mine.jsonl:2"]
    assert exam.items[0].template == "desk" and exam.items[0].family == "v2_quote"
    assert all(verify(item, item.answer).ok and item.split == "holdout" for item in exam.items)
    assert exam.canaries[-1] == seal.canary and len(exam.canaries) == 3
    carried = exam_of("", CORE)
    assert list(carried.items) == CARRIED and seal.canary not in carried.canaries


def test_an_edited_or_foreign_exam_is_refused(tmp_path: Path) -> None:
    asked = write(tmp_path / "mine.jsonl", line(id="a"))
    freeze_exam(asked, tmp_path / "exam.jsonl", CORE)
    with pytest.raises(ArtefactError, match="families that are not trained: v2_quote"):
        exam_of(str(tmp_path / "exam.jsonl"), suite_of("staking"))
    freeze([{"id": "x", "text": "y"}], tmp_path / "other.jsonl")
    with pytest.raises(ArtefactError, match="not an exam"):
        exam_of(str(tmp_path / "other.jsonl"), CORE)
    text = (tmp_path / "exam.jsonl").read_text("utf-8")
    (tmp_path / "exam.jsonl").write_text(
        text.replace('"difficulty": 1', '"difficulty": 2'), "utf-8"
    )
    with pytest.raises(ArtefactError, match="edited after it was frozen"):
        exam_of(str(tmp_path / "exam.jsonl"), CORE)
    config = parse_config(f"evaluate: {{holdout: {tmp_path / 'exam.jsonl'}}}")
    with pytest.raises(ArtefactError, match="edited after it was frozen"):
        MainLine(Workspace.open(tmp_path / "w"), config, quiet=True)


def test_the_main_line_asks_the_exam_that_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = write(tmp_path / "mine.jsonl", line(id="a"))
    assert main(["data", "freeze", str(asked), str(tmp_path / "exam.jsonl"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["items"] == 1
    config = parse_config(f"evaluate: {{holdout: {tmp_path / 'exam.jsonl'}}}")
    mainline = MainLine(Workspace.open(tmp_path / "w"), config, quiet=True)
    assert [item.id for item in mainline.sample] == ["a"]
    assert told["canary"] in mainline.canaries
    # Rows from outside must not meet the carried exam either.
    own = config.model_copy(update={"train": config.train.model_copy(update={"data": "x.jsonl"})})
    other = MainLine(Workspace.open(tmp_path / "w"), own, quiet=True)
    assert len(other.learning._exam) == len(load_holdout()) + 1
