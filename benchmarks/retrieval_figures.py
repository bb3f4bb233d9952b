"""What retrieval is judged by: ranking, answerability, errors by kind, poison; each an interval.

Contract: a hit answers a question when half of the shorter of their two ranges is common to both,
and once only: a second passage of the same answer takes a place of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from denizen.evaluate.stats import wilson
from denizen.evaluate.suites.injection import suite
from denizen.evaluate.suites.ranking import ClusterDraws, auroc, balanced_accuracy
from denizen.evaluate.suites.retrieval import RetrievalQuestion, RetrievalRun, score_retrieval
from denizen.project.hashing import sha256_bytes
from denizen.retrieve import Hit
from denizen.retrieve.answerable import Answerability
from denizen.retrieve.calibrate import calibration_error
from denizen.retrieve.documents import Parsed
from denizen.retrieve.formats import read
from denizen.retrieve.poison import screen
from denizen.retrieve.questions import Asked, Paper, Target
from denizen.retrieve.results import Citation


def answers(place: Citation, target: Target) -> bool:
    """Whether a passage holds an answer: half of the shorter range, at least."""
    common = min(place.end, target.end) - max(place.start, target.start)
    shorter = min(place.end - place.start, target.end - target.start)
    return place.document == target.document and 2 * common >= max(1, shorter)


def named(hits: Sequence[Hit], targets: Mapping[str, Target]) -> list[tuple[str, float]]:
    """(name, score) of every hit: the answer's where it is the first to give it, else its own."""
    found: dict[str, float] = {}
    for hit in hits:
        held = [key for key, target in targets.items() if answers(hit.citation, target)]
        found[next((key for key in held if key not in found), hit.key)] = hit.score
    return list(found.items())


def ranking(
    asked: Sequence[Asked], hits: Mapping[str, Sequence[Hit]], retriever: str
) -> RetrievalRun:
    """Scores of the answerable questions; `hits` are those of each question's text."""
    targets = {one.question: one.targets for one in asked}
    questions = [
        RetrievalQuestion(one.id, one.question, dict.fromkeys(one.targets, 1.0), one.cluster)
        for one in asked
        if one.targets
    ]
    return score_retrieval(
        questions,
        lambda question, k: named(hits[question], targets[question])[:k],
        retriever=retriever,
    )


def some(asked: Sequence[Asked], limit: int) -> list[Asked]:
    """About `limit` questions, all or none of a document's, drawn by its id; 0 is all."""
    share = min(1.0, limit / len(asked)) if limit and asked else 1.0
    return [
        one
        for one in asked
        if int(sha256_bytes(f"asked/{one.cluster}".encode())[:12], 16) / 16**12 < share
    ]


def by_kind(run: RetrievalRun, asked: Sequence[Asked]) -> dict[str, float]:
    """Mean recall@5 of each kind of question."""
    kinds = {one.id: one.kind.split(":")[0] for one in asked}
    found: dict[str, list[float]] = {}
    for outcome in run.outcomes:
        found.setdefault(kinds[outcome.id], []).append(outcome.metrics["recall@5"])
    return {kind: round(sum(v) / len(v), 3) for kind, v in sorted(found.items())}


def answerability(
    rows: Sequence[Mapping[str, float]], asked: Sequence[Asked], model: Answerability
) -> dict[str, Any]:
    """AUROC, balanced accuracy at the carried threshold, calibration error, errors by kind."""
    scores = [model.confidence(row) for row in rows]
    labels = [bool(one.targets) for one in asked]
    draws = ClusterDraws.of([one.cluster for one in asked], 2000, 7)
    wrong: Counter[str] = Counter()
    count: Counter[str] = Counter()
    for one, score, label in zip(asked, scores, labels, strict=True):
        kind = one.kind.split(":")[0]
        count[kind] += 1
        wrong[kind] += (score >= model.threshold) != label
    cosines = [row["cosine"] for row in rows]
    return {
        "auroc": figure(auroc(scores, labels, draws)),
        "balanced_accuracy": figure(
            balanced_accuracy(scores, labels, draws, threshold=model.threshold)
        ),
        "auroc_of_cosine_alone": figure(auroc(cosines, labels, draws)),
        "calibration_error": round(calibration_error(scores, labels), 4),
        "threshold": model.threshold,
        "errors_by_kind": {kind: f"{wrong[kind]} of {count[kind]}" for kind in sorted(count)},
    }


def poison(papers: Sequence[Paper]) -> dict[str, Any]:
    """Share of attacks that quarantine catches in real documents, and of clean ones it stops."""
    caught: Counter[str] = Counter()
    count: Counter[str] = Counter()
    for number, case in enumerate(suite().cases):
        host = papers[number % len(papers)].document.text
        middle = host.find("\n\n", len(host) // 2)
        text = f"{host[:middle]}\n\n{case.prompt}\n\n{host[middle:]}"
        count[case.family] += 1
        caught[case.family] += bool(screen(Parsed(text, ())))
    stopped = [
        p.document.id
        for p in papers
        if screen(read(p.document.kind, p.document.text.encode(), p.document.id))
    ]
    return {
        "attacks_caught": figure(wilson(caught.total(), count.total())),
        "by_attack": {name: f"{caught[name]} of {count[name]}" for name in sorted(count)},
        "clean_documents_stopped": figure(wilson(len(stopped), len(papers))),
        "stopped": stopped[:10],
    }


def figure(estimate: Any) -> dict[str, Any]:
    """An estimate with its interval, as JSON."""
    return {
        "value": round(estimate.value, 4),
        "interval": [round(estimate.low, 4), round(estimate.high, 4)],
        "n": estimate.n,
    }
