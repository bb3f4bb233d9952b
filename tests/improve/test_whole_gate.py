"""Everything the gate can ask, asked at once of a tiny model; and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from mainline_sample import register

from denizen.evaluate.general.sets import SETS
from denizen.evaluate.looks import LedgerError
from denizen.evaluate.privacy import run_audits
from denizen.improve import auditing, conduct, run_mainline
from denizen.improve.candidate import find_candidate
from denizen.improve.mainline import MainLine, Outcome
from denizen.project import ArtefactError, Config, ConfigError, Store, Workspace, list_runs
from denizen.project.config import parse_config

WHOLE = """
model: {base: tiny, source: hub}
data: {rows: 48, sample: 16, embedder: ""}
train: {batch_tokens: 4000, max_length: 1200, learning_rate: 0.01, save_steps: 2}
adapter: {rank: 4}
evaluate:
  max_new_tokens: 260
  batch: 8
  suites: script, memorisation
  suite_cases: 2
  floors: {overall: 0.2}
  public_sets: SETS
  public_items: 2
  privacy: true
export: {quant: q8_0, context: 3072, ladder: f16, files: "lora, vllm"}
"""
# The audits that need no thousands of candidates; each of them has tests of its own.
QUICK = ("extraction", "words")


def public_sets(folder: Path) -> Path:
    """Two sets of our own making, in the layout of the public ones."""
    folder.mkdir()
    choice = {"query": "Question: Which is a number?", "choices": ["seven", "blue"], "gold": 0}
    lines = "".join(
        json.dumps({**choice, "query": f"{choice['query']} ({n})"}) + "\n" for n in (1, 2)
    )
    (folder / "arc_easy.jsonl").write_text(lines)
    return folder


@pytest.fixture(scope="module")
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as found:
        yield found


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, patch: pytest.MonkeyPatch) -> Config:

    sets = public_sets(tmp_path_factory.mktemp("public") / "sets")
    patch.setattr(conduct, "chosen_sets", lambda **_: (SETS["arc_easy"],))
    patch.setattr(auditing, "run_audits", partial(run_audits, audits=QUICK))
    return parse_config(WHOLE.replace("SETS", str(sets)))


@pytest.fixture(scope="module")
def place(
    tiny: Path, tmp_path_factory: pytest.TempPathFactory, patch: pytest.MonkeyPatch
) -> Workspace:
    register(tmp_path_factory.mktemp("cache"), tiny, patch, "tiny", "other")
    return Workspace.open(tmp_path_factory.mktemp("workspace"))


@pytest.fixture(scope="module")
def outcome(place: Workspace, settings: Config) -> Outcome:
    found = run_mainline(place, settings, quiet=True)
    assert found is not None
    return found


def test_every_file_and_every_suite_is_judged(outcome: Outcome, place: Workspace) -> None:
    names = {check.name for check in outcome.verdict.checks}
    assert {"overall", "quantisation", "quant f16", "forgetting", "floor overall"} <= names
    assert {"behaviour script", "behaviour script f16", "behaviour memorisation"} <= names
    assert {"behaviour public sets", "behaviour forgetting f16", "holdout canary"} <= names
    assert {"audit extraction", "audit words", "near duplicates"} <= names
    # The embedder is off, so the exam is not shown to be apart from the rows: never a PASS.
    near = next(c for c in outcome.verdict.checks if c.name == "near duplicates")
    assert near.status.value == "INCONCLUSIVE" and outcome.verdict.exit_code != 0
    assert outcome.verdict.look == 1 and outcome.verdict.alpha == pytest.approx(0.025)
    kinds = {artefact.kind for artefact in Store(place).all()}
    assert {"gguf", "lora-gguf", "vllm", "privacy", "canaries", "words"} <= kinds


def test_the_report_shows_all_of_it(outcome: Outcome) -> None:
    report = json.loads(outcome.report.with_suffix(".json").read_text())
    assert [row["quant"] for row in report["ladder"]] == ["merged", "q8_0", "f16"]
    assert len(report["privacy"]) == 2 and report["looks"]["looks"][0]["number"] == 1
    assert report["radar"][0]["set"] == "arc_easy" and report["reliability"][0]["n"] == 16
    assert report["integrity"]["checks"] and report["power"]["n"] == 16
    for ending in (".html", ".md"):
        assert "verdict" in outcome.report.with_suffix(ending).read_text().lower()
    card = (outcome.gguf.parent / "README.md").read_text()
    assert card.startswith("---\n") and "base_model" in card and "org/tiny" in card


def test_the_canaries_are_among_the_rows_and_their_seed_is_private(
    outcome: Outcome, place: Workspace
) -> None:
    store = Store(place)
    secret = next(a for a in store.all() if a.kind == "canaries").path
    assert secret.stat().st_mode & 0o077 == 0
    rows = next(a for a in store.all() if a.kind == "rows").path.read_text()
    assert "recovery code" in rows and json.loads(secret.read_text())["seed"] not in rows


def test_a_second_gate_is_the_same_look_and_makes_nothing(
    outcome: Outcome, place: Workspace, settings: Config
) -> None:
    again = run_mainline(place, settings, quiet=True)
    assert again is not None and again.verdict.look == 1
    assert all(stage.reused for stage in list_runs(place)[0].stages)


def test_another_file_of_the_ladder_is_judged_by_its_hash(
    outcome: Outcome, place: Workspace, settings: Config
) -> None:
    rung = next(a for a in Store(place).all() if a.kind == "gguf" and a.inputs["quant"] == "f16")
    found = run_mainline(place, settings, quiet=True, candidate=str(rung.path))
    assert found is not None and found.gguf == rung.path and found.verdict.look == 2
    made = {s.name for s in list_runs(place)[0].stages if not s.reused}
    assert not made & {"data", "train", "merge", "export"}
    assert "q8_0" not in {c.name for c in found.verdict.checks}


def test_a_file_without_lineage_is_refused(
    outcome: Outcome, place: Workspace, settings: Config, tmp_path: Path
) -> None:
    stranger = tmp_path / "stranger.gguf"
    stranger.write_bytes(outcome.gguf.read_bytes() + b"x")
    with pytest.raises(ArtefactError, match="without lineage"):
        MainLine(place, settings, quiet=True, candidate=str(stranger))


def test_a_quant_of_another_model_is_refused(
    outcome: Outcome, place: Workspace, settings: Config
) -> None:
    other = settings.model_copy(
        update={"model": settings.model.model_copy(update={"base": "other"})}
    )
    line = MainLine(place, other, quiet=True, candidate=str(outcome.gguf))
    assert find_candidate(line, str(outcome.gguf)).path == outcome.gguf
    with pytest.raises(ArtefactError, match="a quant of another model than other"):
        line.go("model")


def test_an_edited_ledger_of_looks_judges_nothing(
    outcome: Outcome, place: Workspace, settings: Config
) -> None:
    ledger = next(place.root.glob("looks/*.jsonl"))
    kept = ledger.read_text()
    ledger.write_text(kept.splitlines(keepends=True)[0].replace('"number": 1', '"number": 9'))
    try:
        with pytest.raises(LedgerError, match="ledger of looks was changed"):
            run_mainline(place, settings, quiet=True)
    finally:
        ledger.write_text(kept)


def test_a_run_without_its_record_is_refused(
    outcome: Outcome, place: Workspace, settings: Config
) -> None:
    hidden = place.root / "runs"
    hidden.rename(place.root / "hidden")
    try:
        line = MainLine(place, settings, quiet=True, candidate=str(outcome.gguf))
        with pytest.raises(ArtefactError, match="no run on record"):
            line.go("model")
    finally:
        (place.root / "runs").rename(place.root / "later")
        (place.root / "hidden").rename(hidden)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("export: {ladder: q9}", "unknown name 'q9'"),
        ("export: {files: lora}\nadapter: {method: full}", "is not one that lora can add"),
        ("evaluate: {privacy: true}\ntrain: {objective: dpo}", "canaries are planted in"),
        ("judge: {base_url: 'http://127.0.0.1:9/v1', model: m}", "without human labels"),
    ],
)
def test_what_cannot_be_done_is_refused_at_once(
    place: Workspace, tmp_path: Path, change: str, said: str
) -> None:
    config = parse_config(f"model: {{base: tiny, source: hub}}\n{change}")
    with pytest.raises(ConfigError, match=said):
        MainLine(Workspace.open(tmp_path), config, quiet=True)
