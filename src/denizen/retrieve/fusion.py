"""Rankings joined: reciprocal rank fusion, and late interaction over the best of it.

Contract: `fuse` adds weight / (RRF + rank) over rankings (Cormack, Clarke and Buettcher 2009; their
60 is for deep lists, 10 was better here). Three rankings are joined: lexical; dense, weighing more
the less of the question the lexical hits cover; and dense within the document of the best lexical
hit, since names pick the document and meaning the passage. `max_sim` is the mean over a question's
tokens of the best similarity to a passage's tokens (Khattab and Zaharia 2020); `rerank` lets that
ranking join in for the first few. Constants were chosen on calibration questions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from denizen.models.embedder import Vectors

RRF = 10
# On calibration questions a plateau (reranked, nDCG@10 .817 to .823 for .15 to .5 and .15 to .35),
# here with recall@5 near its best. Words weigh most: the questions are made of documents' own.
DENSE_WEIGHT = 0.25  # where the lexical hits cover nothing; a full match leaves it none
HOME_WEIGHT = 0.15  # of the passages of the best lexical hit's document
RERANKED = 12  # passages that are compared token by token
RERANK_WEIGHT = 2.0


def fuse(
    rankings: Sequence[tuple[Sequence[int], float]], rrf: int = RRF
) -> list[tuple[int, float]]:
    """(row, score) over weighted rankings of rows, best first, equal scores by row."""
    scores: dict[int, float] = {}
    for ranking, weight in rankings:
        for rank, row in enumerate(ranking, start=1):
            scores[row] = scores.get(row, 0.0) + weight / (rrf + rank)
    return sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))


def max_sim(question: Vectors, passage: Vectors) -> Vectors:
    """For each token of the question its best similarity, float32 [tokens]."""
    import numpy as np

    if not len(question) or not len(passage):
        return np.zeros(len(question), np.float32)
    best: Vectors = (question @ passage.T).max(1)
    return best


def rerank(
    fused: Sequence[tuple[int, float]],
    similarity: Mapping[int, float],
    weight: float = RERANK_WEIGHT,
) -> list[tuple[int, float]]:
    """The fused ranking with that of the similarities added for the rows that have one."""
    by_similarity = sorted(similarity, key=lambda row: (-similarity[row], row))
    bonus = {row: weight / (RRF + rank) for rank, row in enumerate(by_similarity, start=1)}
    first = [(row, score + bonus[row]) for row, score in fused if row in bonus]
    # Rows that were not compared stay behind those that were.
    rest = [(row, score) for row, score in fused if row not in bonus]
    return [*sorted(first, key=lambda pair: (-pair[1], pair[0])), *rest]
