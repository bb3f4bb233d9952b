"""`runs`, `init` and `doctor` over a real workspace."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from denizen.cli.app import main
from denizen.project import Run, Store, Workspace
from denizen.project.config import Config, parse_config


@pytest.fixture
def place(tmp_path: Path) -> str:
    """A workspace with two runs that differ in one setting and one figure."""
    store = Store(Workspace.open(tmp_path / "w"))
    for rank, score in ((8, 0.5), (16, 0.75)):
        run = Run.start(store, "denizen train", {"train": {"rank": rank, "alpha": 32}}, {})
        rows = store.put_text("rows", "rows.jsonl", "same rows", {})
        run.finish_stage("data", {}, {"rows": rows.hash}, {"rows": 2}, 1.0)
        made = store.put_text("adapter", "adapter", f"weights {rank}", {"rows": rows.hash})
        run.finish_stage("train", {"rows": rows.hash}, {"adapter": made.hash}, {"ok": score}, 9.0)
        run.close("done")
    return str(tmp_path / "w")


def test_list_is_newest_first(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "list", "--workspace", place, "--json"]) == 0
    runs = json.loads(capsys.readouterr().out)
    assert {r["status"] for r in runs} == {"done"} and len(runs) == 2
    assert [r["config"]["train"]["rank"] for r in runs] == [16, 8]
    assert main(["runs", "list", "--workspace", place]) == 0
    assert "2 stages" in capsys.readouterr().out


def ids_by_rank(place: str, capsys: pytest.CaptureFixture[str]) -> dict[int, str]:
    main(["runs", "list", "--workspace", place, "--json"])
    return {r["config"]["train"]["rank"]: r["id"] for r in json.loads(capsys.readouterr().out)}


def test_show_follows_the_lineage(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    run = ids_by_rank(place, capsys)[16]
    assert main(["runs", "show", run, "--workspace", place, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [link["kind"] for link in shown["lineage"]] == ["adapter", "rows"]
    assert main(["runs", "show", "nope", "--workspace", place]) == 2
    assert "runs list" in capsys.readouterr().err


def test_diff_shows_what_differs_and_only_that(
    place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = ids_by_rank(place, capsys)
    assert main(["runs", "diff", runs[8], runs[16], "--workspace", place, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["config.train.rank"] == [8, 16] and found["train.figures.ok"] == [0.5, 0.75]
    assert set(found) == {"config.train.rank", "train.figures.ok", "train.outputs.adapter"}
    assert main(["runs", "diff", runs[8], runs[8], "--workspace", place]) == 0
    assert capsys.readouterr().out == "no difference\n"


def test_a_damaged_record_is_one_clear_line(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    record = next(Path(place).glob("runs/*/run.json"))
    record.write_text("{")
    assert main(["runs", "list", "--workspace", place]) == 2
    err = capsys.readouterr().err
    assert str(record) in err and err.count("\n") == 1


def test_init_writes_the_defaults_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "denizen.yaml"
    assert main(["init", str(path)]) == 0
    assert parse_config(path.read_text()) == Config()
    path.write_text("name: mine\n")
    assert main(["init", str(path)]) == 2 and path.read_text() == "name: mine\n"
    assert "--force" in capsys.readouterr().err
    assert main(["init", str(path), "--force"]) == 0 and path.read_text() != "name: mine\n"


def test_doctor_checks_the_machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["doctor", "--workspace", str(tmp_path / "w"), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert {"memory", "disk", "libraries", "workspace"} <= {c["name"] for c in found["checks"]}
    assert code == (0 if all(c["ok"] for c in found["checks"]) else 1)
