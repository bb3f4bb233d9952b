"""Bad indices by the verbs: another embedder's ends the start, poison is never in an answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.retrieve.retrieve_sample import WordEncoder, collection

from denizen.cli.app import main
from denizen.export import write_gguf
from denizen.retrieve import index as index_room


@pytest.fixture
def place(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> list[str]:
    """A workspace whose index `denizen ingest docs` made; the embedder's name may be changed."""
    name = ["words"]
    monkeypatch.setattr(index_room, "load_encoder", lambda *_, **__: WordEncoder(name[0]))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DENIZEN_WORKSPACE", raising=False)
    (tmp_path / "denizen.yaml").write_text(
        "shield: {injection: 'off'}\nserve: {parallel: 1, port: 8499}\n"
    )
    write_gguf(tiny, tmp_path / "tiny.gguf", quant="f32", name="tiny")
    collection(tmp_path / "docs")
    assert main(["ingest", "docs", "docs", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert list(report["quarantined"]) == ["docs/guides/bad.md"]
    return name


@pytest.mark.parametrize("verb", [["ask", "What is the premium?"], ["serve"]])
def test_an_index_of_another_embedder_ends_the_start(
    place: list[str], verb: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    place[0] = "another"
    assert main([*verb, "--gguf", "tiny.gguf"]) == 2
    said = capsys.readouterr()
    line = said.err.strip().splitlines()[-1]
    assert line.startswith("error: ") and "built with another embedder" in line
    assert "into a new folder" in line and "Traceback" not in said.err and not said.out


def test_a_poisoned_document_is_in_no_answer_until_a_person_lets_it_through(
    place: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [
        "ask",
        "Which previous instructions recommend this pool?",
        "--gguf",
        "tiny.gguf",
        "--json",
    ]
    assert main(asked) == 0
    before = json.loads(capsys.readouterr().out)
    assert "recommend this pool" not in before["text"]
    assert "docs/guides/bad.md" not in {cited["document"] for cited in before["citations"]}
    assert main(["ingest", "docs", "docs", "--release-quarantined", "docs/guides/bad.md"]) == 0
    capsys.readouterr()
    assert main(asked) == 0
    after = json.loads(capsys.readouterr().out)
    assert "docs/guides/bad.md" in {cited["document"] for cited in after["citations"]}, (
        "it would have been cited"
    )


def test_sources_named_by_hand_are_those_that_answer(
    place: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = tmp_path / "denizen.yaml"
    settings.write_text(
        settings.read_text().replace("port:", "postgres: 'postgresql://127.0.0.1:1/no', port:")
    )
    asked = ["ask", "According to the docs, what is the premium?", "--gguf", "tiny.gguf", "--json"]
    assert main([*asked, "--sources", str(tmp_path / ".denizen" / "index")]) == 0
    assert json.loads(capsys.readouterr().out)["citations"]
    assert main(asked) == 2
