"""A user's own holdout, frozen: written once with a seal, and refused if it was edited since.

Contract: `freeze(items, path)` writes JSON lines, each with the holdout's canary, and a seal beside
them (`<name>.seal.json`: hashes of the file, of every item and of the order, date, count, canary).
`thaw(path)` gives the items back, or raises ArtefactError that says what changed.  The seal shows
an accident or a careless edit; who edits both files is caught by `expected`, the seal's hash as
some other place (a run's lineage, a verdict, version control) recorded it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from denizen.data.canary import canary_of, plant, uproot
from denizen.project.atomic import atomic_write_text
from denizen.project.errors import ArtefactError, DataError
from denizen.project.hashing import content_hash, sha256_bytes

_KIND = "denizen.seal"
_FORMAT = 1
_NAMED = 3  # changed items that an error names


@dataclass(frozen=True)
class Seal:
    """What a holdout was when it was frozen.

    `content` is the hash of the items in order, without canary: the holdout's name everywhere
    else.  `file` is the SHA-256 of the bytes, `items` the hash of each item by id, in file order.
    """

    content: str
    file: str
    items: Mapping[str, str]
    canary: str
    frozen_at: str
    kind: str = _KIND
    format: int = _FORMAT

    @property
    def count(self) -> int:
        """How many items."""
        return len(self.items)

    @property
    def hash(self) -> str:
        """Hash of the seal itself: record it where the holdout's owner cannot edit it."""
        return content_hash(asdict(self))


@dataclass(frozen=True)
class Frozen:
    """A thawed holdout: its items as plain dictionaries, and the seal they match."""

    items: tuple[dict[str, Any], ...]
    seal: Seal


def seal_path(path: Path) -> Path:
    """Where the seal of a holdout lies: beside it."""
    return path.with_name(path.name + ".seal.json")


def freeze(items: Sequence[Any], path: Path, *, now: datetime | None = None) -> Seal:
    """Write items (dictionaries, or with `to_json`) and their seal; each needs a unique `id`.

    Raises DataError for no items, a missing or repeated id or an item that is not JSON, and
    ArtefactError if another holdout is frozen there: an exam is frozen once, a new version of it
    is another file.  Freezing the same items again changes nothing.
    """
    records = [_record(item, number) for number, item in enumerate(items, 1)]
    if not records:
        raise DataError(
            "no items to freeze", where=str(path), fix="a holdout needs at least one item"
        )
    hashes: dict[str, str] = {}
    for record in records:
        if record["id"] in hashes:
            raise DataError(
                f"item {record['id']!r} occurs twice", where=str(path), fix="give each its own id"
            )
        hashes[record["id"]] = content_hash(record)
    content = content_hash(records)
    if seal_path(path).exists():
        known = thaw(path).seal
        if known.content == content:
            return known
        raise ArtefactError(
            f"another holdout was frozen here on {known.frozen_at}",
            where=str(path),
            fix="freeze the new version under a new name",
        )
    if path.exists():
        raise ArtefactError(
            "a file stands here already", where=str(path), fix="freeze under a new name"
        )
    canary = canary_of(content)
    text = "".join(_line(record) for record in plant(records, canary))
    moment = (now or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="seconds")
    seal = Seal(content, sha256_bytes(text.encode("utf-8")), hashes, canary, moment)
    # The items first: a kill between the two leaves no seal, and what has none is not frozen.
    atomic_write_text(path, text)
    atomic_write_text(seal_path(path), _seal_text(seal))
    return seal


def thaw(path: Path, *, expected: str | None = None) -> Frozen:
    """The items of a frozen holdout; raises ArtefactError if anything is not as it was sealed.

    `expected`: the seal's hash as recorded elsewhere.
    """
    seal = _read_seal(seal_path(path))
    if expected is not None and seal.hash != expected:
        raise ArtefactError(
            f"this is not the holdout that was recorded: seal {seal.hash[:16]}, "
            f"expected {expected[:16]}",
            where=str(path),
            fix="bring back the recorded files; an edited exam proves nothing",
        )
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ArtefactError(
            f"cannot read the frozen holdout: {error.strerror}",
            where=str(path),
            fix="bring back the file that was frozen",
        ) from error
    if sha256_bytes(data) != seal.file:
        raise ArtefactError(
            f"the holdout was edited after it was frozen on {seal.frozen_at}: "
            f"{_changes(data, seal)}",
            where=str(path),
            fix="bring back the frozen file, or freeze the new version under a new name and "
            "score every system on it again",
        )
    records = tuple(uproot(json.loads(line)) for line in data.decode("utf-8").splitlines())
    if content_hash(list(records)) != seal.content:
        raise ArtefactError(
            "the seal does not belong to these items",
            where=str(seal_path(path)),
            fix="bring back the seal that was written with them",
        )
    return Frozen(records, seal)


def _record(item: Any, number: int) -> dict[str, Any]:
    data = item.to_json() if hasattr(item, "to_json") else item
    where = f"item {number}"
    if not isinstance(data, Mapping) or not isinstance(data.get("id"), str) or not data["id"]:
        raise DataError("an item without an id", where=where, fix="give each item a text `id`")
    try:
        # As it will be read again: tuples are lists, and NaN is no JSON.
        plain: dict[str, Any] = json.loads(json.dumps(dict(data), allow_nan=False))
        json.dumps(plain, ensure_ascii=False).encode("utf-8")
    except (TypeError, ValueError) as error:
        raise DataError(
            f"an item that is not JSON: {error}", where=where, fix="use plain values"
        ) from error
    return plain


def _line(record: Mapping[str, Any]) -> str:
    # Separators that other readers take for line ends stay escaped.
    text = json.dumps(record, ensure_ascii=False, sort_keys=True)
    for mark in ("\u0085", "\u2028", "\u2029"):
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return text + "\n"


def _seal_text(seal: Seal) -> str:
    return json.dumps({**asdict(seal), "seal": seal.hash}, indent=1) + "\n"


def _read_seal(path: Path) -> Seal:
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise ArtefactError(
            "this holdout has no seal: it was never frozen, or the seal was lost",
            where=str(path),
            fix="freeze it before the first run, or bring the seal back",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ArtefactError(
            f"cannot read the seal: {getattr(error, 'strerror', None) or 'not text'}",
            where=str(path),
            fix="bring back the seal that was written with the holdout",
        ) from error
    try:
        data = json.loads(text)
        recorded = data.pop("seal")
        seal = Seal(**data)
        whole = seal.kind == _KIND and seal.format == _FORMAT and seal.hash == recorded
    except (ValueError, TypeError, AttributeError, KeyError):
        whole = False
    if not whole:
        raise ArtefactError(
            "the seal was edited or cut",
            where=str(path),
            fix="bring back the seal that was written with the holdout",
        )
    return seal


def _changes(data: bytes, seal: Seal) -> str:
    """What differs from the seal, as far as hashes can tell."""
    found: dict[str, str] = {}
    unreadable = 0
    for line in data.decode("utf-8", "replace").split("\n"):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            key = record["id"]
            # A line whose canary was changed or taken out is an edited line.
            again = f"{key} again" if key in found else key
            whole = record == plant([uproot(record)], seal.canary)[0]
            found[again] = content_hash(uproot(record)) if whole else ""
        except (ValueError, TypeError, KeyError, AttributeError):
            unreadable += 1
    edited = [key for key in seal.items if key in found and found[key] != seal.items[key]]
    removed = [key for key in seal.items if key not in found]
    added = [key for key in found if key not in seal.items]
    parts = [_count(edited, "edited"), _count(removed, "removed"), _count(added, "added")]
    parts += [f"{unreadable} unreadable lines"] if unreadable else []
    if not any(parts):
        reordered = list(found) != list(seal.items)
        return "the items stand in another order" if reordered else "only spaces or line ends"
    return ", ".join(filter(None, parts))


def _count(keys: list[str], what: str) -> str:
    if not keys:
        return ""
    named = ", ".join(key[:60] for key in keys[:_NAMED])
    more = ", ..." if len(keys) > _NAMED else ""
    return f"{len(keys)} {what} ({named}{more})"
