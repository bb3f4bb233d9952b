"""`denizen forecast`: refusals in one line, an artefact before the run, a score after it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from denizen.cli.app import main
from denizen.improve.forecasting import find_forecast
from denizen.project import Run, Store, Workspace


def test_refusals_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = str(tmp_path / "w")
    for options, message in (
        (["--plot", "nowhere/p.png"], "cannot draw there"),
        (["--plot", str(tmp_path / "p.gif")], "cannot draw there"),
        (["--score"], "no run trained what had been forecast"),
        (["--methods", "9B"], "no shape of '9B'"),
    ):
        assert main(["forecast", "--workspace", place, *options]) == 2
        err = capsys.readouterr().err.splitlines()
        assert message in err[-1] and err[-1].startswith("error: "), err


def test_scores_of_past_runs_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store(Workspace.open(tmp_path))
    scored = {
        "forecast": {"seconds": 90.0, "memory": 2**30},
        "actual": {"seconds": 100.0, "memory": 2**30},
        "error": {"seconds": -0.1, "memory": 0.0},
        "within": {"seconds": True, "memory": True},
        "skipped": "",
    }
    run = Run.start(store, "denizen train", {}, {})
    run.finish_stage("train", {"rows": "r"}, {}, {"forecast": scored}, 1.0)
    run.close("done")
    assert main(["forecast", "--score", "--workspace", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"run": run.record.id, **scored}]
    assert main(["forecast", "--score", "--workspace", str(tmp_path)]) == 0
    assert "error -10.0% (within 20%)" in capsys.readouterr().out


def test_a_forecast_is_found_by_its_inputs_only(tmp_path: Path) -> None:
    store = Store(Workspace.open(tmp_path))
    for seconds in (1, 2):
        store.put_text("forecast", "forecast.json", json.dumps({"s": seconds}), {"rows": "r"})
    assert find_forecast(store, {"rows": "r"}) == {"s": 2}
    assert find_forecast(store, {"rows": "other"}) is None
    newest = max(store.all(), key=lambda a: a.path.stat().st_mtime_ns)
    newest.path.write_text("edited")
    assert find_forecast(store, {"rows": "r"}) == {"s": 1}
    newest.path.unlink()
    assert find_forecast(store, {"rows": "r"}) == {"s": 1}


@pytest.mark.slow
def test_a_forecast_of_the_real_base(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings, plot = tmp_path / "denizen.yaml", tmp_path / "p.png"
    settings.write_text("data: {rows: 40}\n")
    common = ["--workspace", str(tmp_path / "w"), "--config", str(settings), "--no-probe"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("denizen.train.forecast.plan.known_speed", lambda _: 1e11)
        assert main(["forecast", *common, "--json", "--plot", str(plot)]) == 0
        value = json.loads(capsys.readouterr().out)
        assert main(["forecast", *common]) == 0
    shown = capsys.readouterr().out
    store = Store(Workspace.open(tmp_path / "w"))
    kept = find_forecast(store, value["inputs"])
    assert kept is not None and kept["local"]["seconds"] == value["local"]["seconds"]
    assert value["model"]["parameters"] == 134_515_008 and plot.stat().st_size > 10_000
    assert "not probed" in shown and "RTX 3090" in shown and "70B" in shown
    assert main(["forecast", *common, "--methods", "70B", "--json"]) == 0
    rows = {(r["method"], r["objective"]): r for r in json.loads(capsys.readouterr().out)}
    # 16 bytes a weight are 1129 GB: more than eight of 141 GB hold, less than eight of 180 GB.
    whole = rows["full", "sft"]["cheapest"]
    assert len(rows) == 81 and (whole["gpus"], whole["gpu"]) == (8, "B200 180GB")
    assert rows["qlora", "sft"]["cheapest"]["gpus"] == 1
