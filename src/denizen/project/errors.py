"""Typed errors: one clear line that says what is wrong, where, and what to do.

Every error a user can cause derives from DenizenError and carries the fix.  The command line
prints it as one line and exits with 2; nothing is left half-written.
"""

from __future__ import annotations

import errno
import shutil
from pathlib import Path


class DenizenError(Exception):
    """What went wrong, where, and what to do about it."""

    exit_code = 2

    def __init__(self, what: str, *, where: str | None = None, fix: str | None = None) -> None:
        self.what, self.where, self.fix = what, where, fix
        super().__init__(what)

    def __str__(self) -> str:
        where = f" ({self.where})" if self.where else ""
        fix = f": {self.fix}" if self.fix else ""
        return " ".join(f"{self.what}{where}{fix}".split())

    def to_json(self) -> dict[str, str | None]:
        """For `--json`."""
        return {
            "error": type(self).__name__,
            "what": self.what,
            "where": self.where,
            "fix": self.fix,
        }


class ConfigError(DenizenError):
    """denizen.yaml is wrong."""


class WorkspaceError(DenizenError):
    """The workspace cannot be used: unwritable, locked, or not one."""


class ArtefactError(DenizenError):
    """A file is missing or is not the file it should be (hash mismatch)."""


class DataError(DenizenError):
    """Training or evaluation data is unusable: empty, malformed, too long."""


class LeakError(DataError):
    """A holdout row, or one too like it, is in the training data."""


class TemplateError(DenizenError):
    """A chat template that does not mark the assistant's own tokens."""


class TrainingError(DenizenError):
    """Training went wrong: NaN, no gradient, a budget exceeded."""


class DiskFullError(DenizenError):
    """The disk filled; nothing was left half-written."""


def from_os_error(error: OSError, path: Path) -> DenizenError | None:
    """The typed error for a full disk or a refused path; None for any other OSError."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        free = _free_mib(path)
        return DiskFullError(
            f"the disk is full, {free} MiB free",
            where=str(path),
            fix="free some space and run the same command again; finished stages are kept",
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return WorkspaceError(
            "cannot write here",
            where=str(path),
            fix="choose another place with --workspace DIR or make this one writable",
        )
    return None


def _free_mib(path: Path) -> int:
    while not path.exists() and path != path.parent:
        path = path.parent
    try:
        return shutil.disk_usage(path).free // 2**20
    except OSError:
        return 0
