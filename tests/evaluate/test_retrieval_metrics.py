"""Retrieval figures against hand-computed ones, and intervals that hold what they promise."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

import numpy as np
import pytest

from denizen.evaluate.suites.ranking import ClusterDraws, auroc, balanced_accuracy, best_threshold
from denizen.evaluate.suites.retrieval import (
    RetrievalQuestion,
    compare,
    read_questions,
    score_retrieval,
    summarise,
)
from denizen.project import DataError

DRAWS = 2_000


def asked(
    key: str, relevant: dict[str, float], cluster: str = "", **more: bool
) -> RetrievalQuestion:
    return RetrievalQuestion(key, key, relevant, cluster or key, **more)


def fixed(hits: dict[str, list[tuple[str, float]]]):
    return lambda question, k: hits[question][:k]


def test_a_retriever_that_finds_nothing_scores_zero_and_an_oracle_one() -> None:
    questions = [asked(f"q{i}", {f"d{i}": 1.0}) for i in range(30)]
    nothing = summarise(score_retrieval(questions, lambda q, k: []), resamples=DRAWS)
    assert all(figure.value == figure.high == 0.0 for figure in nothing.values())
    oracle = summarise(
        score_retrieval(questions, lambda q, k: [("d" + q[1:], 1.0)]), resamples=DRAWS
    )
    assert all(figure.value == figure.low == 1.0 for figure in oracle.values())


def test_metrics_by_hand() -> None:
    question = asked("q", {"a": 2.0, "b": 1.0, "c": 1.0})
    hits = [("x", 0.9), ("b", 0.8), ("y", 0.7), ("a", 0.6), ("z", 0.5)]
    metrics = score_retrieval([question], fixed({"q": hits}), cuts=(1, 2, 4)).outcomes[0].metrics
    assert metrics["mrr"] == 1 / 2
    assert [metrics[f"recall@{k}"] for k in (1, 2, 4)] == [0, 1 / 3, 2 / 3]
    assert [metrics[f"success@{k}"] for k in (1, 2, 4)] == [0, 1, 1]
    ideal = 2 + 1 / math.log2(3) + 1 / math.log2(4)
    assert metrics["ndcg@4"] == pytest.approx((1 / math.log2(3) + 2 / math.log2(5)) / ideal)
    assert metrics["ndcg@2"] == pytest.approx((1 / math.log2(3)) / (2 + 1 / math.log2(3)))


def test_documents_count_once_at_their_best_chunk() -> None:
    question = asked("q", {"doc2": 1.0}, by_document=True)
    hits = [("doc1#1", 0.9), ("doc1#2", 0.8), ("doc2#7", 0.7), ("doc2#1", 0.6)]
    metrics = score_retrieval([question], fixed({"q": hits}), cuts=(1, 2)).outcomes[0].metrics
    assert (metrics["recall@1"], metrics["recall@2"], metrics["mrr"]) == (0, 1, 1 / 2)


@pytest.mark.parametrize(
    ("hits", "words"),
    [
        ([("a", 1.0), ("a", 0.5)], "twice"),
        ([("a", 0.5), ("b", 1.0)], "best hit first"),
        ([("a", math.nan)], "not finite"),
    ],
)
def test_a_search_that_breaks_the_contract_is_caught(hits: list, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        score_retrieval([asked("q", {"a": 1.0})], lambda q, k: hits)


def test_answerability() -> None:
    questions = [asked(f"q{i}", {"d": 1.0} if i % 2 else {}) for i in range(60)]
    rng = random.Random(1)
    scores = {q.id: rng.gauss(1.0 if q.answerable else 0.0, 0.6) for q in questions}
    run = score_retrieval(questions, lambda q, k: [("d", scores[q])])
    figures = summarise(run, resamples=DRAWS)
    area, balanced = figures["answerability_auroc"], figures["answerability_balanced_accuracy"]
    pairs = [
        (scores[a.id] > scores[b.id]) + 0.5 * (scores[a.id] == scores[b.id])
        for a in questions
        for b in questions
        if a.answerable and not b.answerable
    ]
    assert area.value == pytest.approx(sum(pairs) / len(pairs))
    assert 0.7 < area.low < area.value < area.high <= 1
    assert 0.5 < balanced.low < balanced.value < balanced.high
    assert area.n == 60 and figures["mrr"].n == 30
    # A retriever whose score says nothing: the interval holds one half.
    blind = summarise(
        score_retrieval(questions, lambda q, k: [("d", random.Random(q).random())]),
        resamples=DRAWS,
    )["answerability_auroc"]
    assert blind.low < 0.5 < blind.high


def test_a_fitted_threshold_is_not_judged_on_what_it_was_fitted_to() -> None:
    """On pure noise the best threshold in hindsight looks good; the cross-fitted one must not."""
    flattering, honest = [], []
    for seed in range(40):
        rng = random.Random(seed)
        scores = [rng.random() for _ in range(30)]
        labels = [rng.random() < 0.5 for _ in scores]
        if len(set(labels)) < 2:
            continue
        draws = ClusterDraws.of(range(30), 50, seed)
        hindsight = best_threshold(np.array(scores), np.array(labels))
        flattering.append(balanced_accuracy(scores, labels, draws, threshold=hindsight).value)
        honest.append(balanced_accuracy(scores, labels, draws).value)
    assert sum(flattering) / len(flattering) > 0.57
    assert abs(sum(honest) / len(honest) - 0.5) < 0.06


def test_cluster_intervals_cover() -> None:
    """Questions of one document share their luck: the interval must still hold the truth."""
    covered = 0
    trials = 120
    for trial in range(trials):
        rng = random.Random(trial)
        questions, hits = [], {}
        for document in range(25):
            lucky = rng.random() < 0.6
            for i in range(6):
                key = f"{document}-{i}"
                questions.append(asked(key, {"d": 1.0}, cluster=str(document)))
                found = rng.random() < (0.95 if lucky else 0.1)
                hits[key] = [("d" if found else "x", 1.0)]
        figure = summarise(score_retrieval(questions, fixed(hits), cuts=(1,)), resamples=500)[
            "success@1"
        ]
        assert figure.clusters == 25 and figure.n == 150
        covered += figure.low <= 0.6 * 0.95 + 0.4 * 0.1 <= figure.high
    assert covered >= 0.89 * trials


def test_comparison_is_paired() -> None:
    questions = [asked(f"q{i}", {"d": 1.0}) for i in range(40)]
    worse = score_retrieval(questions, lambda q, k: [("x", 1.0), ("d", 0.9)])
    better = score_retrieval(
        questions, lambda q, k: [("d", 1.0)] if int(q[1:]) % 2 else [("x", 1.0), ("d", 0.9)]
    )
    found = compare(worse, better)
    assert found["mrr"].value == pytest.approx(0.25) and found["mrr"].low > 0
    assert found["success@10"].value == found["success@10"].high == 0
    with pytest.raises(ValueError, match="same questions"):
        compare(worse, score_retrieval(questions[1:], lambda q, k: []))


def test_files(tmp_path: Path) -> None:
    file = tmp_path / "questions.jsonl"
    rows = [
        {"id": 1, "question": "a?", "relevant": ["d#1"]},
        {"id": "2", "question": "b?", "relevant": {"d#1": 3, "d#2": 1}, "cluster": "d"},
        {"id": "3", "question": "c?", "relevant_documents": ["d"]},
        {"id": "4", "question": "d?", "relevant": []},
    ]
    file.write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    read = read_questions(file)
    assert [q.answerable for q in read] == [True, True, True, False]
    assert read[1].cluster == "d" and read[2].by_document and read[1].relevant["d#1"] == 3.0
    for bad, words in (
        ({"id": "1", "question": "a?"}, "either"),
        ({"id": "1", "question": " ", "relevant": []}, "empty"),
        ({"id": "1", "question": None, "relevant": []}, "are texts"),
        ({"id": None, "question": "a?", "relevant": []}, "are texts"),
        ({"id": "1", "question": "a?", "relevant": {"x": 0}}, "above 0"),
        ({"id": "1", "question": "a?", "relevant": "d1"}, "list of ids"),
        ([], "retrieval question"),
    ):
        file.write_text(json.dumps(rows[0]) + "\n" + json.dumps(bad))
        with pytest.raises(DataError, match=words) as caught:
            read_questions(file)
        assert str(caught.value).count(":2") == 1
    file.write_text("")
    with pytest.raises(DataError, match="no questions"):
        read_questions(file)
    with pytest.raises(DataError, match="cannot read"):
        read_questions(tmp_path / "none")
    with pytest.raises(ValueError, match="no answerable"):
        summarise(score_retrieval([asked("q", {})], lambda q, k: []))


def test_one_cluster_or_one_kind_claims_nothing() -> None:
    draws = ClusterDraws.of(["same"] * 4, 100, 0)
    assert auroc([1, 2, 3, 4], [False, False, True, True], draws)[:3] == (1.0, 0.0, 1.0)
    with pytest.raises(ValueError, match="both kinds"):
        auroc([1.0], [True], ClusterDraws.of(["a"], 10, 0))
