"""The whole main line on a tiny model: every stage real, resumable, and honest about the result."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from denizen.improve import STAGES, current_release, release_gguf, run_mainline
from denizen.models import MODELS, ModelEntry
from denizen.project import ArtefactError, Config, ConfigError, LeakError, Workspace, list_runs
from denizen.project.config import parse_config

CONFIG = """
model: {base: tiny, source: hub}
data: {rows: 48, sample: 16, embedder: ""}
train: {batch_tokens: 4000, max_length: 1200, learning_rate: 0.01, save_steps: 2}
adapter: {rank: 4}
evaluate: {max_new_tokens: 260, batch: 8, suite_cases: 4}
export: {quant: q8_0, context: 3072}
"""


def settings() -> Config:
    return parse_config(CONFIG)


@pytest.fixture(scope="module")
def cache(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model cache that already holds the tiny base, as the hub route leaves it."""
    root = tmp_path_factory.mktemp("cache")
    shutil.copytree(tiny, root / "models" / "tiny" / "hub")
    return root


@pytest.fixture(autouse=True)
def tiny_entry(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DENIZEN_CACHE", str(cache))
    entry = ModelEntry("tiny", "llama", 100_000, "Apache-2.0", 4096, "org/tiny", "main")
    monkeypatch.setitem(MODELS, "tiny", entry)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return Workspace.open(tmp_path_factory.mktemp("workspace"))


def test_a_model_to_measure_against_is_not_trained(tmp_path: Path) -> None:
    config = parse_config("model: {base: qwen2.5-coder-1.5b-instruct}")
    with pytest.raises(ConfigError, match="carried for benchmarks only"):
        run_mainline(Workspace.open(tmp_path), config, quiet=True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("adapter: {method: prefix}", "no form as plain weights"),
        ("train: {objective: reward}", "answers nothing"),
    ],
)
def test_what_cannot_ship_is_refused_before_it_is_trained(
    tmp_path: Path, change: str, said: str
) -> None:
    place = Workspace.open(tmp_path)
    with pytest.raises(ConfigError, match=said):
        run_mainline(
            place, parse_config(f"model: {{base: tiny, source: hub}}\n{change}"), quiet=True
        )
    assert not list_runs(place) or not list_runs(place)[0].stages


def test_from_swaps_to_verdict(place: Workspace) -> None:
    outcome = run_mainline(place, settings(), quiet=True)
    assert outcome is not None and len(outcome.lines) == 5
    run = list_runs(place)[0]
    names = [s.name for s in run.stages if s.name in STAGES]
    assert names == list(STAGES) and run.status == "done"
    # A random model that saw 48 rows proves nothing, and the gate must say so.
    assert outcome.verdict.status.value != "PASS"
    assert current_release(place) is None
    with pytest.raises(ArtefactError, match="nothing has passed the gate"):
        release_gguf(place)
    report = json.loads(outcome.report.with_suffix(".json").read_text())
    assert report["verdict"]["status"] == outcome.verdict.status.value
    assert report["parity"]["equal"] and report["ledger"][0]["count"] == 48
    assert "<script" not in outcome.report.read_text().lower()
    assert outcome.gguf.read_bytes()[:4] == b"GGUF"
    assert (outcome.gguf.parent / "Modelfile").exists()


def test_second_run_reuses_every_stage(place: Workspace) -> None:
    outcome = run_mainline(place, settings(), quiet=True)
    assert outcome is not None
    assert all(stage.reused for stage in list_runs(place)[0].stages)


def test_changed_setting_makes_only_what_depends_on_it(place: Workspace) -> None:
    config = parse_config(CONFIG.replace("3072", "3000"))
    run_mainline(place, config, quiet=True)
    fresh = {s.name for s in list_runs(place)[0].stages if not s.reused}
    assert fresh == {"export", "shipped score", "script shipped", "gate"}
    # The quantisation is part of the training: its last steps see the rounded weights.
    run_mainline(place, parse_config(CONFIG.replace("q8_0", "f16")), until="train", quiet=True)
    assert [s.name for s in list_runs(place)[0].stages if not s.reused] == ["train"]


def test_damaged_artefact_is_made_again(place: Workspace) -> None:
    rows = next(place.root.glob("artefacts/rows-*/train.jsonl"))
    rows.write_text("damaged")
    run_mainline(place, settings(), until="data", quiet=True)
    stages = list_runs(place)[0].stages
    assert [s.name for s in stages if not s.reused] == ["data"]


def test_holdout_row_in_training_data_stops_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from denizen.data import load_holdout, to_row
    from denizen.improve import lessons

    build = lessons.build_rows

    def leaky(*args: object, **kwargs: object) -> object:
        rows, report = build(*args, **kwargs)
        return [*rows, to_row(load_holdout()[0], "s")], report

    monkeypatch.setattr(lessons, "build_rows", leaky)
    place = Workspace.open(tmp_path)
    with pytest.raises(LeakError, match="with the holdout"):
        run_mainline(place, settings(), until="train", quiet=True)
    run = list_runs(place)[0]
    assert run.status == "failed" and "train" not in {s.name for s in run.stages}


KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[3])
from denizen.improve import run_mainline
from denizen.models import MODELS, ModelEntry
from denizen.project import Workspace
from denizen.project.config import parse_config
from denizen.train import trainer
MODELS["tiny"] = ModelEntry("tiny", "llama", 100000, "Apache-2.0", 4096, "org/tiny", "main")
check = trainer.check_gradients
def dying(parameters, step, **settings):
    if step == 4:
        os.kill(os.getpid(), getattr(signal, sys.argv[4]))
    return check(parameters, step, **settings)
trainer.check_gradients = dying
run_mainline(Workspace.open(sys.argv[1]), parse_config(sys.argv[2]), until="train", quiet=True)
"""


@pytest.mark.parametrize(
    ("name", "status"), [("SIGKILL", "interrupted"), ("SIGINT", "interrupted")]
)
def test_killed_in_training_resumes_there(tmp_path: Path, name: str, status: str) -> None:
    source = str(Path(__file__).parents[2] / "src")
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), CONFIG, source, name],
        capture_output=True,
        env={**os.environ, "TOKENIZERS_PARALLELISM": "false"},
    )
    assert done.returncode != 0, done.stderr
    if name == "SIGKILL":
        assert done.returncode == -signal.SIGKILL
    place = Workspace.open(tmp_path)
    assert list(place.root.glob("work/train-*/checkpoint-2"))
    run_mainline(place, settings(), until="train", quiet=True)
    first, second = list_runs(place)[1], list_runs(place)[0]
    assert first.status == status
    assert [s.name for s in second.stages if not s.reused] == ["train"]
    points = second.stages[-1].figures["training"]["points"]
    assert [p["step"] for p in points] == list(range(1, len(points) + 1))
