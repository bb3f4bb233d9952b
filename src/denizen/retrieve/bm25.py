"""The lexical index: tantivy's BM25 over stemmed terms of titles, headings and text.

Contract: `Lexical.build(chunks, folder)` makes it whole or not at all; `search` gives (row, score)
with rows in the order of the chunks. It is derived: made from the store, named by its generation,
removed without loss. BM25 has k1 1.2 and b 0.75 (tantivy's); a query is terms, never syntax.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from denizen.project.atomic import atomic_path
from denizen.project.errors import ArtefactError
from denizen.retrieve.documents import Chunk
from denizen.retrieve.store import ordered
from denizen.retrieve.terms import terms

# One field, title and headings with the text: on calibration questions two fields ranked worse
# (nDCG@10 .64 to .73 with a weight of .3 to 2 on the first, not .76).
FIELD = "text"
LEXICON = 3  # raised with the schema or the terms: what an earlier version made is not opened
_LONGEST_QUERY = 64  # terms; a longer question is searched by its rarest
_FULL = 2.2  # k1 + 1: what a term that fills a passage scores, in idf
_HEAP = 64_000_000


class Lexical:
    """An opened index."""

    def __init__(self, folder: Path) -> None:
        import tantivy

        try:
            self._index = tantivy.Index.open(str(folder))
            self._searcher = self._index.searcher()
        except (ValueError, OSError) as error:
            raise ArtefactError(
                f"the lexical index cannot be opened: {error}",
                where=str(folder),
                fix="delete the folder: it is made again from the store",
            ) from error
        self._schema = self._index.schema

    @classmethod
    def build(cls, chunks: Iterable[Chunk], folder: Path) -> Lexical:
        """Make the index of chunks, rows numbered in their order."""
        import tantivy

        with atomic_path(folder) as temporary:
            temporary.mkdir()
            index = tantivy.Index(_schema(), path=str(temporary))
            # One thread keeps rows in one order, so equal content gives equal segments.
            writer = index.writer(_HEAP, 1)
            for row, chunk in enumerate(chunks):
                document = tantivy.Document()
                document.add_unsigned("row", row)
                document.add_text(FIELD, " ".join(stems(chunk.text)))
                writer.add_document(document)
            writer.commit()
            writer.wait_merging_threads()
        return cls(folder)

    @property
    def size(self) -> int:
        """Passages in the index."""
        return int(self._searcher.num_docs)

    def search(self, question: str, k: int) -> list[tuple[int, float]]:
        """Best k rows, best first; [] when no term occurs."""
        import tantivy

        words = self.query_terms(question)
        if not words or not k or not self.size:
            return []
        should = tantivy.Occur.Should
        parts = [
            (should, tantivy.Query.term_query(self._schema, FIELD, word, "freq")) for word in words
        ]
        query = tantivy.Query.boolean_query(parts)
        # A few more than asked: equal scores at the edge are then ordered, too.
        found = self._searcher.search(query, min(self.size, k + 16), count=False).hits
        rows: list[Any] = self._searcher.fast_field_values("row", [address for _, address in found])
        return ordered((int(row), score) for row, (score, _) in zip(rows, found, strict=True))[:k]

    def share(self, question: str, score: float) -> float:
        """A score as a share of what a passage full of the question's terms would reach."""
        whole = sum(self.idf(word) for word in self.query_terms(question))
        return score / (whole * _FULL) if whole else 0.0

    def query_terms(self, question: str) -> list[str]:
        """A question's distinct stems, at most so many, the rarest first."""
        words = list(dict.fromkeys(stems(question)))
        return sorted(words, key=lambda word: -self.idf(word))[:_LONGEST_QUERY]

    def idf(self, stem: str) -> float:
        """BM25's inverse document frequency of a stem over all passages."""
        seen = self._searcher.doc_freq(FIELD, stem)
        return math.log(1 + (self.size - seen + 0.5) / (seen + 0.5))


def stems(text: str) -> list[str]:
    """Stemmed terms of a text, as they are indexed."""
    found: Sequence[str] = _stemmer().analyze(" ".join(terms(text)))
    return list(found)


@cache
def _stemmer() -> Any:
    import tantivy

    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace())
    return builder.filter(tantivy.Filter.stemmer("english")).build()


@cache
def _schema() -> Any:
    import tantivy

    builder = tantivy.SchemaBuilder()
    builder.add_unsigned_field("row", stored=False, indexed=False, fast=True)
    builder.add_text_field(FIELD, tokenizer_name="whitespace", index_option="freq")
    return builder.build()


def sweep(folder: Path, keep: str) -> None:
    """Remove derived indices of other generations, and what a kill left half-made.

    Those in use stay readable until closed.
    """
    for part in (*folder.glob(".bm25-*.part"), *folder.glob(".hnsw-*.part")):
        shutil.rmtree(part, ignore_errors=True) if part.is_dir() else part.unlink(missing_ok=True)
    for old in (*folder.glob("bm25-*"), *folder.glob("hnsw-*")):
        if keep not in old.name or (old.match("bm25-*") and f"-{LEXICON}-" not in old.name):
            shutil.rmtree(old, ignore_errors=True) if old.is_dir() else old.unlink(missing_ok=True)
