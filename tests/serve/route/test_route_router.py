"""The router: decisions by group, refusals of what was not calibrated, and of another model's file."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from tests.models.tiny_embedder import make_tiny_embedder
from tests.serve.route.route_sample import CORE, pool

from denizen.project import ArtefactError
from denizen.serve.route import NotCalibrated, Router, read_calibration
from denizen.serve.route.calibrating import calibration_of, group_names
from denizen.serve.route.calibration import FOLDER, POOLED, GroupThreshold, Settings
from denizen.serve.route.domain import Domain

SETTINGS = Settings(0.2, 0.05, 0.3, 800, 128, "draft", CORE.names)
DEPENDS = {"model": "a" * 64, "reasoning": "draft", "prompt": "p"}
SURE = {"margin_least": 9.0, "decisions": 3.0, "schema_failed": 0.0, "recompute_failed": 0.0}


def calibration(**changed):
    made = calibration_of(pool(800, groups=("mechanics",)), SETTINGS, CORE, DEPENDS)
    return replace(made, **changed)


def test_sure_answers_stay_and_unsure_ones_leave() -> None:
    router = Router(calibration())
    sure = router.decide(SURE, "mechanics")
    assert sure.local and sure.reason == "sure enough"
    assert sure.confidence is not None and sure.threshold is not None
    unsure = router.decide({**SURE, "margin_least": 0.0}, "mechanics")
    assert not unsure.local and unsure.reason == "low confidence"
    assert unsure.confidence is not None and unsure.confidence < sure.confidence
    assert "at most 20.0%" in router.promise


def test_a_tool_or_schema_names_its_group() -> None:
    names = group_names(CORE)
    assert names["fact"] == "mechanics"
    assert Router(calibration()).decide(SURE, "fact").local


@pytest.mark.parametrize(
    ("signals", "group", "reason"),
    [
        ({**SURE, "schema_failed": 1.0}, "mechanics", "not of its form"),
        ({**SURE, "recompute_failed": 1.0}, "mechanics", "engine refuses"),
        ({k: v for k, v in SURE.items() if k != "margin_least"}, "mechanics", "margin_least"),
        ({**SURE, "margin_least": math.nan}, "mechanics", "not known: margin_least"),
        ({}, "mechanics", "not known"),
        (SURE, "no such group", "without calibration"),
        (SURE, "", "without calibration"),
    ],
)
def test_what_was_not_calibrated_is_never_local(signals, group: str, reason: str) -> None:
    found = Router(calibration()).decide(signals, group)
    assert not found.local and reason in found.reason


def test_a_group_without_a_threshold_is_never_local() -> None:
    none = GroupThreshold(POOLED, None, 40, 0, 0, 1.0, 1, 0.05)
    assert "no threshold" in Router(calibration(groups=(none,))).decide(SURE, "mechanics").reason


def test_a_file_comes_back_as_it_was(tmp_path: Path) -> None:
    made = calibration()
    made.save(tmp_path)
    assert read_calibration(tmp_path) == made
    for path in (tmp_path, tmp_path / "route.json"):
        router = Router.load(path, DEPENDS)
        assert router is not None
        assert router.decide(SURE, "mechanics") == Router(made).decide(SURE, "mechanics")
    assert Router.load(tmp_path / "elsewhere") is None


def test_another_models_calibration_is_refused(tmp_path: Path) -> None:
    calibration().save(tmp_path)
    for name in DEPENDS:
        with pytest.raises(NotCalibrated, match=f"not calibrated: .* another {name}") as caught:
            Router.load(tmp_path / "route.json", {**DEPENDS, name: "b" * 64})
        assert caught.value.where == str(tmp_path / "route.json")
        assert "denizen route calibrate" in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(NotCalibrated, match="another something new"):
        Router.load(tmp_path, {**DEPENDS, "something new": "1"})
    made = json.loads((tmp_path / "route.json").read_text())
    (tmp_path / "route.json").write_text(json.dumps({"version": 1, "gguf": made["gguf"]}))
    with pytest.raises(NotCalibrated, match="another version of Denizen"):
        Router.load(tmp_path, DEPENDS)


def test_a_damaged_file_is_one_line(tmp_path: Path) -> None:
    path = calibration().save(tmp_path)
    good = json.loads(path.read_text())
    for bad in (
        b"",
        b"{",
        b"[]",
        path.read_bytes()[:-200],
        json.dumps({**good, "groups": "none"}).encode(),
        json.dumps({**good, "version": 99}).encode(),
        b"\xff\xfe",
    ):
        path.write_bytes(bad)
        with pytest.raises(ArtefactError) as caught:
            Router.load(tmp_path)
        assert "denizen route calibrate" in str(caught.value) and "\n" not in str(caught.value)


def test_distance_is_the_mean_of_the_nearest_cosines(tmp_path: Path) -> None:
    embedder = make_tiny_embedder(tmp_path / "e", "fee of pool range price swap moon cheese")
    known = ["fee of pool", "price of pool", "swap fee"]
    sketch = Domain.of([*known, *known], embedder)
    assert len(sketch.vectors) == 3
    near, far = sketch.distances(["fee of pool", "moon cheese"], embedder)
    assert near < far
    vectors = embedder.embed(["fee of pool", *known])
    assert near == pytest.approx(1 - float((vectors[0] @ vectors[1:].T).mean()), abs=2e-3)
    folder = tmp_path / FOLDER
    name = sketch.save(folder)
    again = Domain.load(folder / name)
    assert again.distances(["fee of pool", "moon cheese"], embedder) == [near, far]
    other = make_tiny_embedder(tmp_path / "o", "fee of pool", seed=1)
    with pytest.raises(ArtefactError, match="another embedder"):
        again.distances(["fee"], other)
    (folder / name).write_bytes(b"rubbish")
    with pytest.raises(ArtefactError, match="cannot be read"):
        Domain.load(folder / name)


def test_a_router_measures_distance_with_its_sketch(tmp_path: Path) -> None:
    embedder = make_tiny_embedder(tmp_path / "e", "fee of pool")
    name = Domain.of(["fee of pool"], embedder).save(tmp_path / FOLDER)
    calibration(domain=name).save(tmp_path)
    router = Router.load(tmp_path, embedder=embedder)
    assert router is not None
    assert router.distance("fee of pool") == pytest.approx(0.0, abs=1e-3)
    assert Router(calibration()).distance("fee of pool") is None
