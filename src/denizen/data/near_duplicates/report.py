"""What the near-duplicate check found: thresholds, counts, the nearest pairs, what was refused.

Contract: plain frozen records, JSON-serialisable, with the texts cut for a page.  `clean` says that
no row was refused; `complete` that every detector ran.  A check without the embedder is not a
complete one, and says so.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Kind = Literal["exact", "wording", "minhash", "contained", "embedding"]
KINDS: tuple[Kind, ...] = ("exact", "wording", "minhash", "contained", "embedding")
MEANING: dict[Kind, str] = {
    "exact": "the same question",
    "wording": "the same wording with other numbers",
    "minhash": "almost the same wording",
    "contained": "an exam question within it",
    "embedding": "the same meaning in near words",
}


@dataclass(frozen=True)
class Thresholds:
    """Similarities in [0, 1] from which a row is refused (and, of embedding, reviewed).

    Measured by `calibrate.py` on 6,000 rows of every family's training templates against the 1,630
    exam items, written apart, so that their nearest pairs are as near as honest data comes: Jaccard
    .618, containment .700, cosine .982.  Above them nothing honest is refused.  Of the exam's
    planted copies with other numbers they catch at least 99.5% of those retyped, among chatter, in
    a document or in another order, 94% with a tenth of the words dropped, 84% with a tenth of the
    words swapped and 80% with half of the usual words replaced.
    Of 30 questions reworded by hand a cosine of .985 catches none, .93 7, .90 19 and .88 23, which
    also meets 7, 24 and 57 honest rows: paraphrase and honest teaching of one subject overlap, so
    from `review` on pairs are listed, and only STRICT refuses them.
    """

    minhash: float = 0.65
    contained: float = 0.75
    embedding: float = 0.985
    review: float = 0.90

    def of(self, kind: Kind) -> float:
        """The threshold of a kind; equality is 1."""
        return {
            "minhash": self.minhash,
            "contained": self.contained,
            "embedding": self.embedding,
        }.get(kind, 1.0)


# For rows that were not written apart from the exam (a teacher's, traces, data from outside): it
# costs 1% of honest rows and catches three of four paraphrases.
STRICT = Thresholds(embedding=0.88, review=0.88)


@dataclass(frozen=True)
class NearPair:
    """A row and an exam item, how near they are by one measure, and both texts."""

    kind: Kind
    row: str
    item: str
    similarity: float
    row_text: str
    item_text: str


@dataclass(frozen=True)
class KindReport:
    """One detector: rows it refused, and the nearest pairs it saw, nearest first.

    `nearest_item_quantiles` are the 50th, 90th and 99th percentile and the maximum, over items, of
    the similarity of the nearest row: what is normal in this data.  `review` lists pairs that no
    threshold refuses and a person should see.
    """

    kind: Kind
    threshold: float
    ran: bool
    refused: int
    nearest: tuple[NearPair, ...]
    nearest_item_quantiles: tuple[float, ...]
    review: tuple[NearPair, ...] = ()


@dataclass(frozen=True)
class NearDuplicateReport:
    """Every detector's report over `rows` training rows and `items` exam items."""

    rows: int
    items: int
    wordings: int
    kinds: tuple[KindReport, ...]
    refused: tuple[NearPair, ...]

    @property
    def refused_rows(self) -> frozenset[str]:
        """Ids of the rows that must not be trained on."""
        return frozenset(pair.row for pair in self.refused)

    @property
    def clean(self) -> bool:
        """Whether no row was refused."""
        return not self.refused

    @property
    def complete(self) -> bool:
        """Whether every detector ran on at least one row and one item."""
        return self.rows > 0 and self.items > 0 and all(kind.ran for kind in self.kinds)

    @property
    def sentence(self) -> str:
        """One line for a person."""
        missing = [kind.kind for kind in self.kinds if not kind.ran]
        tail = f"; not run: {', '.join(missing)}" if missing else ""
        if self.clean:
            return f"none of {self.rows} training rows is near {self.items} exam items{tail}"
        first = self.refused[0]
        return (
            f"{len(self.refused_rows)} of {self.rows} training rows are too near the exam, first "
            f"{first.row}: {MEANING[first.kind]} as {first.item} ({first.similarity:.3f}){tail}"
        )

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary with `clean`, `complete` and `sentence`."""
        facts = {"clean": self.clean, "complete": self.complete, "sentence": self.sentence}
        return asdict(self) | facts
