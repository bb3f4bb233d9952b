"""Retrieval over the real corpora: ranking, answerability, poison, speed, each with its interval.

Contract: documents are dealt once (`place_of`): some are left out of the index, so that questions
about them have no answer; the others' questions are calibration or holdout. Everything reported is
on holdout documents and wordings; weights and the answerability model were chosen on calibration.
`python -m benchmarks.retrieval --documents N --fit` fits the carried model anew. The corpora are
not part of the repository: they lie beside it (shared/data/docs) or where DENIZEN_CORPORA says.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from denizen.evaluate.suites.ranking import ClusterDraws, auroc, balanced_accuracy
from denizen.evaluate.suites.retrieval import (
    RetrievalQuestion,
    RetrievalRun,
    compare,
    score_retrieval,
    summarise,
)
from denizen.project.hashing import sha256_bytes
from denizen.retrieve import Folder, Index, Raw, Settings, Unread, ingest, load_encoder, search
from denizen.retrieve.answerable import Answerability, load_answerability
from denizen.retrieve.calibrate import calibration_error, fit
from denizen.retrieve.formats import read
from denizen.retrieve.ingest import IngestReport, document_of
from denizen.retrieve.questions import Asked, Paper, Split, Target, make_questions, place_of
from denizen.retrieve.results import Citation

CORPORA = "DENIZEN_CORPORA"
BESIDE = Path(__file__).parents[2] / "shared" / "data" / "docs"
COLLECTIONS = {
    "eips": "CC0-1.0",
    "ercs": "CC0-1.0",
    "synthetix-sips": "CC0-1.0",
    "lido-lips": "CC0-1.0",
    "ens-docs": "CC0-1.0",
    "maker-mips": "MIT",
    "uniswap-docs": "MIT",
    "aave-dao-proposals-v3": "MIT",
    "openzeppelin-docs": "MIT",
    "maker-developerguides": "Apache-2.0",
}
RETRIEVERS = {
    "bm25": Settings(k=40, mode="bm25"),
    "dense": Settings(k=40, mode="dense"),
    "fused": Settings(k=40, rerank=False),
    "fused+maxsim": Settings(k=40),
}
QUESTIONS = 1500  # of thousands: each costs a second of two cores over all retrievers
SHOWN = ("recall@1", "recall@5", "success@5", "recall@10", "ndcg@10", "mrr")
MODELS = {"fused": "answerability.json", "fused+maxsim": "answerability-rerank.json"}
ASSETS = Path(__file__).parents[1] / "src/denizen/retrieve/assets"


@dataclass(frozen=True)
class Some:
    """A source cut to the documents that are indexed."""

    collection: str
    found: tuple[Raw | Unread, ...]

    def read(self) -> Iterator[Raw | Unread]:
        yield from self.found


def corpus(limit: int) -> tuple[list[Some], list[Paper]]:
    """Sources without the absent documents, and every document with its blocks."""
    root = Path(os.environ.get(CORPORA) or BESIDE)
    every: list[tuple[str, str, Raw]] = []
    for name in COLLECTIONS:
        for raw in Folder(root / name, name).read():
            if isinstance(raw, Raw):
                every.append((sha256_bytes(f"{name}/{raw.name}".encode()), name, raw))
    chosen = sorted(every, key=lambda entry: entry[0])[: limit or None]
    papers, kept = [], []
    for _, name, raw in chosen:
        parsed = read(raw.form, raw.data, raw.name)
        document = document_of(raw, name, parsed)
        if parsed.front.get("status", "").lower() != "moved":
            papers.append(Paper(document, parsed.blocks))
            kept.append((name, raw, place_of(document.id).absent))
    sources = [
        Some(name, tuple(raw for other, raw, absent in kept if other == name and not absent))
        for name in COLLECTIONS
    ]
    return sources, papers


def searcher(index: Index, settings: Settings, asked: Sequence[Asked]) -> Any:
    """A search as the suite wants it: a hit counts as an answer when half of the shorter of their
    two ranges is common to both, and only once: a second passage of it takes a place of its own."""
    by_text = {one.question: one for one in asked}

    def run(question: str, k: int) -> list[tuple[str, float]]:
        targets = by_text[question].targets
        found: dict[str, float] = {}
        for hit in search(index, question, settings).hits:
            held = [key for key, target in targets.items() if answers(hit.citation, target)]
            name = next((key for key in held if key not in found), hit.key)
            found[name] = hit.score
        return list(found.items())[:k]

    return run


def answers(place: Citation, target: Target) -> bool:
    """Whether a passage holds an answer: half of the shorter range, at least."""
    common = min(place.end, target.end) - max(place.start, target.start)
    shorter = min(place.end - place.start, target.end - target.start)
    return place.document == target.document and 2 * common >= max(1, shorter)


def rank(index: Index, asked: Sequence[Asked]) -> dict[str, RetrievalRun]:
    """Every retriever on the answerable questions."""
    questions = [
        RetrievalQuestion(one.id, one.question, dict.fromkeys(one.targets, 1.0), one.cluster)
        for one in asked
        if one.targets
    ]
    return {
        name: score_retrieval(questions, searcher(index, settings, asked), retriever=name)
        for name, settings in RETRIEVERS.items()
    }


@dataclass(frozen=True)
class Seen:
    """One pass of whole searches for five hits: features of each question, and milliseconds."""

    features: list[Mapping[str, float]]
    spent: list[float]


def first_pass(index: Index, asked: Sequence[Asked], name: str) -> Seen:
    """Every question once, passages' token vectors not yet in memory."""
    settings = Settings(mode=RETRIEVERS[name].mode, rerank=RETRIEVERS[name].rerank)
    made = Seen([], [])
    for one in asked:
        start = time.perf_counter()
        found = search(index, one.question, settings)
        made.spent.append(1000 * (time.perf_counter() - start))
        made.features.append(found.features)
    return made


def answerability(seen: Seen, asked: Sequence[Asked], model: Answerability) -> dict[str, Any]:
    """AUROC, balanced accuracy at the carried threshold, calibration error, errors by kind."""
    scores = [model.confidence(row) for row in seen.features]
    labels = [bool(one.targets) for one in asked]
    draws = ClusterDraws.of([one.cluster for one in asked], 2000, 7)
    wrong: Counter[str] = Counter()
    count: Counter[str] = Counter()
    for one, score, label in zip(asked, scores, labels, strict=True):
        kind = one.kind.split(":")[0]
        count[kind] += 1
        wrong[kind] += (score >= model.threshold) != label
    cosines = [row["cosine"] for row in seen.features]
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


def figure(estimate: Any) -> dict[str, Any]:
    return {
        "value": round(estimate.value, 4),
        "interval": [round(estimate.low, 4), round(estimate.high, 4)],
        "n": estimate.n,
    }


def latency(seen: Seen) -> dict[str, float]:
    """Milliseconds of whole searches, one after another."""
    import numpy as np

    p50, p95 = np.percentile(seen.spent, [50, 95])
    return {"p50_ms": round(float(p50), 1), "p95_ms": round(float(p95), 1)}


def poison(papers: Sequence[Paper]) -> dict[str, Any]:
    """Share of attacks that quarantine catches in real documents, and of clean ones it stops."""
    from denizen.evaluate.stats import wilson
    from denizen.evaluate.suites.injection import suite
    from denizen.retrieve.documents import Parsed
    from denizen.retrieve.poison import screen

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
        "attacks_caught": figure_of(wilson(caught.total(), count.total())),
        "by_attack": {name: f"{caught[name]} of {count[name]}" for name in sorted(count)},
        "clean_documents_stopped": figure_of(wilson(len(stopped), len(papers))),
        "stopped": stopped[:10],
    }


def figure_of(share: Any) -> dict[str, Any]:
    return {
        "value": round(share.value, 4),
        "interval": [round(share.low, 4), round(share.high, 4)],
        "n": share.n,
    }


def fitted(index: Index, asked: Sequence[Asked], name: str, documents: int) -> Answerability:
    """The answerability model of calibration questions."""
    return fit(
        first_pass(index, asked, name).features,
        [bool(one.targets) for one in asked],
        [one.cluster for one in asked],
        embedder=index.encoder.id,
        rerank=RETRIEVERS[name].rerank,
        made={
            "by": f"python -m benchmarks.retrieval --documents {documents} --fit",
            "corpora": "EIPs, ERCs, SIPs, LIPs, MIPs, ENS, Uniswap, Aave, OpenZeppelin, Maker",
        },
    )


def prepare(
    workspace: Path, documents: int
) -> tuple[Index, IngestReport, list[Paper], dict[Split, list[Asked]]]:
    """The index and the questions of both splits."""
    folder = workspace / f"retrieval-{documents or 'all'}"
    sources, papers = corpus(documents)
    encoder = load_encoder(cache=workspace / "retrieval-vectors.sqlite")
    index = Index.open(folder, encoder, create=True)
    report = ingest(index, sources)
    held = set(report.quarantined) | set(report.failed) | set(report.empty)
    kept = [paper for paper in papers if paper.document.id not in held]
    splits: tuple[Split, Split] = ("calibration", "holdout")
    return index, report, papers, {split: make_questions(kept, split) for split in splits}


def some(asked: Sequence[Asked], limit: int) -> list[Asked]:
    """About `limit` questions, all or none of a document's, drawn by its id; 0 is all."""
    share = min(1.0, limit / len(asked)) if limit and asked else 1.0
    return [
        one
        for one in asked
        if int(sha256_bytes(f"asked/{one.cluster}".encode())[:12], 16) / 16**12 < share
    ]


def measure(
    workspace: Path, documents: int = 0, refit: bool = False, questions_asked: int = QUESTIONS
) -> dict[str, Any]:
    """Everything; 0 takes all documents, and all holdout questions."""
    index, report, papers, questions = prepare(workspace, documents)
    holdout = some(questions["holdout"], questions_asked)
    models: dict[str, Answerability] = {}
    for name, file in MODELS.items():
        model = load_answerability(index.encoder.id, RETRIEVERS[name].rerank, index.folder)
        if refit or model is None:
            model = fitted(index, questions["calibration"], name, documents)
            model.save(ASSETS / file)
        models[name] = model
    seen = {name: first_pass(index, holdout, name) for name in RETRIEVERS}
    runs = rank(index, holdout)
    asked = [one for one in holdout if one.targets]
    return {
        "documents": len(papers),
        "chunks": len(index.snapshot().keys),
        "quarantined": len(report.quarantined),
        "holdout_questions": {"made": len(questions["holdout"]), "asked": len(holdout)},
        "questions": dict(Counter(one.kind.split(":")[0] for one in holdout)),
        "ingest": {
            "new_chunks": report.chunks,
            "embedded": report.embedded,
            "seconds": round(report.seconds, 1),
            "chunks_per_second": round(report.embedded / report.seconds, 1),
        },
        "ranking": {
            name: {k: figure(v) for k, v in summarise(run).items() if k in SHOWN}
            for name, run in runs.items()
        },
        "over_bm25": {
            name: {k: figure(v) for k, v in compare(runs["bm25"], run).items() if k in SHOWN}
            for name, run in runs.items()
            if name != "bm25"
        },
        "recall@5_by_kind": {name: by_kind(run, asked) for name, run in runs.items()},
        "answerability": {
            name: answerability(seen[name], holdout, model) for name, model in models.items()
        },
        "latency": {name: latency(one) for name, one in seen.items()},
        "poison": poison(papers),
        "targets": {"recall@5": ">= .85", "ndcg@10": "above BM25 alone"},
    }


def by_kind(run: RetrievalRun, asked: Sequence[Asked]) -> dict[str, float]:
    kinds = {one.id: one.kind.split(":")[0] for one in asked}
    found: dict[str, list[float]] = {}
    for outcome in run.outcomes:
        found.setdefault(kinds[outcome.id], []).append(outcome.metrics["recall@5"])
    return {kind: round(sum(v) / len(v), 3) for kind, v in sorted(found.items())}


def main() -> None:
    """Run a part of the corpora and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.retrieval")
    parser.add_argument("--documents", type=int, default=150, help="0: all")
    parser.add_argument("--questions", type=int, default=QUESTIONS, help="0: all")
    parser.add_argument("--fit", action="store_true", help="fit the carried model anew")
    parser.add_argument("--workspace", type=Path, default=Path("bench-workspace"))
    chosen = parser.parse_args()
    made = measure(chosen.workspace, chosen.documents, chosen.fit, chosen.questions)
    print(json.dumps(made, indent=1))


if __name__ == "__main__":
    main()
