"""Retrieval examined on its own: a file of questions put to an index, three ways.

Contract: BM25 alone, dense alone and both fused with rerank see the same questions; every figure
has its cluster-bootstrap interval, the fused one its paired difference to BM25.  No model writes
anything, and no look at the holdout is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from denizen.evaluate.suites.retrieval import (
    RetrievalQuestion,
    RetrievalRun,
    compare,
    score_retrieval,
    summarise,
)
from denizen.project.errors import DataError
from denizen.retrieve import Index, Settings, search

if TYPE_CHECKING:
    from denizen.evaluate.suites.ranking import Estimate

RETRIEVERS = {
    "bm25": Settings(k=40, mode="bm25", rerank=False),
    "dense": Settings(k=40, mode="dense", rerank=False),
    "fused": Settings(k=40, mode="fused", rerank=True),
}


@dataclass(frozen=True)
class Retrieved:
    """One retriever's figures by name; `over_bm25` are paired differences."""

    retriever: str
    figures: dict[str, Estimate]
    over_bm25: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "retriever": self.retriever,
            **{name: figure._asdict() for name, figure in self.figures.items()},
            "over_bm25": {name: gap._asdict() for name, gap in self.over_bm25.items()},
        }

    def line(self) -> str:
        """For people."""
        wanted = ("recall@5", "ndcg@10", "mrr", "answerability_auroc")
        shown = (
            f"{name} {f.value:.3f} ({f.low:.3f} to {f.high:.3f})"
            for name, f in self.figures.items()
            if name in wanted
        )
        return f"{self.retriever:<8}{'  '.join(shown)}"


def examine_retrieval(
    questions: Sequence[RetrievalQuestion],
    index: Index,
    *,
    on_done: Callable[[int], None] = lambda _: None,
) -> list[Retrieved]:
    """Ask every question of every retriever; raises ValueError if none is answerable."""
    runs: dict[str, RetrievalRun] = {}
    for name, settings in RETRIEVERS.items():
        asked = _searcher(index, settings, on_done)
        runs[name] = score_retrieval(questions, asked, retriever=name)
    return [
        Retrieved(name, summarise(run), {} if name == "bm25" else dict(compare(runs["bm25"], run)))
        for name, run in runs.items()
    ]


def missing_ids(questions: Sequence[RetrievalQuestion], index: Index) -> list[str]:
    """Relevant ids that the index does not hold, and no search can find; DataError if it has none.

    Chunks are numbered anew whenever a document changes: such questions then ask for others.
    """
    documents, chunks = index.store.known(), index.snapshot().rows
    named = [(key, q.by_document) for q in questions for key in q.relevant]
    missing = [key for key, whole in named if key not in (documents if whole else chunks)]
    if named and len(missing) == len(named):
        raise DataError(
            f"none of the {len(named)} relevant ids is in the index, say {missing[0][:80]!r}",
            where=index.store.where,
            fix="name documents as collection/path, chunks as collection/path#number",
        )
    return list(dict.fromkeys(missing))


def _searcher(index: Index, settings: Settings, on_done: Callable[[int], None]) -> Any:
    def run(question: str, k: int) -> list[tuple[str, float]]:
        found = search(index, question, settings)
        on_done(1)
        # A fused score knows ranks only: whether the sources answer, the confidence says.
        sure = found.confidence
        return [(hit.key, hit.score if sure is None else sure) for hit in found.hits[:k]]

    return run
