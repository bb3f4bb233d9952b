"""Ways to a PASS, or to a figure, that must not be: each was open once."""

from __future__ import annotations

import json
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mainline_sample import register

from denizen.cli.app import main
from denizen.data import check_leaks, load_holdout, to_row, write_jsonl
from denizen.evaluate.integrity import freeze_exam
from denizen.evaluate.judge import JudgeError
from denizen.evaluate.suites import BEHAVIOURS, Case, take
from denizen.improve import STAGES, bakeoff
from denizen.improve.asking import _key
from denizen.improve.auditing import Auditing
from denizen.improve.bakeoff import run_bakeoff
from denizen.improve.examining import _parts
from denizen.improve.judging import Judging
from denizen.improve.mainline import MainLine
from denizen.improve.scoring import Scoring
from denizen.project import (
    ArtefactError,
    Config,
    ConfigError,
    LeakError,
    Store,
    Workspace,
    content_hash,
)
from denizen.project.config import parse_config
from denizen.project.errors import WorkspaceError
from denizen.tasks import FAMILIES, offers, suite_of, verify

SETTINGS = """
model: {base: tiny, source: hub}
data: {rows: 24, sample: 8, embedder: ""}
train: {batch_tokens: 4000, max_length: 1200, learning_rate: 0.01, save_steps: 2}
adapter: {rank: 4}
evaluate: {max_new_tokens: 260, batch: 8, suite_cases: 2}
export: {quant: q8_0, context: 3072}
"""


def changed(section: str, **values: Any) -> Config:
    config = parse_config(SETTINGS)
    return config.model_copy(update={section: getattr(config, section).model_copy(update=values)})


@pytest.fixture(scope="module")
def place(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A workspace in which a candidate was trained and exported, and nothing judged."""
    with pytest.MonkeyPatch.context() as patch:
        register(tmp_path_factory.mktemp("cache"), tiny, patch, "tiny", "other")
        found = Workspace.open(tmp_path_factory.mktemp("workspace"))
        MainLine(found, parse_config(SETTINGS), quiet=True).go("export")
        yield found


def test_nothing_that_was_trained_meets_the_holdout_before_its_look(place: Workspace) -> None:
    assert STAGES.index("export") < STAGES.index("shipped score") < STAGES.index("merged score")
    line = MainLine(place, parse_config(SETTINGS), quiet=True)
    line.go("export")
    assert [n for n in line.done if n.endswith("score")] == ["base score"]
    assert not line.gating.ledger.looks(line.gating.exam_hash)


def test_fewer_families_are_the_same_exam(place: Workspace) -> None:
    whole = MainLine(place, parse_config(SETTINGS), quiet=True)
    part = MainLine(place, changed("data", families="mechanics"), quiet=True)
    assert len(part.holdout) < len(whole.holdout)
    assert part.gating.exam_hash == whole.gating.exam_hash


def test_power_is_told_at_the_level_the_look_will_have(place: Workspace) -> None:
    said: list[str] = []
    MainLine(place, parse_config(SETTINGS), quiet=True, say=said.append).go("base score")
    assert any("alpha = 0.025" in line for line in said)


def test_rows_checked_against_another_exam_are_not_judged_by_this_one(place: Workspace) -> None:
    gguf = next(a for a in Store(place).all() if a.kind == "gguf")
    same = MainLine(place, parse_config(SETTINGS), quiet=True, candidate=gguf.hash)
    same.go("model")
    assert "data" in same.done
    other = changed("data", families="mechanics,v2_quote")
    line = MainLine(place, other, quiet=True, candidate=gguf.hash)
    with pytest.raises(ArtefactError, match="checked against another exam"):
        line.go("model")


def test_another_margin_of_the_judge_is_another_verdict(place: Workspace) -> None:
    keys = []
    for margin in (0.05, 0.2):
        line = MainLine(place, changed("judge", margin=margin), quiet=True)
        line.go("base score")
        keys.append(line.gating._inputs()["settings"])
    assert keys[0] != keys[1]


@pytest.mark.parametrize("floors", [{"overall": 1.5}, {"overall": 0.0}, {"mechanic": 0.5}])
def test_a_floor_that_cannot_be_is_refused_at_once(
    place: Workspace, floors: dict[str, float]
) -> None:
    with pytest.raises(ConfigError, match="no floor can be"):
        MainLine(place, changed("evaluate", floors=floors), quiet=True)


def labels(path: Path) -> str:
    rows = [
        {"question": f"q{n}", "first": "a", "second": "b", "label": ("first", "second")[n % 2]}
        for n in range(30)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


class Kept:
    """Stages that remember what was done, as a workspace does."""

    def __init__(self) -> None:
        self.known: dict[str, Any] = {}

    def do(self, name: str, inputs: dict[str, str], _: float, body: Any) -> Any:
        key = content_hash([name, inputs])
        if key in self.known:
            return SimpleNamespace(figures=self.known[key], reused=True)
        _, self.known[key] = body(SimpleNamespace(update=lambda *_: None, total=1))
        return SimpleNamespace(figures=self.known[key], reused=False)


def judged(tmp_path: Path, stages: Kept, **settings: Any) -> Judging:
    given = {"base_url": "http://127.0.0.1:9/v1", "model": "m", "suite": "script", **settings}
    given.setdefault("labels", labels(tmp_path / "labels.jsonl"))
    config = changed("judge", **given)
    scores = SimpleNamespace(outputs={"scores": "0" * 64})
    line = SimpleNamespace(
        config=config,
        conduct=SimpleNamespace(suites=[SimpleNamespace(name="script")]),
        done={"script base": scores, "script shipped": scores},
        stages=stages,
        store=SimpleNamespace(put_text=lambda *_: None),
    )
    return Judging(line)  # type: ignore[arg-type]


def test_what_a_judge_left_out_is_asked_again_and_what_it_said_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [3, 1, 0]
    asked: list[int] = []

    def compare(_: Judging, bar: Any) -> dict[str, Any]:
        asked.append(answers[len(asked)])
        return {"unjudged": asked[-1], "wins": 1, "losses": 0}

    monkeypatch.setattr(Judging, "_compare", compare)
    stages = Kept()
    found = [judged(tmp_path, stages).judge().figures["unjudged"] for _ in range(5)]
    assert found == [3, 1, 0, 0, 0] and asked == answers


def test_a_judge_that_cannot_be_asked_is_refused_before_the_hours(tmp_path: Path) -> None:
    with pytest.raises(JudgeError, match="no URL"):
        judged(tmp_path, Kept(), base_url="somewhere")
    with pytest.raises(ConfigError, match="cannot read the labels"):
        judged(tmp_path, Kept(), labels=str(tmp_path / "none.jsonl"))


def test_ordinary_answers_are_free_ones_of_the_file_that_ships() -> None:
    names = ("base score", "shipped score", "merged score", "previous score", "f16 score")
    names += ("script base", "script shipped", "script f16", "memorisation shipped")
    audits = object.__new__(Auditing)
    suites = [SimpleNamespace(name="script"), SimpleNamespace(name="memorisation")]
    stage = SimpleNamespace(outputs={"scores": ""})
    line = SimpleNamespace(done=dict.fromkeys(names, stage), conduct=SimpleNamespace(suites=suites))
    audits.line = line  # type: ignore[assignment]
    audits._said = lambda name: [name]  # type: ignore[method-assign]
    assert audits._ordinary() == ["script shipped"]
    assert not {"base score", "script base", "previous score"} & set(audits._outputs())
    assert {"merged score", "script f16", "memorisation shipped"} <= set(audits._outputs())


@pytest.mark.parametrize(("base", "own"), [("mine", False), ("another", True)])
def test_the_last_release_is_asked_under_its_own_template(base: str, own: bool) -> None:
    merged = SimpleNamespace(hash="m", inputs={"base": base}, path=Path("merged"))
    merged.verified = lambda: merged
    scoring = object.__new__(Scoring)
    scoring.line = SimpleNamespace(  # type: ignore[assignment]
        store=SimpleNamespace(all=lambda: [merged]), files=SimpleNamespace(hash="mine")
    )
    release: Any = SimpleNamespace(hash="r" * 64, inputs={"merged": "m"})
    assert scoring._own_tokenizer(release) == (Path("merged") if own else None)
    release.inputs = {"merged": "gone"}
    with pytest.raises(ArtefactError, match="cannot be asked fairly"):
        scoring._own_tokenizer(release)


def test_a_mended_answer_key_is_asked_anew() -> None:
    first, second = (Case("q", "f", "p", "t", facts={"answer": [key]}) for key in "AB")
    assert _key(first) != _key(second)
    assert _key(first) == _key(Case("q", "f", "p", "t", facts={"answer": ["A"]}))


def test_a_killed_candidate_does_not_end_the_bakeoff_and_the_workspace_is_held(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(tmp_path / "cache", tiny, monkeypatch, "tiny", "other")
    place = Workspace.open(tmp_path / "w")

    class Pool:
        def __init__(self, *_: Any, **__: Any) -> None: ...
        def __enter__(self) -> Pool:
            return self

        def __exit__(self, *_: Any) -> None: ...
        def submit(self, *_: Any) -> Any:
            with pytest.raises(WorkspaceError, match="is working here"), place.locked():
                pass
            raise BrokenProcessPool("killed")

    monkeypatch.setattr(bakeoff, "ProcessPoolExecutor", Pool)
    found = run_bakeoff(place, parse_config(SETTINGS), ["tiny", "other"])
    assert [c.error for c in found] == ["its process was killed, which is what too little memory "
                                        "looks like"] * 2  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["eval", "--suite", "script", "--gguf", "missing.gguf"], "no such file"),
        (["eval", "--suite", "memorisation"], "no suite of 'memorisation'"),
        (["eval", "--suite", "script", "--limit", "0"], "--limit"),
        (["bakeoff", "--models", "a,b", "--rows", "0"], "--rows"),
        (["bakeoff", "--models", "a,b", "--sample", "0"], "--sample"),
    ],
)
def test_bad_input_of_the_verbs_is_one_line(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main([*arguments, "--workspace", str(tmp_path / "w")])
    told = capsys.readouterr().err.strip().splitlines()
    assert code == 2 and said in told[-1] and told[-1].startswith("error: ")


def apart(item: Any) -> bool:
    """Whether the carried exam has nothing like it, and its gold answer is right."""
    try:
        check_leaks([to_row(item, "s")], load_holdout())
    except LeakError:
        return False
    return bool(verify(item, item.answer).ok)


def test_a_scan_knows_an_exam_of_your_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    family = FAMILIES["v2_quote"]
    drawn = (family.generate(seed, "dev") for seed in range(200))
    item = next(i for i in drawn if offers(i, family.schema) and apart(i))
    asked = tmp_path / "mine.jsonl"
    asked.write_text(json.dumps({"prompt": item.prompt, "gold": item.gold}) + "\n")
    freeze_exam(asked, tmp_path / "exam.jsonl", suite_of("core"))
    rows = tmp_path / "rows.jsonl"
    write_jsonl(rows, [to_row(item, "You are a DeFi analyst.")])
    assert main(["data", "scan", str(rows)]) == 0
    config = tmp_path / "denizen.yaml"
    config.write_text(f"evaluate: {{holdout: {tmp_path / 'exam.jsonl'}}}\n")
    assert main(["data", "scan", str(rows), "--config", str(config)]) == 2
    assert "the same question" in capsys.readouterr().err


def test_part_of_the_audit_suite_is_whole_pairs() -> None:
    whole = BEHAVIOURS["audit"]
    for n, pairs in ((1, 1), (20, 10), (len(whole.cases), len(whole.cases) // 2)):
        sides = [case.facts["pair"] for case in take(whole, n).cases]
        assert len(set(sides)) == pairs and len(sides) == 2 * pairs


def test_what_a_suite_is_made_of_is_told_with_intervals() -> None:
    said = [
        SimpleNamespace(item_id=case.id, output="I do not know.")
        for case in BEHAVIOURS["grounding"].cases[:12]
    ]
    found = _parts("grounding", said)  # type: ignore[arg-type]
    assert "faithfulness" in found and all(0 <= p.low <= p.high <= 1 for p in found.values())
    assert _parts("script", []) == {}
