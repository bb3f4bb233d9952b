"""The bake-off: the same budget for each base, judged on the dev split, ranked, nothing promoted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mainline_sample import register

from denizen.data import load_holdout
from denizen.improve import bakeoff, current_release
from denizen.improve.bakeoff import Candidate, judge_candidate, ranked, run_bakeoff, table
from denizen.project import ArtefactError, ConfigError, Workspace
from denizen.project.config import parse_config
from denizen.project.errors import TrainingError

SETTINGS = """
model: {source: hub}
data: {rows: 24, sample: 8, embedder: ""}
train: {batch_tokens: 4000, max_length: 1200, learning_rate: 0.01, save_steps: 2}
adapter: {rank: 4}
evaluate: {max_new_tokens: 260, batch: 8, suite_cases: 2}
export: {quant: q8_0, context: 3072}
"""


def candidate(model: str, **figures: Any) -> Candidate:
    known = {"exact": 0.5, "foreign": 0, "asked": 10, "seconds_per_answer": 1.0, "peak_gib": 2.0}
    known = {"open_licence": True, **known}
    return Candidate(model, "Apache-2.0", 1, **{**known, **figures})


def test_the_best_comes_first_and_failures_last() -> None:
    found = ranked(
        [
            candidate("broken", error="no"),
            candidate("slow", seconds_per_answer=3.0),
            candidate("best", exact=0.8),
            candidate("chinese", exact=0.8, foreign=4),
            candidate("terms", open_licence=False, seconds_per_answer=0.1),
            candidate("plain"),
        ]
    )
    assert [c.model for c in found] == ["best", "plain", "slow", "terms", "chinese", "broken"]
    text = table(found)
    assert text.index("best") < text.index("broken") and "Apache-2.0" in text


def test_one_candidate_is_no_comparison(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no comparison"):
        run_bakeoff(Workspace.open(tmp_path), parse_config(SETTINGS), ["smollm2-135m-instruct"] * 2)
    with pytest.raises(ArtefactError, match="no base model"):
        run_bakeoff(Workspace.open(tmp_path), parse_config(SETTINGS), ["gpt-17", "gpt-18"])


def test_two_bases_on_the_same_budget(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(tmp_path / "cache", tiny, monkeypatch, "tiny", "other")
    asked: list[str] = []

    def here(workspace: Workspace, config: Any) -> dict[str, Any]:
        # A fresh process would not know the bases of this test.
        asked.append(config.model.base)
        return judge_candidate(str(workspace.root), config.model_dump())

    monkeypatch.setattr(bakeoff, "_apart", here)
    place = Workspace.open(tmp_path / "workspace")
    found = run_bakeoff(place, parse_config(SETTINGS), ["tiny", "other"])
    assert sorted(c.model for c in found) == ["other", "tiny"] == sorted(asked)
    for one in found:
        assert 0 <= one.low <= one.exact <= one.high <= 1 and one.asked == 2
        assert one.tokens_per_second > 0 and one.file_mb > 0 and one.peak_gib > 0
    assert current_release(place) is None and not list(place.root.glob("looks/*"))
    again = run_bakeoff(place, parse_config(SETTINGS), ["tiny", "other"])
    assert again == found and len(asked) == 2


def test_the_exam_is_not_spent_on_choosing(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from denizen.improve.mainline import MainLine

    register(tmp_path / "cache", tiny, monkeypatch, "tiny")
    config = parse_config(SETTINGS.replace("source: hub", "base: tiny, source: hub"))
    line = MainLine(Workspace.open(tmp_path / "w"), config, quiet=True, exam="dev")
    exam = {item.prompt for item in load_holdout()}
    assert len(line.sample) == 8 and not {item.prompt for item in line.sample} & exam


def test_a_base_that_fails_does_not_end_the_others(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(tmp_path / "cache", tiny, monkeypatch, "tiny", "other")

    class Pool:
        def __init__(self, *_: Any, **__: Any) -> None: ...
        def __enter__(self) -> Pool:
            return self

        def __exit__(self, *_: Any) -> None: ...
        def submit(self, *_: Any) -> Any:
            raise TrainingError("the loss is not a number", where="step 3")

    monkeypatch.setattr(bakeoff, "ProcessPoolExecutor", Pool)
    found = run_bakeoff(Workspace.open(tmp_path / "w"), parse_config(SETTINGS), ["tiny", "other"])
    assert all("not a number" in c.error for c in found) and len(found) == 2
