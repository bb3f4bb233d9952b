"""Answers from documents under a promise of their own: asked of the index, judged by their place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests.retrieve.retrieve_sample import WordEncoder
from tests.serve.route.route_sample import CORE, pool

from denizen.project.config import Config, RouteConfig
from denizen.retrieve import Folder, Index, Stated, ingest
from denizen.retrieve.questions import Asked, Target, place_of
from denizen.serve.answering.passages import Found
from denizen.serve.exchange import Cited
from denizen.serve.route import DOCUMENTS, Router
from denizen.serve.route.calibrating import calibration_of
from denizen.serve.route.calibration import Settings
from denizen.serve.route.scored import Scored
from denizen.serve.route.signals import NO_GROUP
from denizen.serve.route.sourced import (
    document_answers,
    document_questions,
    judged,
    parted,
    sourced_of,
)

CONFIG = Config(route=RouteConfig(items=60, risk=0.4))
SYLLABLES = ("ba", "de", "fi", "go", "lu", "mi", "no", "pe", "ra", "si", "tu", "vo", "xa", "zy")


def word(rng: Random) -> str:
    return "".join(rng.choices(SYLLABLES, k=4))


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    """Proposals of made-up words, so that each question has one place that answers it."""
    place, rng = tmp_path_factory.mktemp("sourced"), Random(5)
    (place / "docs").mkdir()
    for number in range(100, 160):
        text = " ".join(word(rng) for _ in range(40))
        (place / "docs" / f"eip-{number}.md").write_text(
            f"---\neip: {number}\ntitle: {word(rng)} {word(rng)} {word(rng)}\n"
            f"author: {word(rng).title()} {word(rng).title()}\nstatus: Final\n"
            f"created: 20{rng.randint(15, 25)}-0{rng.randint(1, 9)}-11\n---\n\n"
            f"## Abstract\n\n{text}.\n\n## Motivation\n\n{' '.join(word(rng) for _ in range(30))}.\n"
        )
    made = Index.open(place / "index", WordEncoder(), create=True)
    ingest(made, [Folder(place / "docs", "docs", Stated(licence="MIT"))])
    return made


def test_questions_are_of_the_calibration_documents_that_are_there(index: Index) -> None:
    asked = document_questions(index, 1000)
    assert asked == document_questions(index, 1000) and len(document_questions(index, 10)) == 10
    for one in asked:
        assert not one.kind.startswith("absent")
        for target in one.targets.values():
            assert place_of(target.document).split == "calibration"
    assert sum(bool(one.targets) for one in asked) > 40


def found(**changed: Any) -> Found:
    cited = Cited("d", "D", "s", 10, 20, "q")
    return Found("said", (cited,), True, 0.9, 0.7, **changed)


def test_an_answer_is_right_if_a_citation_lies_in_what_answers() -> None:
    asked = Asked("i", "field", "Who?", {"answer": Target("d", 15, 30)}, "d")
    one = judged(asked, found())
    assert one.ok and one.group == DOCUMENTS and one.signals["coverage"] == 0.7
    assert not judged(Asked("i", "f", "Who?", {"a": Target("d", 20, 30)}, "d"), found()).ok
    assert not judged(Asked("i", "f", "Who?", {"a": Target("e", 15, 30)}, "d"), found()).ok
    assert not judged(Asked("i", "another domain", "Who?", {}, "d"), found()).ok
    nothing = Found("not there", (), False, 0.1, 0.2)
    assert judged(asked, nothing).group == NO_GROUP


def test_the_index_is_asked_once_and_the_journal_is_kept(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored, asked = document_answers(tmp_path, CONFIG, index, "d", quiet=True)
    assert asked == 60 and 40 <= len(scored) <= 60
    assert {one.group for one in scored} == {DOCUMENTS} and any(one.ok for one in scored)
    monkeypatch.setattr(
        "denizen.serve.route.sourced.look_up", lambda *_: pytest.fail("asked again")
    )
    assert document_answers(tmp_path, CONFIG, index, "d", quiet=True) == (scored, 60)
    with pytest.raises(pytest.fail.Exception):
        document_answers(tmp_path, CONFIG, index, "otherwise", quiet=True)


def covered(n: int, seed: int = 0, documents: int = 200) -> list[Scored]:
    """Answers that are right as often as their coverage says."""
    rng = Random(seed)
    made = []
    for number in range(n):
        coverage = rng.random()
        made.append(
            Scored(
                f"q{number}",
                DOCUMENTS,
                f"d{number % documents}",
                DOCUMENTS,
                rng.random() < (0.98 if coverage > 0.5 else 0.3),
                {"coverage": coverage, "schema_failed": 0.0, "recompute_failed": 0.0},
            )
        )
    return made


def test_coverage_decides_under_its_own_promise(tmp_path: Path) -> None:
    documents = sourced_of(covered(400, documents=400), 450, 0.1, 0.05)
    assert documents is not None and documents.asked == 450
    assert documents.threshold.threshold is not None and documents.model.weights["coverage"] > 0
    depends = {"model": "m", DOCUMENTS: "found so"}
    settings = Settings(0.1, 0.05, 0.05, 400, 128, "draft", CORE.names)
    scored = pool(400, groups=("mechanics",))
    alone = calibration_of(scored, settings, CORE, depends)
    made = calibration_of(scored, settings, CORE, depends, "", documents)
    assert made.groups == alone.groups and made.model == alone.model  # theirs is as it was
    assert DOCUMENTS not in alone.depends
    made.save(tmp_path)
    router = Router.load(tmp_path, depends)
    assert router is not None and router.covers(DOCUMENTS) and "documents" in router.promise
    checks = {"schema_failed": 0.0, "recompute_failed": 0.0}
    assert router.decide({"coverage": 0.95, **checks}, DOCUMENTS).local
    unsure = router.decide({"coverage": 0.1, **checks}, DOCUMENTS)
    assert not unsure.local and unsure.reason == "low confidence"
    assert "coverage" in router.decide(checks, DOCUMENTS).reason
    # Found otherwise, or not at all: only documents lose their promise.
    for now in ({**depends, DOCUMENTS: "otherwise"}, {"model": "m"}):
        again = Router.load(tmp_path, now)
        assert again is not None and not again.covers(DOCUMENTS) and again.covers("question")
        assert "documents" not in again.promise


def test_too_few_answers_prove_nothing() -> None:
    assert sourced_of([], 60, 0.1, 0.05) is None
    assert sourced_of(covered(57), 60, 0.1, 0.05) is None  # 28 documents are tested, 29 prove 10%
    few = sourced_of(covered(58), 60, 0.1, 0.05)
    assert few is not None and few.threshold.n == 29
    # Four questions about one document are no four trials.
    again = [replace(s, id=f"{s.id}/{i}") for s in covered(57) for i in range(4)]
    assert sourced_of(again, 228, 0.1, 0.05) is None


def test_the_halves_share_no_document_and_each_is_tested_once() -> None:
    scored = covered(400)
    fitting, testing = parted(scored)
    assert (fitting, testing) == parted(scored)
    ours, theirs = {s.cluster for s in fitting}, [s.cluster for s in testing]
    assert len(ours) == len(theirs) == len(set(theirs)) == 100 and not ours & set(theirs)
    assert len(fitting) == 200


def test_documents_whose_answers_fail_together_break_no_promise() -> None:
    """True risk 10.2% at every threshold, promised 10%: accepted with chance delta at most."""
    accepted = 0
    for seed in range(120):
        rng = Random(seed)
        wrong = [rng.random() < 0.102 for _ in range(60)]
        scored = [
            Scored(f"{d}-{q}", DOCUMENTS, f"d{d}", DOCUMENTS, not wrong[d], {"coverage": rng.random(),
                   "schema_failed": 0.0, "recompute_failed": 0.0})
            for d in range(60) for q in range(4)
        ]  # fmt: skip
        made = sourced_of(scored, 240, 0.1, 0.05)
        accepted += made is not None and made.threshold.threshold is not None
    assert accepted <= 0.05 * 120 + 4  # tested answer by answer it was 14


def test_as_many_documents_as_can_be_are_asked_about(index: Index) -> None:
    every = document_questions(index, 1000)
    documents = {one.cluster for one in every}
    assert len({one.cluster for one in document_questions(index, len(documents))}) == len(documents)


def test_calibration_takes_the_index_along(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.serve.route.test_route_calibrating import SMALL, Model, gold_of

    from denizen.serve.route import calibrate, calibrating, depends_on
    from denizen.serve.route.questions import calibration_split

    config = Config.model_validate(
        {"data": {"families": ",".join(SMALL.names)}, "route": {"items": 60, "risk": 0.4}}
    )
    gguf = tmp_path / "m.gguf"
    gguf.write_bytes(b"GGUF")
    model: Any = Model(gold_of(calibration_split(SMALL, 60, [])))
    made = calibrate(tmp_path, config, gguf, lambda: model, index=index, quiet=True)
    assert made.documents is not None and made.documents.asked == 60
    now = depends_on(config, SMALL, made.gguf, index)
    router = Router.load(tmp_path, now)
    assert router is not None and router.covers(DOCUMENTS)
    told: list[str] = []
    monkeypatch.setattr(calibrating, "document_answers", lambda *_, **__: ([], 5))
    empty = calibrate(
        tmp_path, config, gguf, lambda: model, index=index, quiet=True, say=told.append
    )
    assert empty.documents is None and any("too few to calibrate" in line for line in told)
