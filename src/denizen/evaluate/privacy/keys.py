"""The secret behind planted marks: one seed, what is drawn from it, and the file that keeps it.

Contract: everything planted is a pure function of the seed (HMAC-SHA256), so the seed is all that
must be kept, and kept secret: the file is readable by its owner alone.  Reading a file of another
kind, or one that was edited, is an ArtefactError.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from pathlib import Path
from typing import Any

from denizen.project.atomic import atomic_path
from denizen.project.errors import ArtefactError
from denizen.project.hashing import content_hash


def new_seed() -> str:
    """128 random bits, as hex."""
    return secrets.token_hex(16)


def keyed(seed: str, label: str, bound: int) -> int:
    """A number in [0, bound) that only the seed's owner can tell; `bound` is far below 2^256."""
    digest = hmac.new(seed.encode("utf-8"), label.encode("utf-8"), hashlib.sha256).digest()
    return int.from_bytes(digest, "big") % bound


def keyed_order(seed: str, label: str, count: int) -> list[int]:
    """A permutation of range(count) that the seed fixes."""
    return sorted(range(count), key=lambda i: keyed(seed, f"{label}/{i}", 2**128))


def write_secret(path: Path, kind: str, content: dict[str, Any]) -> str:
    """Write a secret file (mode 600); returns the hash of its content."""
    digest = content_hash(content)
    record = {"kind": kind, "hash": digest, **content}
    with atomic_path(path) as temporary:
        # The mode comes with the file's creation: it is never readable by others.
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(json.dumps(record, indent=1) + "\n")
    return digest


def read_secret(path: Path, kind: str) -> dict[str, Any]:
    """What `write_secret` wrote; raises ArtefactError."""
    try:
        record = json.loads(path.read_text("utf-8"))
        found, digest = record.pop("kind"), record.pop("hash")
    except OSError as error:
        raise ArtefactError(
            f"cannot read the secret: {error.strerror}",
            where=str(path),
            fix="name the file that was written when the marks were planted",
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtefactError(
            "this is not a file of planted marks", where=str(path), fix="name the right file"
        ) from error
    if found != kind or digest != content_hash(record):
        what = f"this holds {found!r}, not {kind!r}" if found != kind else "the file was edited"
        raise ArtefactError(what, where=str(path), fix="name the file as it was written")
    return dict(record)
