"""Three ways to find that two wordings are near: MinHash, containment, and embedding.

Contract: each detector takes distinct masked wordings of the rows and of the exam, and yields
(row index, item index, similarity) for every pair it looked at that may matter.  MinHash proposes
(LSH, library rensa) and the exact Jaccard similarity decides; containment and embedding are exact
over every pair.  Memory is bounded by blocks, so 100,000 rows are no different from 100.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from denizen.data.near_duplicates.passages import (
    Gram,
    character_grams,
    jaccard,
    windows,
    word_grams,
)

if TYPE_CHECKING:
    from denizen.models.embedder import Embeds

PERMUTATIONS, BANDS = 128, 32  # a pair of Jaccard .7 is proposed with probability .9998, .6: .988
SEED = 20_261_122
BLOCK = 4096
_LEAST_GRAMS = 4  # an exam question of fewer words is in many texts by chance


class Near(NamedTuple):
    """Row `row` and item `item` (positions) with their similarity in [0, 1]."""

    row: int
    item: int
    similarity: float


def by_minhash(rows: Sequence[str], items: Sequence[str]) -> Iterator[Near]:
    """Jaccard similarity of five-character runs, of the pairs that locality hashing proposes.

    MinHash: Broder 1997; banding: Indyk and Motwani 1998.
    """
    from rensa import RMinHash, RMinHashLSH

    index = RMinHashLSH(0.5, PERMUTATIONS, BANDS)
    exams = [character_grams(text) for text in items]
    index.insert_many(RMinHash.from_token_sets([sorted(e) for e in exams], PERMUTATIONS, SEED))
    for start in range(0, len(rows), BLOCK):
        grams = [character_grams(text) for text in rows[start : start + BLOCK]]
        sketches = RMinHash.from_token_sets([sorted(g) for g in grams], PERMUTATIONS, SEED)
        for place, found in enumerate(index.query_all(sketches)):
            for item in sorted(found):
                yield Near(start + place, item, jaccard(grams[place], exams[item]))


def by_containment(rows: Sequence[str], items: Sequence[str]) -> Iterator[Near]:
    """How much of an exam question's word trigrams a row holds, wherever it stands in the row."""
    exams = [word_grams(text) for text in items]
    index: dict[Gram, list[int]] = {}
    for item, grams in enumerate(exams):
        if len(grams) >= _LEAST_GRAMS:
            for gram in grams:
                index.setdefault(gram, []).append(item)
    for row, text in enumerate(rows):
        shared: dict[int, int] = {}
        for gram in word_grams(text):
            for item in index.get(gram, ()):
                shared[item] = shared.get(item, 0) + 1
        for item, count in shared.items():
            yield Near(row, item, count / len(exams[item]))


def by_embedding(rows: Sequence[str], items: Sequence[str], embedder: Embeds) -> Iterator[Near]:
    """Cosine of sentence vectors: of each row its nearest item, of each item its nearest row.

    Every pair is compared, block by block; a long row also by its windows.
    """
    import numpy as np

    pieces = [(row, piece) for row, text in enumerate(rows) for piece in windows(text)]
    exam = embedder.embed(list(items))
    best = np.full(len(items), -1.0, np.float32)
    best_row = np.zeros(len(items), np.int64)
    for start in range(0, len(pieces), BLOCK):
        block = pieces[start : start + BLOCK]
        cosines = embedder.embed([piece for _, piece in block]) @ exam.T
        for place, item in enumerate(cosines.argmax(1)):
            yield Near(block[place][0], int(item), float(cosines[place, item]))
        tops = cosines.argmax(0)
        values = cosines[tops, np.arange(len(items))]
        better = values > best
        best[better] = values[better]
        best_row[better] = [block[i][0] for i in tops[better]]
    if pieces:
        for item, row in enumerate(best_row):
            yield Near(int(row), item, float(best[item]))
