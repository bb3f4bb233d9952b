"""One writer at a time: a lock beside a file that several processes append to or replace.

Contract: `exclusive(path, kept)` waits for the lock and holds it while the block runs; the folder
is made if it is not there.  What cannot be written raises WorkspaceError, or DiskFullError, in one
line.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from denizen.project.errors import WorkspaceError, from_os_error


@contextmanager
def exclusive(path: Path, kept: str) -> Iterator[None]:
    """Hold the lock file `path`; `kept` says in an error what is kept there."""
    import fcntl

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+")
    except OSError as error:
        raise from_os_error(error, path) or WorkspaceError(
            f"cannot keep {kept} here, {error.strerror}",
            where=str(path.parent),
            fix="choose another workspace",
        ) from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
