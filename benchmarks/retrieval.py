"""Retrieval over the real corpora: ranking, answerability, poison, speed, each with its interval.

Contract: documents are dealt once (`place_of`): some are left out of the index, so that questions
about them have no answer; the others' questions are calibration or holdout. Everything reported is
on holdout documents and wordings; weights and the answerability model were chosen on calibration.
DENIZEN_BENCH_DOCUMENTS and DENIZEN_BENCH_QUESTIONS take a drawn part, 0 all; the command names it.
`python -m benchmarks.retrieval --fit` fits the carried answerability anew on such a part.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.corpora import corpus
from benchmarks.retrieval_figures import answerability, by_kind, figure, poison, ranking, some
from denizen.evaluate.suites.retrieval import RetrievalRun, compare, summarise
from denizen.retrieve import Hit, Index, Settings, ingest, load_encoder, search
from denizen.retrieve.answerable import Answerability, load_answerability
from denizen.retrieve.calibrate import fit
from denizen.retrieve.ingest import IngestReport
from denizen.retrieve.questions import Asked, Paper, Split, make_questions

RETRIEVERS = {
    "bm25": Settings(k=40, mode="bm25"),
    "dense": Settings(k=40, mode="dense"),
    "fused": Settings(k=40, rerank=False),
    "fused+maxsim": Settings(k=40),
}
DEFAULT = "fused+maxsim"
DOCUMENTS = int(os.environ.get("DENIZEN_BENCH_DOCUMENTS", "0"))
QUESTIONS = int(os.environ.get("DENIZEN_BENCH_QUESTIONS", "1500"))
TIMED = 200
SHOWN = ("recall@1", "recall@5", "success@5", "recall@10", "ndcg@10", "mrr")
MODELS = {"fused": "answerability.json", DEFAULT: "answerability-rerank.json"}
ASSETS = Path(__file__).parents[1] / "src/denizen/retrieve/assets"


def prepare(workspace: Path, documents: int) -> tuple[Index, IngestReport, list[Paper]]:
    """The index of some documents, vectors cached, and all of them, absent and held back too."""
    folder = workspace / f"retrieval-{documents or 'all'}"
    sources, papers = corpus(documents)
    encoder = load_encoder(cache=workspace / "retrieval-vectors.sqlite")
    index = Index.open(folder, encoder, create=True)
    return index, ingest(index, sources), papers


def questions_of(
    papers: Sequence[Paper], report: IngestReport, split: Split, limit: int
) -> tuple[list[Asked], int]:
    """About `limit` questions of a split, none about what was held back, and how many there are."""
    held = set(report.quarantined) | set(report.failed) | set(report.empty)
    made = make_questions([paper for paper in papers if paper.document.id not in held], split)
    return some(made, limit), len(made)


def latency(index: Index, asked: Sequence[Asked], settings: Settings) -> dict[str, float]:
    """Milliseconds of whole searches for five hits, one after another, each question once."""
    import numpy as np

    spent = []
    for one in asked:
        start = time.perf_counter()
        search(index, one.question, replace(settings, k=5))
        spent.append(1000 * (time.perf_counter() - start))
    p50, p95 = np.percentile(spent, [50, 95])
    return {"p50_ms": round(float(p50), 1), "p95_ms": round(float(p95), 1), "searches": len(spent)}


def ask(
    index: Index, asked: Sequence[Asked], settings: Settings
) -> tuple[dict[str, Sequence[Hit]], list[Mapping[str, float]]]:
    """Hits by question, and the features of every question in turn."""
    hits: dict[str, Sequence[Hit]] = {}
    rows = []
    for one in asked:
        found = search(index, one.question, settings)
        hits[one.question] = found.hits
        rows.append(found.features)
    return hits, rows


def measure(
    workspace: Path, documents: int = DOCUMENTS, questions: int = QUESTIONS
) -> dict[str, Any]:
    """Everything, on holdout questions."""
    index, report, papers = prepare(workspace, documents)
    asked, every = questions_of(papers, report, "holdout", questions)
    # First of all: passages' token vectors are not yet in memory.
    times = {name: latency(index, some(asked, TIMED), s) for name, s in RETRIEVERS.items()}
    runs: dict[str, RetrievalRun] = {}
    answering: dict[str, Any] = {}
    for name, settings in RETRIEVERS.items():
        hits, rows = ask(index, asked, settings)
        runs[name] = ranking(asked, hits, name)
        if name in MODELS:
            model = load_answerability(index.encoder.id, settings.rerank, index.folder)
            answering[name] = answerability(rows, asked, model) if model else None
    return {
        "command": f"DENIZEN_BENCH_DOCUMENTS={documents} DENIZEN_BENCH_QUESTIONS={questions}"
        " python -m benchmarks retrieval",
        "documents": dict(Counter(paper.document.collection for paper in papers)),
        "documents_drawn": documents or "all",
        "chunks": len(index.snapshot().keys),
        "quarantined": len(report.quarantined),
        "holdout_questions": {"made": every, "asked": len(asked)},
        "questions": dict(Counter(one.kind.split(":")[0] for one in asked)),
        "ingest": {
            "new_chunks": report.chunks,
            "embedded": report.embedded,
            "seconds": round(report.seconds, 1),
        },
        "ranking": {name: _shown(summarise(run)) for name, run in runs.items()},
        "over_bm25": {
            name: _shown(compare(runs["bm25"], run)) for name, run in runs.items() if name != "bm25"
        },
        "recall@5_by_kind": {name: by_kind(run, asked) for name, run in runs.items()},
        "answerability": answering,
        "latency": times,
        "poison": poison(papers),
        "targets": _targets(runs),
    }


def _shown(figures: Mapping[str, Any]) -> dict[str, Any]:
    return {name: figure(value) for name, value in figures.items() if name in SHOWN}


def _targets(runs: Mapping[str, RetrievalRun]) -> dict[str, Any]:
    """The default search against what was promised of it."""
    recall = summarise(runs[DEFAULT])["recall@5"]
    gain = compare(runs["bm25"], runs[DEFAULT])["ndcg@10"]
    return {
        "recall@5 >= .85": recall.value >= 0.85,
        "ndcg@10 above BM25 alone": gain.value > 0,
        "with 95% confidence": recall.low >= 0.85 and gain.low > 0,
    }


def refit(workspace: Path, documents: int, questions: int) -> dict[str, Any]:
    """Fit the carried answerability on calibration questions, with rerank and without."""
    index, report, papers = prepare(workspace, documents)
    asked, _ = questions_of(papers, report, "calibration", questions)
    made: dict[str, Any] = {}
    for name, file in MODELS.items():
        settings = RETRIEVERS[name]
        _, rows = ask(index, asked, settings)
        model: Answerability = fit(
            rows,
            [bool(one.targets) for one in asked],
            [one.cluster for one in asked],
            embedder=index.encoder.id,
            rerank=settings.rerank,
            made={
                "by": f"python -m benchmarks.retrieval --fit --documents {documents}"
                f" --questions {questions}",
                "corpora": "EIPs, ERCs, SIPs, LIPs, MIPs, ENS, Uniswap, Aave, OpenZeppelin, Maker",
            },
        )
        model.save(ASSETS / file)
        made[name] = {**model.made, "threshold": model.threshold}
    return made


def main() -> None:
    """Run a part of the corpora and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.retrieval")
    parser.add_argument("--documents", type=int, default=800, help="0: all")
    parser.add_argument("--questions", type=int, default=800, help="0: all")
    parser.add_argument("--fit", action="store_true", help="fit the carried answerability anew")
    parser.add_argument("--workspace", type=Path, default=Path("bench-workspace"))
    chosen = parser.parse_args()
    run = refit if chosen.fit else measure
    print(json.dumps(run(chosen.workspace, chosen.documents, chosen.questions), indent=1))


if __name__ == "__main__":
    main()
