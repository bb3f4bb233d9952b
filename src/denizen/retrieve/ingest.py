"""Sources into an index: read, screen, cut, embed what is new, and replace in one transaction.

Contract: what has not changed is neither parsed nor embedded again; what vanished from a source is
removed, but what is merely unreadable now is kept as it was. Poisoned documents go to the
quarantine with their reasons and leave the index, unless `allow` names them (for the very bytes
that were looked at). A kill leaves the old index whole, and vectors already made in the cache.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from denizen.project.errors import DataError
from denizen.project.hashing import content_hash
from denizen.retrieve.chunking import BUDGET, CHUNKER, CONTEXT, LEAST, PARENT, chunks_of
from denizen.retrieve.documents import UNKNOWN_LICENCE, Chunk, Document, Parsed, document_id
from denizen.retrieve.formats import READERS, read
from denizen.retrieve.index import Index
from denizen.retrieve.licence import stated_date, stated_expiry, stated_licence
from denizen.retrieve.poison import RULES, Check, screen
from denizen.retrieve.sources import Raw, Source, Unread
from denizen.retrieve.store import Change, Known, Quarantined, Write

_BATCH = 256  # chunks embedded between two signs of life
Progress = Callable[[int, int], None]


@dataclass
class IngestReport:
    """What an ingest did; lists hold document ids, `failed` and `quarantined` with the reason."""

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    quarantined: dict[str, list[str]] = field(default_factory=dict)
    unchanged: int = 0
    chunks: int = 0
    embedded: int = 0
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        return asdict(self)


def ingest(
    index: Index,
    sources: Sequence[Source],
    *,
    allow: Iterable[str] = (),
    checks: Sequence[Check] = (),
    progress: Progress = lambda done, total: None,
    settings: Mapping[str, str] | None = None,
) -> IngestReport:
    """Bring an index up to date with its sources; raises DataError for a name nobody knows.

    `settings` are kept beside the documents, for whoever ingests next.
    """
    started = time.monotonic()
    names = [source.collection for source in sources]
    if len(set(names)) != len(names):
        raise DataError("two sources have one collection name", fix="name them apart")
    if wrong := [name for name in names if "/" in name]:
        # "a/b" with "c.md" and "a" with "b/c.md" would be one document.
        raise DataError(f"a collection's name has no slash: {wrong[0]!r}", fix="name it otherwise")
    with index.store.writing():
        index.check_embedder()  # another process may have filled it since it was opened
        job = _Job(index, checks)
        for source in sources:
            job.take(source)
        job.let_through(set(allow))
        _embed(index, [chunk for _, chunks, _ in job.pending for chunk in chunks], progress)
        job.write(settings or {})
    job.report.seconds = time.monotonic() - started
    return job.report


def _embed(index: Index, chunks: Sequence[Chunk], progress: Progress) -> None:
    """Fill the cache: a kill on the way loses one batch, and the transaction stays short."""
    for start in range(0, len(chunks), _BATCH):
        index.encoder.embed([chunk.text for chunk in chunks[start : start + _BATCH]])
        progress(min(start + _BATCH, len(chunks)), len(chunks))


class _Job:
    """One ingest, collected until it is written."""

    def __init__(self, index: Index, checks: Sequence[Check]) -> None:
        self.index, self.checks = index, checks
        self.report = IngestReport()
        self.pending: list[tuple[Document, list[Chunk], str]] = []
        self.removed: list[str] = []
        self.cleared: list[str] = []
        self.released: dict[str, str] = {}
        self._held: dict[str, tuple[Raw, str, Parsed, list[str]]] = {}
        self._quarantine = {q.id: q for q in index.store.quarantine()}
        self._known: dict[str, Known] = {}
        self._released = index.store.released()
        self._misses = getattr(index.encoder, "misses", 0)

    def take(self, source: Source) -> None:
        """Everything of a source."""
        self._known = self.index.store.known(source.collection)
        seen: set[str] = set()
        for raw in source.read():
            key = document_id(source.collection, raw.name)
            if isinstance(raw, Unread):
                self.report.failed[key] = raw.reason
                if raw.folder:
                    inside = (*self._known, *self._quarantine)
                    seen |= {one for one in inside if one.startswith(key + "/")}
                seen |= set() if raw.gone else {key}
                continue
            try:
                kept = self._document(raw, key, source.collection)
            except DataError as error:
                self.report.failed[key] = error.what
                kept = True
            if kept:
                seen.add(key)
        gone = [key for key in self._known if key not in seen]
        self.removed += gone
        withheld = self._held.keys() | set(self.report.moved) | set(self.report.empty)
        self.report.removed += [key for key in gone if key not in withheld]
        self.cleared += [
            q.id
            for q in self._quarantine.values()
            if q.collection == source.collection and q.id not in self._held and q.id not in seen
        ]

    def _document(self, raw: Raw, key: str, collection: str) -> bool:
        """Take one document; False if it does not stay in the index."""
        digest = raw.digest
        fingerprint = _fingerprint(raw, digest)
        known = self._known.get(key)
        if known and known.fingerprint == fingerprint:
            self.report.unchanged += 1
            return True
        parsed = read(raw.form, raw.data, raw.name, raw.charset)
        if parsed.front.get("status", "").strip().lower() == "moved":
            self.report.moved.append(key)
            return False
        findings = screen(parsed, self.checks)
        if findings and self._released.get(key) != digest:
            self._held[key] = (raw, collection, parsed, [str(f) for f in findings])
            return False
        return self._accept(raw, key, collection, parsed)

    def _accept(self, raw: Raw, key: str, collection: str, parsed: Parsed) -> bool:
        document = document_of(raw, collection, parsed)
        chunks = chunks_of(document, parsed.blocks, self.index.encoder.count)
        if not chunks:
            self.report.empty.append(key)
            return False
        kind = self.report.changed if key in self._known else self.report.added
        kind.append(key)
        self.pending.append((document, chunks, _fingerprint(raw, document.digest)))
        self.report.chunks += len(chunks)
        if key in self._quarantine:
            self.cleared.append(key)
        return True

    def let_through(self, allow: set[str]) -> None:
        """Release what a person names; everything else held goes to the quarantine."""
        indexed = {document.id for document, *_ in self.pending} | self.index.store.known().keys()
        if unknown := sorted(allow - self._held.keys() - indexed):
            raise DataError(
                f"no document {unknown[0]!r} was held back in this ingest",
                where=self.index.store.where,
                fix="name it as the quarantine lists it, collection and path",
            )
        for key in sorted(allow & self._held.keys()):
            raw, collection, parsed, _ = self._held.pop(key)
            self.released[key] = raw.digest
            self._accept(raw, key, collection, parsed)
            self.removed = [gone for gone in self.removed if gone != key]
        self.report.quarantined = {key: held[3] for key, held in sorted(self._held.items())}

    def write(self, settings: Mapping[str, str]) -> None:
        """One transaction."""
        encoder, now = self.index.encoder, datetime.now(UTC).isoformat("T", "seconds")
        dimension = encoder.embed([]).shape[1]
        change = Change(
            writes=self._writes(),
            removed=self.removed,
            quarantined=[
                Quarantined(key, collection, raw.digest, tuple(reasons), now)
                for key, (raw, collection, _, reasons) in self._held.items()
            ],
            released=self.released,
            cleared=self.cleared,
            settings={**settings, "embedder": encoder.id, "dimension": str(dimension)},
        )
        self.index.store.replace(change)
        self.report.embedded = getattr(encoder, "misses", 0) - self._misses

    def _writes(self) -> Iterator[Write]:
        for document, chunks, fingerprint in self.pending:
            vectors = self.index.encoder.embed([chunk.text for chunk in chunks])
            yield Write(document, fingerprint, chunks, vectors)


def document_of(raw: Raw, collection: str, parsed: Parsed) -> Document:
    """The document, with each fact of it from whoever knows best."""
    stated, fallback = raw.stated, raw.fallback
    own = stated_licence(parsed.front, _said(parsed))
    return Document(
        id=document_id(collection, raw.name),
        collection=collection,
        source=raw.source,
        kind=raw.form,
        title=parsed.title,
        text=parsed.text,
        front=parsed.front,
        licence=stated.licence or own or fallback.licence or UNKNOWN_LICENCE,
        as_of=stated.as_of or stated_date(parsed.front) or fallback.as_of,
        expires=stated.expires or stated_expiry(parsed.front),
        digest=raw.digest,
        pages=parsed.pages,
    )


def _said(parsed: Parsed) -> str:
    """What a document says of itself, its comments included; its code samples speak for others."""
    spans = [parsed.text[b.start : b.end] for b in parsed.blocks if b.kind != "code"]
    return "\n".join([*spans, *parsed.hidden])


def _fingerprint(raw: Raw, digest: str) -> str:
    """All that decides what is stored of a document: it is read anew when this changes."""
    # A page that is the same today holds today; a file's date says less than its content.
    fallback = asdict(raw.fallback) | ({} if "://" in raw.name else {"as_of": ""})
    stated = [asdict(raw.stated), fallback]
    code = [READERS, RULES, CHUNKER, BUDGET, CONTEXT, LEAST, PARENT]
    return content_hash([digest, raw.form, raw.charset, raw.source, stated, code])
