"""Files appear whole or not at all: written beside their place, synced, then renamed.

A kill at any moment leaves the old file or the new one, and at worst a `.part` file that
`sweep_parts` removes.  A full disk or a refused path becomes a typed error.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from denizen.project.errors import WorkspaceError, from_os_error

_SUFFIX = ".part"


@contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """A temporary path (file or folder, to be made by the caller) renamed to `path` on success."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}{_SUFFIX}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise WorkspaceError(
            "a file stands where a folder is needed",
            where=str(path.parent),
            fix="choose another place",
        ) from error
    except OSError as error:
        raise from_os_error(error, path) or WorkspaceError(
            f"cannot make this folder, {error.strerror}",
            where=str(path.parent),
            fix="choose another place",
        ) from error
    try:
        yield temporary
        _sync(temporary)
        if temporary.is_dir() and path.is_dir():
            shutil.rmtree(path)
        os.replace(temporary, path)
        _sync_one(path.parent)
    except OSError as error:
        _remove(temporary)
        typed = from_os_error(error, path)
        if typed is not None:
            raise typed from error
        raise
    except BaseException:
        _remove(temporary)
        raise


def atomic_write_bytes(path: Path | str, data: bytes) -> Path:
    """Write bytes whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)
    return Path(path)


def atomic_write_text(path: Path | str, text: str) -> Path:
    """Write text (UTF-8) whole or not at all."""
    return atomic_write_bytes(path, text.encode("utf-8"))


def sweep_parts(folder: Path) -> int:
    """Remove what a killed process left; returns how many."""
    parts = list(folder.rglob(f".*{_SUFFIX}"))
    for part in parts:
        _remove(part)
    return len(parts)


def _sync(path: Path) -> None:
    """Bytes on the disk before the name: else a power cut can leave a named, empty file."""
    if path.is_dir():
        for inner in path.rglob("*"):
            _sync_one(inner)
    _sync_one(path)


def _sync_one(path: Path) -> None:
    # Read-only: a copied file may carry a mode that forbids writing.
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
