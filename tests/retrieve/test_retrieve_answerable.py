"""Answerability and the questions it is fitted on: no leak between splits, honest arithmetic."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from pathlib import Path

import pytest
from tests.retrieve.retrieve_sample import EIP

from denizen.project.errors import ArtefactError, DataError
from denizen.retrieve.answerable import FEATURES, Evidence, features, load_answerability
from denizen.retrieve.calibrate import calibration_error, fit
from denizen.retrieve.formats import read
from denizen.retrieve.ingest import document_of
from denizen.retrieve.questions import Paper, make_questions, place_of
from denizen.retrieve.sources import Raw


def rows(n: int, seed: int = 0) -> tuple[list[dict[str, float]], list[bool], list[str]]:
    """Features of which two tell the kinds apart, noisily."""
    rng = random.Random(seed)
    labels = [rng.random() < 0.7 for _ in range(n)]
    made = [
        {
            name: rng.gauss(0.8 * label * (name in ("cosine", "covered_first")), 1)
            for name in FEATURES
        }
        for label in labels
    ]
    return made, labels, [f"c{i // 3}" for i in range(n)]


def test_fit_finds_what_matters_and_is_calibrated(tmp_path: Path) -> None:
    model = fit(*rows(3000), embedder="e", rerank=False, made={"by": "a test"})
    assert sorted(model.weights, key=lambda n: -abs(model.weights[n]))[:2] != []
    top = sorted(model.weights, key=lambda n: -model.weights[n])[:2]
    assert set(top) == {"cosine", "covered_first"} and "max_sim" not in model.weights
    unseen, labels, _ = rows(3000, 1)
    confidences = [model.confidence(row) for row in unseen]
    assert calibration_error(confidences, labels) < 0.06
    right = [(c >= model.threshold) == y for c, y in zip(confidences, labels, strict=True)]
    assert sum(right) / len(right) > 0.65
    assert fit(*rows(3000), embedder="e", rerank=False, made={"by": "a test"}) == model
    model.save(tmp_path / "answerability.json")
    assert load_answerability("e", False, tmp_path) == model
    assert load_answerability("other", False, tmp_path) is None
    assert "max_sim" in fit(*rows(300), embedder="e", rerank=True).weights


def test_bad_models_and_too_few_questions_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="answerable and 0 unanswerable"):
        fit(
            [dict.fromkeys(FEATURES, 0.0)] * 50,
            [True] * 50,
            list(range(50)),
            embedder="e",
            rerank=False,
        )
    model = fit(*rows(200), embedder="e", rerank=False)
    for bad in ("{", "[]", json.dumps({"weights": {}})):
        (tmp_path / "answerability.json").write_text(bad)
        with pytest.raises(ArtefactError, match="not an answerability model"):
            load_answerability("e", False, tmp_path)
    for broken in ({"means": {}}, {"scales": dict.fromkeys(FEATURES, 0.0)}, {"bias": math.nan}):
        replace(model, **broken).save(tmp_path / "answerability.json")
        with pytest.raises(ArtefactError, match="not an answerability model"):
            load_answerability("e", False, tmp_path)
    replace(model, weights={"odd": 1.0}).save(tmp_path / "answerability.json")
    with pytest.raises(ArtefactError, match="unknown features"):
        load_answerability("e", False, tmp_path)


def test_features_by_hand() -> None:
    seen = Evidence(
        question="fee of EIP-20",
        idf={"fee": 1.0, "eip20": 2.0, "eip": 0.5, "20": 0.5},
        passages=[frozenset({"fee", "eip"}), frozenset({"eip20", "20"})],
        dense=[0.9, 0.7, 0.4],
        dense_first=0.7,
        bm25_share=0.5,
        agreement=0.5,
        token_similarity=[[0.2, 0.4], [0.9, 0.5]],
    )
    found = features(seen)
    assert set(found) == set(FEATURES)
    assert found["covered_first"] == pytest.approx(1.5 / 4) and found["covered_all"] == 1.0
    assert found["cosine_lead"] == pytest.approx(0.5) and found["bm25_share"] == pytest.approx(0.5)
    assert found["names_first"] == pytest.approx(1 / 3) and found["names_all"] == 1.0
    assert found["max_sim"] == pytest.approx(0.7) and found["max_sim_weakest"] == 0.5
    assert (
        all(features(replace(seen, passages=[], dense=[], token_similarity=[])).values()) is False
    )


def test_the_carried_models_are_for_the_standard_embedder() -> None:
    from importlib import resources

    folder = resources.files("denizen.retrieve") / "assets"
    for rerank, name in ((False, "answerability.json"), (True, "answerability-rerank.json")):
        made = json.loads((folder / name).read_text())
        found = load_answerability(made["embedder"], rerank, Path("/nowhere"))
        assert found is not None and 0 < found.threshold < 1 and found.made["questions"] >= 200


def paper(number: int, title: str) -> Paper:
    text = EIP.replace("eip: 20", f"eip: {number}").replace("Token Standard", title)
    text = text.replace("Fabian Vogelsteller", f"Anna Author{chr(97 + number % 26)}")
    raw = Raw(f"eip-{number}.md", text.encode(), "markdown", "x")
    parsed = read("markdown", raw.data, raw.name)
    return Paper(document_of(raw, "eips", parsed), parsed.blocks)


def test_questions_are_answered_where_they_say() -> None:
    papers = [paper(n, f"Standard number {n} for tokens") for n in range(20, 80)]
    texts = {p.document.id: p.document.text for p in papers}
    seen = {}
    for split in ("calibration", "holdout"):
        asked = make_questions(papers, split)  # type: ignore[arg-type]
        seen[split] = asked
        assert asked == make_questions(papers, split)  # type: ignore[arg-type]
        assert len({a.id for a in asked}) == len(asked)
        for one in asked:
            absent = one.cluster in texts and place_of(one.cluster).absent
            assert bool(one.targets) != (absent or one.kind == "another domain")
            for target in one.targets.values():
                inside = texts[target.document][target.start : target.end]
                if one.kind == "field: status":
                    assert inside == "status: Final"
                if one.kind == "section":
                    assert inside.startswith("## Motivation") and "## Specification" not in inside
    left = {a.cluster for a in seen["calibration"]} & {a.cluster for a in seen["holdout"]}
    assert all(c.startswith("elsewhere/") for c in left)
    assert not {a.question for a in seen["calibration"]} & {a.question for a in seen["holdout"]}
    kinds = {one.kind.split(":")[0] for one in seen["holdout"]}
    assert {"field", "section", "absent", "another domain", "author's work"} <= kinds
