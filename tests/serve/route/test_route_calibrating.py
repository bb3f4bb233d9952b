"""Calibration end to end with a made-up model: own questions, resumable, one file, the right one."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.models.tiny_embedder import make_tiny_embedder
from tests.serve.route.route_sample import guided, item_of

from denizen.cli import app as command_line
from denizen.data import load_holdout
from denizen.data.build import build_rows
from denizen.models import SYSTEM
from denizen.project import DataError, LeakError
from denizen.project.config import Config, DataConfig, RouteConfig
from denizen.project.hashing import sha256_file
from denizen.serve.answering.composing import Exact, compose
from denizen.serve.answering.turning import Local
from denizen.serve.exchange import Fault, Guided, Turn
from denizen.serve.route import DOCUMENTS, NotCalibrated, Router, depends_on, report_of
from denizen.serve.route.calibrating import calibrate
from denizen.serve.route.calibration import read_calibration
from denizen.serve.route.questions import (
    SEED,
    Seen,
    calibration_split,
    halves,
    training_questions,
)
from denizen.serve.route.scored import Journal, Scored, asking, judged, read_scored, score_all
from denizen.tasks import suite_of

FAMILIES = "mechanics,range_status,fee_apr"
SMALL = suite_of(FAMILIES)
CONFIG = Config(
    data=DataConfig(families=FAMILIES), route=RouteConfig(items=60, risk=0.4, budget=0.5)
)


class Killed(Exception):
    """Stands for a kill."""


class Model:
    """A backend that knows the gold answers of most questions, and is unsure of the others."""

    def __init__(self, gold: dict[str, str], stop_after: int = 10**9) -> None:
        self.gold, self.stop_after, self.asked, self.closed = gold, stop_after, 0, False
        self.turns: tuple[Turn, ...] = ()

    async def guided(
        self, turns: tuple[Turn, ...], grammar: str, max_tokens: int, adapter: str = ""
    ) -> Guided:
        if self.asked >= self.stop_after:
            raise Killed
        self.asked += 1
        self.turns = turns
        assert grammar.startswith("root ::=") and max_tokens == 128
        question = turns[-1].content
        text = self.gold[question]
        if sum(question.encode()) % 4 == 0:
            return guided("nothing <calc>nothing()</calc>", ("n", 0.1, 0.5))
        return guided(text, (text[:3], 5.0 + len(question) % 3, 0.97), (text[-9:-7], 4.0, 0.9))

    async def close(self) -> None:
        self.closed = True


@pytest.fixture(scope="module")
def known() -> list[Seen]:
    rows, _ = build_rows(40, 0, load_holdout(SMALL.names), suite=SMALL, system=SYSTEM)
    return [Seen(row.id, row.question) for row in rows]


@pytest.fixture(scope="module")
def split(known: list[Seen]):
    return calibration_split(SMALL, 60, known)


def local(text: str, *choices: tuple[str, float, float]) -> Local:
    made = guided(text, *choices)
    return Local(compose(text, text, SMALL), text, made, made.usage, "")


def gold_of(split: Any) -> dict[str, str]:
    return {item.prompt: item.answer for item in split.items}


def workspace(folder: Path) -> tuple[Path, Path]:
    """A workspace with a few training rows, and a model file."""
    rows, _ = build_rows(40, 0, load_holdout(SMALL.names), suite=SMALL, system=SYSTEM)
    place = folder / "artefacts" / "rows-1" / "train.jsonl"
    place.parent.mkdir(parents=True)
    place.write_text("".join(json.dumps(row.to_json()) + "\n" for row in rows))
    gguf = folder / "model.gguf"
    gguf.write_bytes(b"GGUF model")
    return folder, gguf


def test_the_split_is_its_own(split: Any, known: list[Seen]) -> None:
    assert len(split.items) == 60 and split.training == 40
    assert {item.split for item in split.items} == {"dev"}
    assert {item.family for item in split.items} == set(SMALL.names)
    exam = {item.prompt for item in load_holdout()}
    assert not {item.prompt for item in split.items} & (exam | {one.prompt for one in known})
    assert all(item.seed >= SEED * 1_000_003 for item in split.items)
    assert calibration_split(SMALL, 60, known).hash == split.hash
    first, second = halves(split.items)
    assert not {i.id for i in first} & {i.id for i in second} and len(first) == len(second) == 30
    assert {i.family for i in first} == {i.family for i in second} == set(SMALL.names)


def test_questions_like_training_rows_are_not_drawn(split: Any) -> None:
    leaked = [Seen(f"row{n}", item.prompt) for n, item in enumerate(split.items[:40:20])]
    again = calibration_split(SMALL, 60, leaked)
    assert again.left_out >= 2
    assert not {one.prompt for one in leaked} & {item.prompt for item in again.items}


def test_it_stops_if_a_likeness_remains(split: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from denizen.serve.route import questions

    leaked = [Seen("row1", split.items[0].prompt)]
    reports = iter([[], leaked])  # the first look misses it, the proof does not
    real = questions._alike
    monkeypatch.setattr(
        questions,
        "_alike",
        lambda items, seen, embedder: real(items, [*load_holdout(), *next(reports)], embedder),
    )
    with pytest.raises(LeakError, match="is like row1"):
        calibration_split(SMALL, 60, [])


def test_too_few_questions_is_one_line(split: Any) -> None:
    every = [Seen(f"r{n}", item.prompt) for n, item in enumerate(split.items)]
    with pytest.raises(DataError, match=r"only \d+ of \d+ questions are unlike"):
        calibration_split(
            SMALL, 60, [*every, *[Seen(f"s{n}", p.prompt) for n, p in enumerate(_more())]]
        )


def _more() -> list[Any]:
    return list(calibration_split(SMALL, 75, []).items)


def test_training_questions_of_any_objective(tmp_path: Path) -> None:
    folder = tmp_path / "artefacts" / "rows-1"
    folder.mkdir(parents=True)
    talk = [{"role": "system", "content": "s"}, {"role": "user", "content": "a?"}]
    lines = [{"messages": talk}, {"prompt": talk, "chosen": []}, {"prompt": "b?"}, {"text": "c"}]
    (folder / "train.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert [one.prompt for one in training_questions(tmp_path)] == ["a?", "b?", "c"]
    (folder / "train.jsonl").write_text('{"messages": 3}\n[1]')
    with pytest.raises(DataError, match="not a training row"):
        training_questions(tmp_path)
    assert training_questions(tmp_path / "none") == []


def test_a_verdict_is_the_verifiers() -> None:
    item = item_of(1)
    good = judged(item, local(item.answer, (item.answer[:4], 3.0, 0.9)), SMALL)
    assert good.ok and good.group == "mechanics" and good.signals["margin_least"] == 3.0
    bad = judged(item, local("I do not know."), SMALL)
    assert not bad.ok and bad.signals["schema_failed"] == 1.0
    stranger = replace(local(item.answer), answer=Exact("", strangers=("9",)))
    assert judged(item, stranger, SMALL).signals["recompute_failed"] == 1.0


def test_a_journal_survives_a_kill_and_belongs_to_its_key(tmp_path: Path) -> None:
    path = tmp_path / "w" / "answers.jsonl"
    journal = Journal.open(path, "k1")
    for n in range(3):
        journal.add(Scored(f"i{n}", "f", "c", "g", n > 0, {"decisions": 1.0}))
    path.write_text(path.read_text()[:-20])
    again = Journal.open(path, "k1")
    assert list(again.done) == ["i0", "i1"] and again.done["i1"] == journal.done["i1"]
    again.add(Scored("i9", "f", "c", "g", True, {}))
    assert list(Journal.open(path, "k1").done) == ["i0", "i1", "i9"]
    assert not Journal.open(path, "k2").done


def test_an_interrupted_calibration_goes_on(split: Any, tmp_path: Path) -> None:
    gold = gold_of(split)
    path = tmp_path / "answers.jsonl"

    def run(model: Model) -> list[Scored]:
        ask = asking(model, SMALL, CONFIG)  # type: ignore[arg-type]
        return asyncio.run(score_all(split.items, ask, SMALL, Journal.open(path, "k"), parallel=3))

    with pytest.raises(Killed):
        run(Model(gold, stop_after=20))
    second = Model(gold)
    scored = run(second)
    assert [s.id for s in scored] == [i.id for i in split.items]
    assert second.asked == 40
    assert second.turns[0].role == "system" and second.turns[0].content == SYSTEM
    right = [s.ok for s in scored]
    assert right == [sum(i.prompt.encode()) % 4 != 0 for i in split.items]


def test_a_refused_question_is_one_line(split: Any, tmp_path: Path) -> None:
    async def ask(_: str) -> Local:
        raise Fault(400, "the prompt is too long")

    with pytest.raises(DataError, match=r"refused calibration question .*: the prompt is too long"):
        asyncio.run(score_all(split.items, ask, SMALL, Journal.open(tmp_path / "a", "k")))


def test_the_whole_way_from_questions_to_a_router_and_a_report(tmp_path: Path) -> None:
    place, gguf = workspace(tmp_path)
    words = " ".join(one.prompt.lower() for one in (*training_questions(place), *_more()))
    embedder = make_tiny_embedder(tmp_path / "e", words)
    gold = gold_of(calibration_split(SMALL, 60, training_questions(place), embedder))
    model, told = Model(gold), []
    made = calibrate(
        place, CONFIG, gguf, lambda: model, embedder=embedder, quiet=True, say=told.append  # type: ignore[arg-type, return-value]
    )  # fmt: skip
    assert model.closed and model.asked == 60
    assert made.gguf == sha256_file(gguf) and made.settings.items == 60 and made.domain
    answers = read_scored(place / "route" / made.answers)
    assert all("distance" in s.signals for s in answers)
    # Everything is known: a second run loads no model and asks nothing.
    again = calibrate(
        place, CONFIG, gguf, lambda: pytest.fail("loaded"), embedder=embedder, quiet=True
    )
    assert again.groups == made.groups and again.model == made.model
    assert len(list((place / "route").glob("answers-*.jsonl"))) == 1
    now = depends_on(CONFIG, SMALL, sha256_file(gguf))
    assert made.depends == now
    router = Router.load(place, now, embedder)
    assert router is not None and not router.covers(DOCUMENTS)
    with pytest.raises(NotCalibrated, match="another embedder"):
        Router.load(place, now, make_tiny_embedder(tmp_path / "o", words, seed=1))
    for one in answers:
        if not one.ok:
            assert not router.decide(one.signals, one.group).local
    assert any(router.decide(s.signals, s.group).local for s in answers)
    report = report_of(place, CONFIG, quiet=True)
    assert report.local.n == 30 and report.wrong_of_answered.value == 0.0
    assert report.upstream == "" and report.measures is None


def test_a_failed_calibration_leaves_the_old_one(tmp_path: Path) -> None:
    place, gguf = workspace(tmp_path)
    (place / "route.json").write_text("the old one")
    model = Model({}, stop_after=0)
    with pytest.raises(Killed):
        calibrate(place, CONFIG, gguf, lambda: model, quiet=True)  # type: ignore[arg-type, return-value]
    assert (place / "route.json").read_text() == "the old one" and model.closed


def test_the_verb_says_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(command_line.VERBS, "route", "Escalation.")
    assert command_line.main(["route", "report", "-w", str(tmp_path)]) == 2
    assert "denizen route calibrate" in capsys.readouterr().err
    assert command_line.main(["route", "calibrate", "-w", str(tmp_path), "--json"]) == 2
    assert "no release" in json.loads(capsys.readouterr().out)["what"]
    for wrong in (tmp_path / "nope.gguf", tmp_path):
        assert (
            command_line.main(["route", "calibrate", "--gguf", str(wrong), "-w", f"{tmp_path}"])
            == 2
        )
        assert "the model file cannot be read" in capsys.readouterr().err


def test_another_promise_is_proven_on_the_same_answers(tmp_path: Path) -> None:
    place, gguf = workspace(tmp_path)
    gold = gold_of(calibration_split(SMALL, 60, training_questions(place)))
    made = calibrate(place, CONFIG, gguf, lambda: Model(gold), quiet=True)  # type: ignore[arg-type, return-value]
    stricter = CONFIG.model_copy(
        update={"route": CONFIG.route.model_copy(update={"risk": CONFIG.route.risk / 2})}
    )
    now = depends_on(stricter, SMALL, made.gguf)
    with pytest.raises(NotCalibrated, match="another promised risk"):
        read_calibration(place, now)
    calibrate(place, stricter, gguf, lambda: pytest.fail("asked again"), quiet=True)
    again = read_calibration(place, now)
    assert again is not None and again.settings.risk == CONFIG.route.risk / 2


def test_the_verb_calibrates_and_reports(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from denizen.cli import route

    place, gguf = workspace(tmp_path)
    config = tmp_path / "denizen.yaml"
    config.write_text(f"data: {{families: '{FAMILIES}'}}\nroute: {{risk: 0.4, budget: 0.5}}\n")
    gold = gold_of(calibration_split(SMALL, 60, training_questions(place)))
    monkeypatch.setitem(command_line.VERBS, "route", "Escalation.")
    monkeypatch.setattr(route, "_embedder", lambda *_: None)
    monkeypatch.setattr(route, "_backend", lambda path, settings: Model(gold))
    given = ["-w", str(place), "-c", str(config), "--json"]
    asked = ["route", "calibrate", "--gguf", str(gguf), "--items", "60", *given]
    assert command_line.main(asked) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["settings"]["items"] == 60 and made["groups"] and made["sentence"]
    assert command_line.main(["route", "report", *given]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert Path(shown["page"]).read_text().startswith("<!doctype html>")
    assert command_line.main(asked[:-1]) == 0
    assert made["tradeoff"]["status"] in capsys.readouterr().out


def test_a_real_backend_is_asked_by_the_same_path(tiny: Path, tmp_path: Path) -> None:
    from denizen.export import write_gguf
    from denizen.serve.backend import LocalBackend

    write_gguf(tiny, tmp_path / "tiny.gguf", quant="f32", name="tiny")
    config = CONFIG.model_copy(
        update={"evaluate": CONFIG.evaluate.model_copy(update={"max_new_tokens": 300})}
    )
    items = [SMALL.families["range_status"].generate(9_100_000 + n, "dev") for n in range(3)]

    async def run() -> list[Scored]:
        backend = LocalBackend(tmp_path / "tiny.gguf", context=2048, parallel=2, threads=1)
        try:
            ask = asking(backend, SMALL, config)
            journal = Journal.open(tmp_path / "a.jsonl", "k")
            return await score_all(items, ask, SMALL, journal, parallel=2)
        finally:
            await backend.close()

    for one in asyncio.run(run()):
        # Even a random model ends in a call under the grammar, and says how unsure it was.
        assert one.signals["schema_failed"] == one.signals["recompute_failed"] == 0.0
        assert one.signals["decisions"] >= 1 and one.signals["margin_least"] < 30
        assert one.group in SMALL.names
