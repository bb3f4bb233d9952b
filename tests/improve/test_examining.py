"""Suites outside the gate, the judge's word, and another harness: what they say and refuse."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mainline_sample import register

from denizen.cli.app import main
from denizen.evaluate.gate import Status
from denizen.export import write_gguf
from denizen.improve.conduct import sets_of, suites_of
from denizen.improve.examining import examine
from denizen.improve.judging import Judging
from denizen.project import DenizenError, Workspace
from denizen.project.config import parse_config

SETTINGS = "model: {base: tiny, source: hub}\nexport: {context: 3072}\nevaluate: {batch: 8}\n"


def public(folder: Path) -> Path:
    """One set of our own making in the layout of a public one."""
    folder.mkdir()
    rows = [
        {"query": f"Question: Which is number {n}?", "choices": [str(n), "blue"], "gold": 0}
        for n in (1, 2, 3)
    ]
    (folder / "arc_easy.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_a_suite_and_a_set_with_the_base_beside_them(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from denizen.evaluate.general.sets import SETS
    from denizen.improve import conduct

    register(tmp_path / "cache", tiny, monkeypatch, "tiny")
    monkeypatch.setattr(conduct, "chosen_sets", lambda **_: (SETS["arc_easy"],))
    gguf = tmp_path / "tiny.gguf"
    write_gguf(tiny, gguf, quant="q8_0", name="tiny")
    place, config = Workspace.open(tmp_path / "w"), parse_config(SETTINGS)
    sets = sets_of(str(public(tmp_path / "sets")), 2)
    suites = suites_of("script", 3)
    found = examine(place, config, gguf, suites, sets, base=True, quiet=True)
    script, general = found
    assert (script.name, script.rate.n, general.rate.n) == ("script", 3, 2)
    assert script.base is not None and script.test is not None
    assert 0 <= script.rate.low <= script.rate.value <= script.rate.high <= 1
    assert "base" in script.line() and json.dumps(general.to_dict())
    again = examine(place, config, gguf, suites, sets, base=True, quiet=True)
    assert [a.to_dict() for a in again] == [f.to_dict() for f in found]
    alone = examine(place, config, gguf, suites, {}, quiet=True)[0]
    assert alone.base is None and "base" not in alone.line()


def judging(folder: Path, **figures: Any) -> Judging:
    """A judge whose figures lie in a file of the store; the run's record says something else."""
    known = {"model": "judge", "unjudged": 0, "n": 100, "kappa": [0.8, 0.7, 0.9], "labels": 60}
    found = object.__new__(Judging)
    (folder / "judged.json").write_text(json.dumps({**known, **figures}), "utf-8")
    better = {**known, "wins": 100, "losses": 0}
    stage = SimpleNamespace(figures=better, outputs={"judged": "hash"} if figures else {})
    config = SimpleNamespace(judge=SimpleNamespace(margin=0.10))
    stages = SimpleNamespace(artefact=lambda *_: SimpleNamespace(path=folder / "judged.json"))
    line = SimpleNamespace(done={"judge": stage}, config=config, stages=stages)
    found.line = line  # type: ignore[assignment]
    return found


@pytest.mark.parametrize(
    ("figures", "status"),
    [
        ({"wins": 40, "losses": 10}, Status.PASS),
        ({"wins": 10, "losses": 60}, Status.FAIL),
        ({"wins": 20, "losses": 22}, Status.INCONCLUSIVE),
        ({"wins": 90, "losses": 0, "unjudged": 1}, Status.INCONCLUSIVE),
    ],
)
def test_the_judge_counts_as_one_check(
    tmp_path: Path, figures: dict[str, int], status: Status
) -> None:
    (check,) = judging(tmp_path, **figures).checks()
    assert (check.name, check.status, check.n) == ("judge", status, 100)


def test_without_a_judge_there_is_no_check(tmp_path: Path) -> None:
    assert judging(tmp_path).checks() == [] and judging(tmp_path).row() is None
    assert judging(tmp_path, wins=1, losses=0).row() is not None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["eval", "--harness", "helm"], "no harness 'helm'"),
        (["eval", "--harness", "lm-eval"], "an environment of its own"),
        (["eval", "--suite", "nothing"], "no behaviour suite"),
        (["gate", "--gguf", "missing.gguf"], "without lineage"),
        (["bakeoff", "--models", "smollm2-135m-instruct"], "no comparison"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main([*arguments, "--workspace", str(tmp_path / "w")])
    told = capsys.readouterr().err.strip().splitlines()
    assert code == 2 and said in told[-1] and told[-1].startswith("error: ")


def test_our_families_are_written_for_lm_eval(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", "--emit", str(tmp_path / "tasks"), "--json"]) == 0
    tasks = json.loads(capsys.readouterr().out)["tasks"]
    assert tasks and (tmp_path / "tasks").is_dir()


def test_a_suite_of_no_items_is_refused() -> None:
    with pytest.raises(DenizenError, match="0 cases"):
        suites_of("script", 0)
