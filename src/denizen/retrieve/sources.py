"""Where documents come from: folders and lists of addresses, as bytes with what is known of them.

Contract: a source yields `Raw` for every document it can read and `Unread` for every one it cannot
(which is then kept as it was, not taken for vanished). Settings a source states (licence, as-of,
expiry, origin) hold for all its documents; `sources.yaml` in a folder states them by pattern.
Names are stable from run to run: they are how a changed document is known.
"""

from __future__ import annotations

import fnmatch
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from denizen.project.errors import DataError
from denizen.project.hashing import sha256_bytes
from denizen.retrieve.formats import form_of
from denizen.retrieve.licence import LICENCE_FILES, folder_licence

MANIFEST = "sources.yaml"
LARGEST = 32 * 2**20  # bytes of one document
_SKIPPED = frozenset({"node_modules", "__pycache__", "site-packages"})
_KEYS = ("licence", "as_of", "expires", "origin")


@dataclass(frozen=True, slots=True)
class Stated:
    """What whoever ingests states of documents; empty where nothing is stated.

    `origin` is an address to which a document's path is added, to be cited instead of the path.
    """

    licence: str = ""
    as_of: str = ""
    expires: str = ""
    origin: str = ""

    def over(self, other: Stated) -> Stated:
        """This, filled up from another."""
        return Stated(*(getattr(self, key) or getattr(other, key) for key in _KEYS))


@dataclass(frozen=True, slots=True)
class Raw:
    """A document as read: its name within the source, bytes, format and what is known of it.

    `fallback` holds what is used where neither the source nor the document states it, `charset`
    what a server named.
    """

    name: str
    data: bytes
    form: str
    source: str
    stated: Stated = field(default_factory=Stated)
    fallback: Stated = field(default_factory=Stated)
    charset: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 of the bytes."""
        return sha256_bytes(self.data)


@dataclass(frozen=True, slots=True)
class Unread:
    """A document that is there but could not be read; `gone`: it is known to be no more.

    `folder`: a whole folder, of which nothing is known.
    """

    name: str
    reason: str
    gone: bool = False
    folder: bool = False


class Source(Protocol):
    """Documents under one collection name."""

    @property
    def collection(self) -> str: ...
    def read(self) -> Iterator[Raw | Unread]: ...


@dataclass(frozen=True)
class Folder:
    """A file, or every document under a folder, in the order of their paths."""

    path: Path
    collection: str
    stated: Stated = field(default_factory=Stated)

    def read(self) -> Iterator[Raw | Unread]:
        """Raises DataError when there is no such path or the manifest is wrong."""
        if not self.path.exists():
            raise DataError("no such file or folder", where=str(self.path), fix="check the path")
        root = self.path if self.path.is_dir() else self.path.parent
        manifest = read_manifest(root / MANIFEST)
        closed: list[OSError] = []
        files = _files(root, closed) if self.path.is_dir() else [self.path]
        for error in closed:
            name = Path(error.filename).relative_to(root).as_posix()
            reason = f"cannot be read: {error.strerror or error}"
            yield Unread(_printed(name), reason, folder=True)
        for file in files:
            name = file.relative_to(root).as_posix()
            form = form_of(file.name)
            if form is None or file.is_dir() or _is_skipped(name):
                continue
            if name != _printed(name):
                yield Unread(_printed(name), "its name is not UTF-8: rename it")
                continue
            stated = self.stated
            if manifest and (found := manifest.of(name)) is None:
                continue
            elif manifest and found:
                stated = self.stated.over(found)
            yield _read_file(file, name, form, root, stated)


def _files(root: Path, closed: list[OSError]) -> list[Path]:
    """Every file below a folder; folders that cannot be read are told, not taken for empty."""
    walk = os.walk(root, onerror=closed.append)
    return sorted(Path(folder) / name for folder, _, names in walk for name in names)


def _printed(name: str) -> str:
    """A name as UTF-8 has it: file systems keep any bytes."""
    return os.fsencode(name).decode("utf-8", "replace")


def _is_skipped(name: str) -> bool:
    *folders, last = name.split("/")
    hidden = any(part.startswith(".") or part in _SKIPPED for part in folders)
    return hidden or last.startswith(".") or last in LICENCE_FILES


def _read_file(file: Path, name: str, form: str, root: Path, stated: Stated) -> Raw | Unread:
    try:
        if not file.resolve().is_relative_to(root.resolve()):
            return Unread(name, "a link that leads out of the folder")
        facts = file.stat()
        if not stat.S_ISREG(facts.st_mode):  # a pipe would be waited for without end
            return Unread(name, "not a regular file")
        if facts.st_size > LARGEST:
            return Unread(name, f"{facts.st_size / 2**20:.0f} MiB, over {LARGEST // 2**20}")
        data = file.read_bytes()
    except OSError as error:
        return Unread(name, f"cannot be read: {error.strerror or error}")
    changed = datetime.fromtimestamp(facts.st_mtime, UTC).date().isoformat()
    fallback = Stated(licence=folder_licence(file.parent, root), as_of=changed)
    source = stated.origin.rstrip("/") + "/" + name if stated.origin else name
    return Raw(name, data, form, source, stated, fallback)


@dataclass(frozen=True)
class Manifest:
    """Patterns with what is stated of the paths they fit; later ones win, `skip` leaves out."""

    entries: tuple[tuple[str, Stated, bool], ...]

    def of(self, name: str) -> Stated | None:
        """What is stated of a path; None if it is to be left out."""
        stated, skipped = Stated(), False
        for pattern, entry, skip in self.entries:
            if fnmatch.fnmatchcase(name, pattern):
                stated, skipped = entry.over(stated), skip
        return None if skipped else stated


def read_manifest(path: Path) -> Manifest | None:
    """Read `sources.yaml`: a list of {path: "glob", licence, as_of, expires, origin, skip}."""
    import yaml

    if not path.is_file():
        return None
    try:
        loaded = yaml.load(path.read_text("utf-8"), Loader=yaml.BaseLoader) or []
        entries = tuple(_entry(row) for row in loaded)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError, TypeError) as error:
        raise DataError(
            f"not a list of sources: {error}",
            where=str(path),
            fix='write rows like - {path: "*.md", licence: MIT, as_of: 2026-11-01}',
        ) from error
    return Manifest(entries)


def _entry(row: Any) -> tuple[str, Stated, bool]:
    if not isinstance(row, Mapping) or "path" not in row:
        raise ValueError("a row needs a path")
    if unknown := set(row) - {"path", "skip", *_KEYS}:
        raise ValueError(f"unknown key {sorted(unknown)[0]!r}")
    stated = Stated(**{key: str(row.get(key, "")) for key in _KEYS})
    return str(row["path"]), check_dates(stated), str(row.get("skip", "")).lower() == "true"


def check_dates(stated: Stated) -> Stated:
    """The same, its dates in ISO form; raises ValueError for what is no date."""
    from datetime import date

    dates = {key: value for key in ("as_of", "expires") if (value := getattr(stated, key))}
    return replace(stated, **{k: date.fromisoformat(v).isoformat() for k, v in dates.items()})
