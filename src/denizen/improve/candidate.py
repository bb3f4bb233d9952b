"""A file of the store as the candidate: judged as it lies there, with the records of its making.

Contract: only a GGUF whose whole lineage is on record (rows, adapter, merged model, base) is
judged; one that was edited, was made elsewhere, stems from another base, or whose rows were never
held against this exam is refused in one line.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from denizen.data import load_holdout
from denizen.project import Artefact, ArtefactError, content_hash, list_runs, sha256_file
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
    line.done["data"] = _data(line, adapter.inputs["rows"])
    line.exporting.rungs = (gguf.inputs["quant"],)
    line.exporting.files = ()


def _data(line: MainLine, digest: str) -> StageRecord:
    """The record of the rows, checked against this very exam (rows from outside: and the carried
    one); a check against another says nothing of this one."""
    carried = load_holdout()
    own = [item for item in line.holdout if item not in carried]
    checked = {
        content_hash([item.to_json() for item in exam]) for exam in (line.holdout, carried + own)
    }
    found = _records(line, "rows", digest)
    for stage in found:
        if stage.inputs.get("holdout") in checked:
            return stage
    if not found:
        raise _unmade(line, "rows", digest)
    raise ArtefactError(
        "the rows it was trained on were checked against another exam than this one",
        where="evaluate.holdout, data.families",
        fix="set both as they were then, or run `denizen gate` without --gguf: it checks the rows",
    )


def _record(line: MainLine, output: str, digest: str) -> StageRecord:
    for stage in _records(line, output, digest):
        return stage
    raise _unmade(line, output, digest)


def _records(line: MainLine, output: str, digest: str) -> list[StageRecord]:
    """Every stage on record with that output, the newest first."""
    stages = (stage for run in list_runs(line.workspace) for stage in run.stages)
    return [stage for stage in stages if stage.outputs.get(output) == digest]


def _unmade(line: MainLine, output: str, digest: str) -> ArtefactError:
    return ArtefactError(
        f"no run on record made the {output} {digest[:12]}",
        where=str(line.workspace.root / "runs"),
        fix="run `denizen gate` without --gguf: it makes and judges anew",
    )
