"""Retrieval scored on its own, apart from what a model makes of it.

Contract: questions name what is relevant (chunks or documents, graded if wished); a search is any
`search(question, k) -> (id, score) pairs, best first`. Out come recall@k, nDCG@k, MRR and success@k
over answerable questions, and answerability: AUROC and balanced accuracy of the best hit's score
between answerable and unanswerable ones. Every figure carries its cluster-bootstrap interval; two
retrievers are compared question by question. Standard library and numpy, no model.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from denizen.evaluate.stats import RESAMPLES, SEED, Difference, paired_bootstrap
from denizen.evaluate.suites.ranking import ClusterDraws, Estimate, auroc, balanced_accuracy
from denizen.project.errors import DataError

Search = Callable[[str, int], Sequence[tuple[str, float]]]
CUTS = (1, 5, 10)
# What separates a document's id from its chunk's: "doc#chunk".
CHUNK_MARK = "#"


@dataclass(frozen=True, slots=True)
class RetrievalQuestion:
    """A question and its relevant ids with their gain (> 0); none means it is unanswerable.

    `by_document` says that the ids are documents: hits are then cut at "#" and a document counts
    at the rank of its best chunk. `cluster` groups questions that depend on each other (say those
    written from one document); the default is the question itself.
    """

    id: str
    question: str
    relevant: Mapping[str, float]
    cluster: str
    by_document: bool = False

    @property
    def answerable(self) -> bool:
        return bool(self.relevant)


class Outcome(NamedTuple):
    """One question's search: metrics by name (empty if unanswerable) and the best hit's score."""

    id: str
    cluster: str
    answerable: bool
    metrics: Mapping[str, float]
    score: float


@dataclass(frozen=True, slots=True)
class RetrievalRun:
    """One retriever on all questions, in question order; `cuts` are the k of recall@k."""

    retriever: str
    outcomes: tuple[Outcome, ...]
    cuts: tuple[int, ...]


def read_questions(path: Path) -> list[RetrievalQuestion]:
    """Read JSONL, one question a line.

    {"id", "question", "relevant": [ids] or {id: gain}} for chunks, or "relevant_documents" for
    documents; an empty list marks an unanswerable question; "cluster" is optional. Raises DataError
    naming the line.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"cannot read the questions: {error}", where=str(path), fix="give a JSONL file"
        ) from error
    made: dict[str, RetrievalQuestion] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            question = _question(json.loads(line))
            if question.id in made:
                raise ValueError(f"id {question.id!r} occurs twice")
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(
                f"not a retrieval question: {error}",
                where=f"{path}:{number}",
                fix='write {"id": ..., "question": ..., "relevant": [ids]}',
            ) from error
        made[question.id] = question
    if not made:
        raise DataError("no questions", where=str(path), fix="write one a line")
    return list(made.values())


def _question(data: dict[str, Any]) -> RetrievalQuestion:
    by_document = "relevant_documents" in data
    if by_document == ("relevant" in data):
        raise ValueError("it needs either 'relevant' or 'relevant_documents'")
    raw = data["relevant_documents" if by_document else "relevant"]
    pairs = raw.items() if isinstance(raw, dict) else [(key, 1.0) for key in raw]
    if isinstance(raw, str):
        raise ValueError("'relevant' is a list of ids")
    gains = {str(key): float(gain) for key, gain in pairs}
    if any(not gain > 0 or math.isinf(gain) for gain in gains.values()):
        raise ValueError("a gain must be above 0")
    key, text = data["id"], data["question"]
    # null and lists would be asked as "None" and "[...]".
    if not isinstance(key, str | int) or not isinstance(text, str):
        raise ValueError("'id' and 'question' are texts")
    if not text.strip():
        raise ValueError("the question is empty")
    return RetrievalQuestion(str(key), text, gains, str(data.get("cluster", key)), by_document)


def score_retrieval(
    questions: Iterable[RetrievalQuestion],
    search: Search,
    *,
    cuts: Sequence[int] = CUTS,
    retriever: str = "retriever",
    depth: int | None = None,
) -> RetrievalRun:
    """Ask every question and score what comes back.

    MRR looks at the first `depth` hits (default the largest cut). Documents need more chunks than
    k: they are searched 4 times as deep. Raises ValueError for a search that repeats an id, whose
    scores rise with rank, or are not finite.
    """
    cuts = tuple(sorted(set(cuts)))
    if not cuts or cuts[0] < 1:
        raise ValueError(f"need cuts of at least 1, got {cuts}")
    deep = max(depth or 0, cuts[-1])
    outcomes = []
    for question in questions:
        hits = list(search(question.question, deep * (4 if question.by_document else 1)))
        _check(hits, question)
        # No hit at all is the lowest possible score.
        best = hits[0][1] if hits else -math.inf
        ids = [key for key, _ in hits]
        if question.by_document:
            ids = list(dict.fromkeys(key.split(CHUNK_MARK)[0] for key in ids))
        metrics = _metrics(ids[:deep], question.relevant, cuts) if question.answerable else {}
        outcomes.append(Outcome(question.id, question.cluster, question.answerable, metrics, best))
    return RetrievalRun(retriever, tuple(outcomes), cuts)


def _check(hits: Sequence[tuple[str, float]], question: RetrievalQuestion) -> None:
    scores = [score for _, score in hits]
    if len({key for key, _ in hits}) != len(hits):
        raise ValueError(f"the search returned an id twice for {question.id!r}")
    if not all(map(math.isfinite, scores)):
        raise ValueError(f"the search returned a score that is not finite for {question.id!r}")
    if any(later > earlier for earlier, later in pairwise(scores)):
        raise ValueError(f"the search did not return the best hit first for {question.id!r}")


def _metrics(
    ids: Sequence[str], relevant: Mapping[str, float], cuts: Sequence[int]
) -> dict[str, float]:
    ranks = [rank for rank, key in enumerate(ids, start=1) if key in relevant]
    made = {"mrr": 1 / ranks[0] if ranks else 0.0}
    ideal = sorted(relevant.values(), reverse=True)
    for k in cuts:
        found = sum(rank <= k for rank in ranks)
        made[f"recall@{k}"] = found / len(relevant)
        made[f"success@{k}"] = float(found > 0)
        gained = sum(relevant[ids[rank - 1]] / math.log2(rank + 1) for rank in ranks if rank <= k)
        best = sum(gain / math.log2(place + 2) for place, gain in enumerate(ideal[:k]))
        made[f"ndcg@{k}"] = gained / best
    return made


def summarise(
    run: RetrievalRun,
    *,
    threshold: float | None = None,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> dict[str, Estimate]:
    """Every figure of a run with its interval, by name.

    Answerability appears when there are questions of both kinds. Without a `threshold` balanced
    accuracy is cross-fitted: each cluster is judged by the threshold that suits the others.
    Raises ValueError without an answerable question.
    """
    asked = [o for o in run.outcomes if o.answerable]
    if not asked:
        raise ValueError("no answerable question to score")
    clusters = [o.cluster for o in asked]
    made: dict[str, Estimate] = {}
    for name in asked[0].metrics:
        found = paired_bootstrap(
            [0.0] * len(asked),
            [o.metrics[name] for o in asked],
            clusters=clusters,
            confidence=confidence,
            resamples=resamples,
            seed=seed,
        )
        made[name] = Estimate(
            found.value, max(0.0, found.low), found.high, confidence, found.n, found.clusters
        )
    if len(asked) == len(run.outcomes):
        return made
    scores = [o.score for o in run.outcomes]
    labels = [o.answerable for o in run.outcomes]
    draws = ClusterDraws.of([o.cluster for o in run.outcomes], resamples, seed)
    made["answerability_auroc"] = auroc(scores, labels, draws, confidence)
    made["answerability_balanced_accuracy"] = balanced_accuracy(
        scores, labels, draws, confidence, threshold
    )
    return made


def compare(
    first: RetrievalRun, second: RetrievalRun, *, confidence: float = 0.95, seed: int = SEED
) -> dict[str, Difference]:
    """Mean of (second - first) for every ranking metric, paired by question.

    Raises ValueError when the runs asked different questions or used different cuts.
    """
    left = {o.id: o for o in first.outcomes}
    right = {o.id: o for o in second.outcomes}
    if left.keys() != right.keys() or first.cuts != second.cuts:
        raise ValueError("the two retrievers were not asked the same questions at the same cuts")
    asked = [key for key, outcome in left.items() if outcome.answerable]
    if not asked or any(not right[key].answerable for key in asked):
        raise ValueError("the two runs do not agree on what is answerable")
    return {
        name: paired_bootstrap(
            [left[key].metrics[name] for key in asked],
            [right[key].metrics[name] for key in asked],
            clusters=[left[key].cluster for key in asked],
            confidence=confidence,
            seed=seed,
        )
        for name in left[asked[0]].metrics
    }
