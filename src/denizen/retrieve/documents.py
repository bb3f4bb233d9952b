"""What the retrieval room keeps: documents, the blocks a reader found in them, and chunks.

Contract: every position is a half-open range of characters of `Document.text`, so a citation is
exact: `document.text[start:end]` is the quoted source. For Markdown, AsciiDoc and Solidity that
text is the file itself; for HTML and PDF it is what was extracted and kept. Frozen and plain.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

BlockKind = Literal["front", "heading", "prose", "code", "table"]

# Separates a document's id from a chunk's number; an id never contains it.
CHUNK_MARK = "#"
UNKNOWN_LICENCE = "unknown"


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of one kind under its headings (outermost first, a heading's own included)."""

    start: int
    end: int
    kind: BlockKind
    headings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a format's reader finds: `hidden` is text that a human reader would not see.

    `pages` holds the position at which each page starts (PDF only).
    """

    text: str
    blocks: tuple[Block, ...]
    title: str = ""
    front: Mapping[str, str] = field(default_factory=dict)
    hidden: tuple[str, ...] = ()
    pages: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """One source document. Dates are ISO; `as_of` is "" and `expires` None when not known.

    `digest` is the SHA-256 of the bytes that were read.
    """

    id: str
    collection: str
    source: str
    kind: str
    title: str
    text: str
    front: Mapping[str, str]
    licence: str
    as_of: str
    expires: str | None
    digest: str
    pages: tuple[int, ...] = ()

    def line(self, position: int) -> int:
        """Line number of a position, from 1."""
        return self.text.count("\n", 0, position) + 1

    def page(self, position: int) -> int | None:
        """Page of a position, from 1; None where there are no pages."""
        return bisect_right(self.pages, position) or None

    def record(self) -> dict[str, Any]:
        """Everything but the text, as it is stored and hashed."""
        return {
            "id": self.id,
            "collection": self.collection,
            "source": self.source,
            "kind": self.kind,
            "title": self.title,
            "front": dict(self.front),
            "licence": self.licence,
            "as_of": self.as_of,
            "expires": self.expires,
            "digest": self.digest,
            "pages": list(self.pages),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any], text: str) -> Document:
        """The inverse of `record`."""
        return cls(**{**record, "text": text, "pages": tuple(record["pages"])})


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage that is found: [start, end) of the document, within [parent_start, parent_end).

    `text` is what is indexed: title and headings in the first line, then the words without markup.
    """

    document: str
    number: int
    start: int
    end: int
    parent_start: int
    parent_end: int
    headings: tuple[str, ...]
    kind: BlockKind
    text: str

    @property
    def key(self) -> str:
        """ "document#number"."""
        return f"{self.document}{CHUNK_MARK}{self.number}"


def document_id(collection: str, name: str) -> str:
    """Collection and path or address, without what separates chunks."""
    return f"{collection}/{name}".replace(CHUNK_MARK, "%23")
