"""The workspace: one folder that holds every artefact, run and report of a project.

Contract: `Workspace.open` makes the folder or refuses with one clear line; `locked()` keeps two
processes from writing at once; what a killed process left behind is swept when the lock is taken.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from denizen.project.atomic import sweep_parts
from denizen.project.errors import WorkspaceError, from_os_error

ENVIRONMENT = "DENIZEN_WORKSPACE"
DEFAULT = ".denizen"


@dataclass(frozen=True)
class Workspace:
    """A folder that was checked to be writable."""

    root: Path

    @staticmethod
    def open(path: Path | str | None = None) -> Workspace:
        """`path`, else $DENIZEN_WORKSPACE, else ./.denizen; raises WorkspaceError."""
        root = Path(path or os.environ.get(ENVIRONMENT) or DEFAULT).expanduser()
        try:
            root.mkdir(parents=True, exist_ok=True)
            probe = root / f".probe-{os.getpid()}"
            probe.touch()
            probe.unlink()
        except (FileExistsError, NotADirectoryError) as error:
            raise WorkspaceError(
                "the workspace is not a folder", where=str(root), fix="choose another --workspace"
            ) from error
        except OSError as error:
            raise from_os_error(error, root) or error from error
        return Workspace(root.resolve())

    def path(self, *parts: str) -> Path:
        """A path inside the workspace."""
        return self.root.joinpath(*parts)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the workspace for writing; raises WorkspaceError if another process does."""
        import fcntl

        with self.path("lock").open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                holder = file.read().strip() or "unknown"
                raise WorkspaceError(
                    f"another denizen (process {holder}) is working here",
                    where=str(self.root),
                    fix="wait for it, or use another --workspace",
                ) from None
            file.seek(0)
            file.truncate()
            file.write(str(os.getpid()))
            file.flush()
            sweep_parts(self.root)
            yield
