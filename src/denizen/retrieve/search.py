"""Hybrid search: BM25 and dense, fused by rank, MaxSim for the first few, cited and calibrated.

Contract: `search(index, question)` gives at most k hits, best first, each with its exact citation;
the result says whether the sources answer the question. The same content gives the same result in
either store. DataError for an empty question; a longer one than the embedder reads is searched by
its rarest terms and its beginning.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Literal

from denizen.project.errors import DataError
from denizen.retrieve.answerable import Evidence, features
from denizen.retrieve.bm25 import stems
from denizen.retrieve.documents import Chunk, Document
from denizen.retrieve.fusion import (
    DENSE_WEIGHT,
    HOME_WEIGHT,
    RERANKED,
    fuse,
    max_sim,
    rerank,
)
from denizen.retrieve.index import TRIES, Index, Snapshot
from denizen.retrieve.results import NOT_IN_SOURCES, Hit, SearchResult, cite, freshness, shown
from denizen.retrieve.store import Stale
from denizen.retrieve.terms import terms

if TYPE_CHECKING:
    from denizen.models.embedder import Vectors

Mode = Literal["fused", "bm25", "dense"]
DEPTH = 100  # hits taken from each ranking
_EVIDENCE = 5  # passages the answerability looks at


@dataclass(frozen=True)
class Settings:
    """How to search; `rerank` is worth its time (a quarter of a second on two cores) or not."""

    k: int = 5
    mode: Mode = "fused"
    rerank: bool = True
    max_age_days: int | None = None
    threshold: float | None = None


@dataclass
class _Ranked:
    """One question's rankings, by row."""

    lexical: list[tuple[int, float]]
    dense: list[tuple[int, float]]
    final: list[tuple[int, float]]
    share: float
    chunks: dict[int, Chunk]
    similarity: dict[int, Vectors]


def search(
    index: Index,
    question: str,
    settings: Settings | None = None,
    *,
    today: date | None = None,
) -> SearchResult:
    """Find passages that answer a question."""
    settings = settings or Settings()
    if not question.strip():
        raise DataError("the question is empty", fix="ask something")
    for _ in range(TRIES):
        with suppress(Stale):
            snapshot = index.snapshot()
            day = today or datetime.now(UTC).date()
            found = _search(index, snapshot, question, settings, day)
            # Documents are read after their chunks: a citation must not mix two states.
            index.check(snapshot)
            return found
    raise index.changing()


def _search(
    index: Index, snapshot: Snapshot, question: str, settings: Settings, today: date
) -> SearchResult:
    ranked = _rank(index, snapshot, question, settings)
    found = _features(snapshot, question, ranked, settings)
    model = snapshot.calibrations[settings.rerank and settings.mode == "fused"]
    confidence = model.confidence(found) if model and settings.mode == "fused" else None
    threshold = settings.threshold if settings.threshold is not None else None
    if threshold is None and model:
        threshold = model.threshold
    hits = _hits(index, ranked, settings, today)
    known = confidence is None or threshold is None or confidence >= threshold
    answerable = bool(hits) and known
    return SearchResult(
        question,
        hits,
        answerable,
        confidence,
        threshold,
        found,
        "" if answerable else NOT_IN_SOURCES,
    )


def _rank(index: Index, snapshot: Snapshot, question: str, settings: Settings) -> _Ranked:
    lexical = [] if settings.mode == "dense" else snapshot.lexical.search(question, DEPTH)
    share = snapshot.lexical.share(question, lexical[0][1]) if lexical else 0.0
    dense: list[tuple[int, float]] = []
    home: list[tuple[int, float]] = []
    if settings.mode != "bm25":
        vector = _query_vector(index, question)
        dense = index.nearest(snapshot, vector, DEPTH)
        home = index.within(snapshot, lexical[0][0], vector, DEPTH) if lexical else []
    final = lexical or dense
    if settings.mode == "fused":
        weighed = (
            (lexical, 1.0),
            (dense, DENSE_WEIGHT * max(0.0, 1 - share)),
            (home, HOME_WEIGHT),
        )
        final = fuse([([row for row, _ in ranking], weight) for ranking, weight in weighed])
    wanted = max(settings.k, _EVIDENCE, RERANKED if settings.rerank else 0)
    rows = [row for row, _ in final[:wanted]]
    by_key = index.store.chunks([snapshot.keys[row] for row in rows], snapshot.generation)
    chunks = {row: by_key[snapshot.keys[row]] for row in rows}
    similarity: dict[int, Any] = {}
    if settings.rerank and settings.mode == "fused" and rows:
        first = rows[:RERANKED]
        asked, *passages = index.encoder.token_vectors(
            [question, *(chunks[row].text for row in first)]
        )
        similarity = {row: max_sim(asked, p) for row, p in zip(first, passages, strict=True)}
        means = {row: float(s.mean()) if len(s) else 0.0 for row, s in similarity.items()}
        final = rerank(final, means)
    return _Ranked(lexical, dense, final, share, chunks, similarity)


def _query_vector(index: Index, question: str) -> Vectors:
    own: Any = getattr(index.encoder, "embed_query", None)
    vector: Vectors = own(question) if own else index.encoder.embed([question])[0]
    return vector


def _features(
    snapshot: Snapshot, question: str, ranked: _Ranked, settings: Settings
) -> dict[str, float]:
    first = [row for row, _ in ranked.final[:_EVIDENCE] if row in ranked.chunks]
    texts = [ranked.chunks[row].text for row in first]
    by_row = dict(ranked.dense)

    def documents(hits: Sequence[tuple[int, float]]) -> set[str]:
        return {snapshot.keys[row].rpartition("#")[0] for row, _ in hits[:_EVIDENCE]}

    left, right = documents(ranked.lexical), documents(ranked.dense)
    return features(
        Evidence(
            question=question,
            idf={s: snapshot.lexical.idf(s) for s in snapshot.lexical.query_terms(question)},
            passages=[frozenset([*stems(text), *terms(text)]) for text in texts],
            dense=[score for _, score in ranked.dense],
            dense_first=by_row.get(first[0], 0.0) if first else 0.0,
            bm25_share=ranked.share,
            agreement=len(left & right) / len(left | right) if left | right else 0.0,
            token_similarity=[row.tolist() for row in ranked.similarity.values()],
        )
    )


def _hits(index: Index, ranked: _Ranked, settings: Settings, today: date) -> tuple[Hit, ...]:
    lexical, dense = dict(ranked.lexical), dict(ranked.dense)
    documents: dict[str, Document] = {}
    made = []
    for row, score in ranked.final[: settings.k]:
        if row not in ranked.chunks:
            continue
        chunk = ranked.chunks[row]
        if chunk.document not in documents:
            document = index.store.document(chunk.document)
            if document is None:
                raise Stale
            documents[chunk.document] = document
        document = documents[chunk.document]
        similarity = ranked.similarity.get(row)
        made.append(
            Hit(
                chunk.key,
                score,
                lexical.get(row),
                dense.get(row),
                float(similarity.mean()) if similarity is not None and len(similarity) else None,
                cite(document, chunk.start, chunk.end, chunk.headings),
                freshness(document, today, settings.max_age_days),
                shown(document, chunk),
            )
        )
    return tuple(made)
