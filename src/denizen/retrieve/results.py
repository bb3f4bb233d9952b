"""What a search gives back: passages with exact citations, their freshness, and whether to answer.

Contract: `Citation.start` and `end` are characters of the stored document's text, which is the
source file itself for Markdown, AsciiDoc and Solidity; `digest` is the SHA-256 of the bytes that
were read. `Hit.text` is what to show a model: the passage's parent without comments or invisible
characters. Everything is frozen and has `to_json`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from denizen.retrieve.documents import Chunk, Document
from denizen.retrieve.plain import seen

NOT_IN_SOURCES = "not in the sources"


@dataclass(frozen=True, slots=True)
class Citation:
    """Where a passage stands; lines count from 1, `page` is None without pages."""

    document: str
    title: str
    source: str
    headings: tuple[str, ...]
    start: int
    end: int
    first_line: int
    last_line: int
    page: int | None
    licence: str
    digest: str
    quote: str


@dataclass(frozen=True, slots=True)
class Freshness:
    """How old a source is: `age_days` is None when no date is known."""

    as_of: str
    age_days: int | None
    expired: bool


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that was found, with what each ranking gave it (None: it was not in it)."""

    key: str
    score: float
    bm25: float | None
    dense: float | None
    max_sim: float | None
    citation: Citation
    freshness: Freshness
    text: str


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Hits, best first, and whether the sources answer the question.

    `confidence` is the calibrated probability that they do, None without a calibration for this
    embedder (then any hit counts). `reason` is "" or why the question should not be answered.
    """

    question: str
    hits: tuple[Hit, ...]
    answerable: bool
    confidence: float | None
    threshold: float | None
    features: Mapping[str, float]
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        return asdict(self) | {"features": dict(self.features)}


def cite(document: Document, start: int, end: int, headings: tuple[str, ...]) -> Citation:
    """The citation of document.text[start:end]."""
    return Citation(
        document.id,
        document.title,
        document.source,
        headings,
        start,
        end,
        document.line(start),
        document.line(max(start, end - 1)),
        document.page(start),
        document.licence,
        document.digest,
        document.text[start:end],
    )


def holds(citation: Citation, document: Document | None) -> bool:
    """Whether a citation still says what the stored source says at that place."""
    return (
        document is not None
        and document.id == citation.document
        and document.digest == citation.digest
        and document.text[citation.start : citation.end] == citation.quote
    )


def freshness(document: Document, today: date, max_age_days: int | None) -> Freshness:
    """Age of a document; expired on its own date, or when older than allowed."""
    age = (today - date.fromisoformat(document.as_of)).days if document.as_of else None
    over = document.expires is not None and date.fromisoformat(document.expires) <= today
    stale = max_age_days is not None and (age is None or age > max_age_days)
    return Freshness(document.as_of, age, over or stale)


def shown(document: Document, chunk: Chunk) -> str:
    """The chunk's parent as a reader of the page would see it."""
    return seen(document.text, (chunk.parent_start, chunk.parent_end), document.kind).strip()
