"""The benchmark's own counting: what is an answer, once, and which questions are drawn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

from benchmarks.retrieval_figures import answers, named, ranking, some
from tests.retrieve.retrieve_sample import filled

from denizen.retrieve import Hit, Settings, search
from denizen.retrieve.questions import Asked, Target


def test_an_answer_is_half_of_the_shorter_range() -> None:
    place = SimpleNamespace(document="a", start=100, end=200)
    assert answers(place, Target("a", 0, 1000)) and answers(place, Target("a", 120, 130))  # type: ignore[arg-type]
    assert answers(place, Target("a", 150, 400)) and not answers(place, Target("a", 151, 400))  # type: ignore[arg-type]
    assert not answers(place, Target("b", 100, 200)) and not answers(place, Target("a", 200, 300))  # type: ignore[arg-type]


def test_a_second_passage_of_an_answer_keeps_its_place(tmp_path: Path) -> None:
    index, _ = filled(tmp_path)
    question = "transfer tokens interface premium"
    hits = search(index, question, Settings(k=40, mode="bm25")).hits
    assert len({hit.citation.document for hit in hits}) > 1 and len(hits) > 2
    first = hits[0].citation.document
    text = index.store.document(first)
    assert text is not None
    targets = {"answer": Target(first, 0, len(text.text))}
    found = named(hits, targets)
    assert len(found) == len(hits) and found[0][0] == "answer"
    assert [name for name, _ in found[1:]] == [hit.key for hit in hits[1:]], "nothing moves up"
    asked = [Asked("q", "k", question, targets, first), Asked("n", "absent: k", "none", {}, "x")]
    (outcome,) = ranking(asked, {question: hits, "none": hits}, "bm25").outcomes
    assert outcome.metrics["recall@1"] == outcome.metrics["ndcg@10"] == 1
    late = replace(asked[0], targets={"answer": Target(*_span(hits[-1]))})
    (outcome,) = ranking([late], {question: hits}, "bm25").outcomes
    assert outcome.metrics["recall@1"] == 0 < outcome.metrics["ndcg@10"] < 1
    index.close()


def _span(hit: Hit) -> tuple[str, int, int]:
    return hit.citation.document, hit.citation.start, hit.citation.end


def test_questions_are_drawn_by_document() -> None:
    asked = [Asked(f"{n}", "k", f"q{n}", {}, f"d{n // 4}") for n in range(400)]
    drawn = some(asked, 100)
    assert 60 <= len(drawn) <= 140 and some(asked, 0) == asked == some(asked, 9999)
    for cluster in {one.cluster for one in drawn}:
        assert sum(one.cluster == cluster for one in drawn) == 4
    assert some([replace(one, id="x") for one in asked], 100) == [
        replace(one, id="x") for one in drawn
    ]
    assert some([], 5) == []
