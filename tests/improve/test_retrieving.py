"""`denizen eval --retrieval`: figures with intervals for three retrievers, no model asked."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.retrieve.retrieve_sample import WordEncoder, filled

from denizen.cli.app import main
from denizen.evaluate.suites.retrieval import RetrievalQuestion, read_questions
from denizen.improve import retrieving
from denizen.improve.retrieving import examine_retrieval, missing_ids
from denizen.project.errors import DataError
from denizen.retrieve import Index, SearchResult, Settings
from denizen.retrieve import index as index_room


def test_every_retriever_gets_its_figures(tmp_path: Path) -> None:
    index, _ = filled(tmp_path)
    rows = [
        {
            "id": "a",
            "question": "flash loan premium",
            "relevant_documents": ["docs/guides/flash.md"],
        },
        {"id": "b", "question": "status of ERC-20", "relevant_documents": ["docs/eip20.md"]},
        {"id": "c", "question": "Who painted the Mona Lisa?", "relevant_documents": []},
    ]
    path = tmp_path / "asked.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    count = []
    found = {
        f.retriever: f for f in examine_retrieval(read_questions(path), index, on_done=count.append)
    }
    assert list(found) == ["bm25", "dense", "fused"] and sum(count) == 9
    bm25 = found["bm25"].figures
    assert bm25["recall@5"].value == 1 and bm25["recall@5"].n == 2
    assert "answerability_auroc" in bm25 and not found["bm25"].over_bm25
    assert found["fused"].over_bm25["ndcg@10"].n == 2
    assert json.loads(json.dumps(found["fused"].to_dict()))["retriever"] == "fused"
    assert "recall@5 1.000" in found["bm25"].line()


def test_questions_without_any_answer_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "asked.jsonl"
    path.write_text('{"id": "c", "question": "Who?", "relevant": []}\n', "utf-8")
    assert main(["eval", "--retrieval", str(path), "-w", str(tmp_path / "w")]) == 2
    with pytest.raises(ValueError, match="answerable"):
        examine_retrieval(read_questions(path), filled(tmp_path)[0])


def test_whether_the_sources_answer_is_told_by_the_confidence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, _ = filled(tmp_path)
    sure = {"flash loan premium": 0.9, "token standard": 0.8, "the Mona Lisa": 0.1}
    real = retrieving.search

    def search(index: Index, question: str, settings: Settings) -> SearchResult:
        found = real(index, question, settings)
        return replace(found, confidence=sure[question]) if settings.mode == "fused" else found

    monkeypatch.setattr(retrieving, "search", search)
    asked = [
        RetrievalQuestion("a", "flash loan premium", {"docs/guides/flash.md": 1.0}, "a", True),
        RetrievalQuestion("b", "token standard", {"docs/eip20.md": 1.0}, "b", True),
        RetrievalQuestion("c", "the Mona Lisa", {}, "c"),
    ]
    found = {f.retriever: f.figures for f in examine_retrieval(asked, index)}
    assert found["fused"]["answerability_auroc"].value == 1
    assert found["fused"]["recall@5"].value == 1


def test_ids_that_the_index_does_not_hold_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    index, _ = filled(tmp_path)
    chunk, lost = next(iter(index.snapshot().rows)), "docs/eip20.md#999"
    asked = [
        RetrievalQuestion(
            "a", "premium", {"docs/guides/flash.md": 1.0, "docs/x.md": 1.0}, "a", True
        ),
        RetrievalQuestion("b", "token", {chunk: 1.0, lost: 1.0}, "b"),
    ]
    assert missing_ids(asked, index) == ["docs/x.md", lost]
    with pytest.raises(DataError, match="none of the 1 relevant ids is in the index"):
        missing_ids([RetrievalQuestion("c", "token", {lost: 1.0}, "c")], index)
    # The verb asks the index that the configuration names, and says so beside the figures.
    monkeypatch.setattr(index_room, "load_encoder", lambda *_, **__: WordEncoder())
    (tmp_path / "denizen.yaml").write_text("serve:\n  index: index\n")
    row = {"id": "a", "question": "premium", "relevant": [chunk, lost]}
    (tmp_path / "asked.jsonl").write_text(json.dumps(row) + "\n")
    monkeypatch.chdir(tmp_path)
    assert main(["eval", "--retrieval", "asked.jsonl", "-w", str(tmp_path / "w")]) == 0
    told = capsys.readouterr()
    assert "fused" in told.out and "relevant ids not in this index: 1" in told.err
