"""`denizen eval --retrieval`: figures with intervals for three retrievers, no model asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.retrieve.retrieve_sample import filled

from denizen.cli.app import main
from denizen.evaluate.suites.retrieval import read_questions
from denizen.improve.retrieving import examine_retrieval


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
