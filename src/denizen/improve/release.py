"""The promoted release: which GGUF `ask` and `serve` answer from.

Contract: one small file in the workspace names the GGUF, its hash and the scores that passed the
gate; it is replaced only by a PASS, and the file it names is verified before use.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from denizen.project import (
    Artefact,
    ArtefactError,
    Store,
    Workspace,
    atomic_write_text,
)

_NAME = "release.json"


@dataclass(frozen=True)
class Release:
    """What was promoted, by which run."""

    gguf_hash: str
    scores_hash: str
    run_id: str
    version: str


def promote(
    workspace: Workspace, gguf: Artefact, scores: Artefact, run_id: str, version: str
) -> Release:
    """Make this GGUF the release."""
    release = Release(gguf.hash, scores.hash, run_id, version)
    atomic_write_text(workspace.path(_NAME), json.dumps(asdict(release), indent=1))
    return release


def current_release(workspace: Workspace) -> Release | None:
    """The release, or None if nothing has passed the gate yet."""
    path = workspace.path(_NAME)
    if not path.exists():
        return None
    try:
        return Release(**json.loads(path.read_text("utf-8")))
    except (ValueError, TypeError) as error:
        raise ArtefactError(
            f"the release record is unreadable: {error}",
            where=str(path),
            fix="delete it and run `denizen quickstart`; finished stages are kept",
        ) from error


def release_gguf(workspace: Workspace) -> Path:
    """The released GGUF, verified; raises ArtefactError if there is none."""
    release = current_release(workspace)
    if release is None:
        raise ArtefactError(
            "no release: nothing has passed the gate here yet",
            where=str(workspace.root),
            fix="run `denizen quickstart`, or name a file with --gguf",
        )
    return Store(workspace).get(release.gguf_hash).path
