"""`denizen train`: what the command line says wins, and `--emit` needs no training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from denizen.cli import train as verb
from denizen.cli.app import main
from denizen.cli.train import overridden
from denizen.project import ConfigError, Run, Store, Workspace
from denizen.project.config import Config


def test_the_command_line_wins_and_changes_nothing_else(tmp_path: Path) -> None:
    given = Config.model_validate({"train": {"epochs": 3}, "adapter": {"rank": 7}})
    made = overridden(given, "dpo", "dora", tmp_path / "x.jsonl", 2)
    assert (made.train.objective, made.adapter.method, made.scale.processes) == ("dpo", "dora", 2)
    assert made.train.data == str(tmp_path / "x.jsonl")
    assert (made.train.epochs, made.adapter.rank) == (3, 7)
    assert overridden(given) == given
    Config.model_validate(made.model_dump())


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--objective", "dpoo"], "did you mean 'dpo'?"),
        (["--method", "grppo"], "did you mean 'grpo'?"),
        (["--adapter", "lorra"], "did you mean 'lora'?"),
        (["--emit", "axolot"], "did you mean 'axolotl'?"),
        (["--out", "x"], "name a tool with --emit"),
        (["--nproc", "0"], "--nproc"),
    ],
)
def test_a_wrong_word_is_one_line_before_any_work(
    given: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "w"
    assert main(["train", *given, "--workspace", str(place)]) == 2
    err = capsys.readouterr().err
    assert words in err and err.count("\n") == 1
    assert not list(place.glob("runs/*"))


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The main line's stand-in: keeps what it was asked for, and finishes the last stage."""
    asked: list[dict[str, Any]] = []

    def run_line(
        name: str, workspace: Path, config: Any, full: bool, as_json: bool, **more: Any
    ) -> None:
        settings = more["change"](Config())
        asked.append({"until": more["until"], "settings": settings})
        store = Store(Workspace.open(workspace))
        run = Run.start(store, f"denizen {name}", settings.model_dump(mode="json"), {})
        made = store.put_text("adapter", "adapter", "weights", {})
        run.finish_stage("train", {}, {"adapter": made.hash}, {"loss": 1.0}, 1.0)
        run.close("done")

    monkeypatch.setattr(verb, "run_line", run_line)
    return asked


def test_options_reach_the_main_line(
    line: list[dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        "--objective",
        "orpo",
        "--nproc",
        "2",
        "--workspace",
        str(tmp_path / "w"),
        "--json",
    ]
    assert main(["train", *arguments]) == 0
    (asked,) = line
    assert asked["until"] == "train" and asked["settings"].scale.processes == 2
    assert asked["settings"].train.objective == "orpo"
    assert json.loads(capsys.readouterr().out)["figures"] == {"loss": 1.0}


def test_a_full_folder_is_never_written_into(
    line: list[dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes").write_text("keep")
    given = ["train", "--emit", "unsloth", "--out", str(tmp_path / "mine")]
    assert main([*given, "--workspace", str(tmp_path / "w")]) == 2
    assert "not empty" in capsys.readouterr().err and not line
    with pytest.raises(ConfigError):
        verb._known("nothing like it", ("lora", "full"), "--adapter")


@pytest.mark.slow
def test_emit_writes_the_verified_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Through the real data stage and the real base: as many rows, all of them re-tokenised alike."""
    config = tmp_path / "denizen.yaml"
    config.write_text("data: {rows: 48}\n")
    given = ["--config", str(config), "--workspace", str(tmp_path / "w"), "--json"]
    assert main(["train", "--emit", "axolotl", "--out", str(tmp_path / "run"), *given]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["rows"] == 48 and not [n for n in told["differs"] if "tokenise otherwise" in n]
    rows = (tmp_path / "run" / "data.jsonl").read_text("utf-8").splitlines()
    assert len(rows) == 48
    # A run up to the data alone: nothing was scored or trained.
    (record,) = (tmp_path / "w" / "runs").glob("*/run.json")
    stages = [stage["name"] for stage in json.loads(record.read_text())["stages"]]
    assert stages[-1] == "data"
