"""Content hashes: SHA-256 of bytes, files, folders and JSON values.

Two artefacts are the same when their hashes are.  JSON values are hashed in canonical form
(sorted keys, no spaces), folders as the sorted list of their files' hashes.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any


def sha256_bytes(data: bytes) -> str:
    """Hex SHA-256 of bytes."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file, read in one-MiB pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(2**20):
            digest.update(piece)
    return digest.hexdigest()


def sha256_tree(path: Path) -> str:
    """Hash of a file, or of a folder as its sorted (relative name, hash) pairs."""
    if path.is_file():
        return sha256_file(path)
    files = sorted(p for p in path.rglob("*") if p.is_file())
    return content_hash([[p.relative_to(path).as_posix(), sha256_file(p)] for p in files])


def content_hash(value: Any) -> str:
    """Hash of a JSON-serialisable value in canonical form."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return sha256_bytes(text.encode("utf-8"))


@cache
def source_hash(*rooms: str) -> str:
    """Hash of the source and assets of some rooms: changed code makes what it made anew."""
    root = Path(str(resources.files("denizen")))
    found = []
    for room in rooms:
        for path in sorted((root / room).rglob("*")):
            inside = path.relative_to(root)
            # Caches of interpreters and checkers are not source.
            if path.is_file() and not any(p[0] == "." or p == "__pycache__" for p in inside.parts):
                found.append([inside.as_posix(), sha256_file(path)])
    return content_hash(found)
