"""A file of the store as the candidate: judged as it lies there, with the records of its making.

Contract: only a GGUF whose whole lineage is on record (rows, adapter, merged model, base) is
judged; one that was edited, was made elsewhere, or stems from another base is refused in one line.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from denizen.project import Artefact, ArtefactError, list_runs, sha256_file
from denizen.project.store import StageRecord

if TYPE_CHECKING:
    from denizen.improve.mainline import MainLine

# Stages whose records tell how a GGUF was made; the newest that made it counts.
MADE_BY = ("data", "train", "merge", "export")


def find_candidate(line: MainLine, named: str) -> Artefact:
    """The GGUF that a path or a hash names; raises ArtefactError."""
    path = Path(named)
    digest = sha256_file(path) if path.is_file() else named
    found = [a for a in line.store.all() if a.kind == "gguf" and a.hash.startswith(digest)]
    if len({a.hash for a in found}) != 1:
        raise ArtefactError(
            "a file without lineage cannot be judged: this workspace did not make it",
            where=named,
            fix="judge what `denizen export` made here (`denizen runs show` lists the hashes)",
        )
    return found[0].verified()


def adopt(line: MainLine, gguf: Artefact) -> None:
    """Fill `line.done` with the records of the file's making; raises ArtefactError."""
    merged = line.store.get(gguf.inputs.get("merged", "none"))
    if merged.inputs.get("base") != line.files.hash:
        raise ArtefactError(
            f"{gguf.path.name} is a quant of another model than {line.entry.id}",
            where=f"made from base {str(merged.inputs.get('base'))[:12]}",
            fix="set model.base to the base it was tuned from",
        )
    line.done["export"] = _record(line, "gguf", gguf.hash)
    line.done["merge"] = _record(line, "merged", merged.hash)
    adapter = line.store.get(merged.inputs["adapter"])
    line.done["train"] = _record(line, "adapter", adapter.hash)
    line.done["data"] = _record(line, "rows", adapter.inputs["rows"])
    line.exporting.rungs = (gguf.inputs["quant"],)
    line.exporting.files = ()


def _record(line: MainLine, output: str, digest: str) -> StageRecord:
    for run in list_runs(line.workspace):
        for stage in run.stages:
            if stage.outputs.get(output) == digest:
                return stage
    raise ArtefactError(
        f"no run on record made the {output} {digest[:12]}",
        where=str(line.workspace.root / "runs"),
        fix="run `denizen gate` without --gguf: it makes and judges anew",
    )
