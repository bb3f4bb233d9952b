"""The real corpora: public documents of ten projects, drawn by the hash of their names.

Contract: they are not part of the repository: they lie beside it (shared/data/docs) or where
DENIZEN_CORPORA says. `corpus(limit)` is the same draw on every machine, a smaller one the beginning
of a larger, of every collection about its share.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from denizen.project.hashing import sha256_bytes
from denizen.retrieve import Folder, Raw, Unread
from denizen.retrieve.formats import read
from denizen.retrieve.ingest import document_of
from denizen.retrieve.questions import Paper, place_of

CORPORA = "DENIZEN_CORPORA"
BESIDE = Path(__file__).parents[2] / "shared" / "data" / "docs"
COLLECTIONS = {
    "eips": "CC0-1.0",
    "ercs": "CC0-1.0",
    "synthetix-sips": "CC0-1.0",
    "lido-lips": "CC0-1.0",
    "ens-docs": "CC0-1.0",
    "maker-mips": "MIT",
    "uniswap-docs": "MIT",
    "aave-dao-proposals-v3": "MIT",
    "openzeppelin-docs": "MIT",
    "maker-developerguides": "Apache-2.0",
}


@dataclass(frozen=True)
class Some:
    """A source cut to the documents that are indexed."""

    collection: str
    found: tuple[Raw | Unread, ...]

    def read(self) -> Iterator[Raw | Unread]:
        yield from self.found


def corpus(limit: int) -> tuple[list[Some], list[Paper]]:
    """Sources without the absent documents, and every document with its blocks; 0 is all."""
    root = Path(os.environ.get(CORPORA) or BESIDE)
    every: list[tuple[str, str, Raw]] = []
    for name in COLLECTIONS:
        for raw in Folder(root / name, name).read():
            if isinstance(raw, Raw):
                every.append((sha256_bytes(f"{name}/{raw.name}".encode()), name, raw))
    chosen = sorted(every, key=lambda entry: entry[0])[: limit or None]
    papers, kept = [], []
    for _, name, raw in chosen:
        parsed = read(raw.form, raw.data, raw.name)
        document = document_of(raw, name, parsed)
        if parsed.front.get("status", "").lower() != "moved":
            papers.append(Paper(document, parsed.blocks))
            kept.append((name, raw, place_of(document.id).absent))
    sources = [
        Some(name, tuple(raw for other, raw, absent in kept if other == name and not absent))
        for name in COLLECTIONS
    ]
    return sources, papers
