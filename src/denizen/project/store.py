"""Content-addressed artefacts and runs: what was made, from what, by which command.

Contract: an artefact is a file or folder named by its content hash, with a record of its inputs'
hashes (lineage); a run is a record of stages.  A stage whose inputs are unchanged and whose
outputs still verify is not run again, so a killed run resumes where it was.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from denizen.project.atomic import atomic_path, atomic_write_text
from denizen.project.errors import ArtefactError
from denizen.project.hashing import content_hash, sha256_tree
from denizen.project.workspace import Workspace


@dataclass(frozen=True)
class Artefact:
    """One stored thing: its kind, hash, path and the hashes it was made from."""

    kind: str
    hash: str
    path: Path
    inputs: Mapping[str, str]
    meta: Mapping[str, Any]

    def verified(self) -> Artefact:
        """Itself, if the bytes still hash as recorded; raises ArtefactError otherwise."""
        if not self.path.exists():
            raise ArtefactError(
                f"{self.kind} {self.hash[:12]} is gone",
                where=str(self.path),
                fix="run the command again to make it anew",
            )
        found = sha256_tree(self.path)
        if found != self.hash:
            raise ArtefactError(
                f"{self.kind} is corrupt: hash {found[:12]}, expected {self.hash[:12]}",
                where=str(self.path),
                fix="delete it and run the command again",
            )
        return self


class Store:
    """The artefacts of a workspace, under `artefacts/<kind>-<hash>`."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        # What was read and found whole, as it lay on the disk then.
        self._whole: dict[Path, tuple[Any, ...]] = {}

    @contextmanager
    def making(
        self, kind: str, name: str, inputs: Mapping[str, str], meta: Mapping[str, Any] | None = None
    ) -> Iterator[tuple[Path, list[Artefact]]]:
        """Yields (temporary path to fill, list that gets the Artefact when the block ends)."""
        made: list[Artefact] = []
        holder = self.workspace.path("artefacts", f".{kind}-{os.getpid()}-{name}.part")
        with atomic_path(holder) as temporary:
            yield temporary, made
        digest = sha256_tree(holder)
        final = self.workspace.path("artefacts", f"{kind}-{digest[:16]}", name)
        with atomic_path(final) as place:
            os.replace(holder, place)
        artefact = Artefact(kind, digest, final, dict(inputs), dict(meta or {}))
        atomic_write_text(final.parent / "record.json", json.dumps(_record(artefact), indent=1))
        made.append(artefact)

    def put_text(
        self,
        kind: str,
        name: str,
        text: str,
        inputs: Mapping[str, str],
        meta: Mapping[str, Any] | None = None,
    ) -> Artefact:
        """Store a text file."""
        with self.making(kind, name, inputs, meta) as (path, made):
            path.write_text(text, "utf-8")
        return made[0]

    def get(self, prefix: str) -> Artefact:
        """The artefact whose hash starts so; raises ArtefactError if there is not exactly one."""
        found = [a for a in self.all() if a.hash.startswith(prefix)]
        # Two kinds may hold the same bytes: then either will do, if it is intact.
        hashes = {a.hash for a in found}
        if len(hashes) != 1:
            raise ArtefactError(
                f"{len(hashes) or 'no'} artefacts match {prefix!r}",
                where=str(self.workspace.root),
                fix="`denizen runs show` lists the hashes",
            )
        for artefact in found[:-1]:
            with suppress(ArtefactError):
                return self._verified(artefact)
        return self._verified(found[-1])

    def _verified(self, artefact: Artefact) -> Artefact:
        """Verified once; read again if any file's size, time or inode is another than then."""
        now = _state(artefact.path)
        if self._whole.get(artefact.path) != now or not now:
            artefact.verified()
            self._whole[artefact.path] = now
        return artefact

    def all(self) -> list[Artefact]:
        """Every artefact on record."""
        found = []
        for path in sorted(self.workspace.root.glob("artefacts/*/record.json")):
            with _readable(path):
                data = json.loads(path.read_text("utf-8"))
                kind, digest, name = data["kind"], data["hash"], data["name"]
                found.append(
                    Artefact(kind, digest, path.parent / name, data["inputs"], data["meta"])
                )
        return found

    def lineage(self, digest: str) -> list[Artefact]:
        """The artefact and everything it was made from, nearest first."""
        known = {a.hash: a for a in self.all()}
        order: list[Artefact] = []
        queue = [digest]
        while queue:
            artefact = known.get(queue.pop(0))
            if artefact is not None and artefact not in order:
                order.append(artefact)
                queue.extend(artefact.inputs.values())
        return order


def _state(path: Path) -> tuple[Any, ...]:
    """Name, size, time of change and inode of every file; empty if there is none."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    found = []
    for file in files:
        with suppress(FileNotFoundError):
            seen = file.stat()
            found.append((str(file), seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino))
    return tuple(found)


def _record(artefact: Artefact) -> dict[str, Any]:
    return {
        "kind": artefact.kind,
        "hash": artefact.hash,
        "name": artefact.path.name,
        "inputs": dict(artefact.inputs),
        "meta": dict(artefact.meta),
    }


@dataclass
class StageRecord:
    """One stage of a run: what went in, what came out, how long it took, what was measured."""

    name: str
    key: str
    inputs: dict[str, str]
    outputs: dict[str, str] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    reused: bool = False


@dataclass
class RunRecord:
    """One command from start to finish."""

    id: str
    command: str
    config: dict[str, Any]
    machine: dict[str, Any]
    started: str
    status: str = "running"
    finished: str | None = None
    stages: list[StageRecord] = field(default_factory=list)


class Run:
    """A run being recorded; every finished stage is on disk before the next begins."""

    def __init__(self, store: Store, record: RunRecord) -> None:
        self.store, self.record = store, record

    @staticmethod
    def start(store: Store, command: str, config: dict[str, Any], machine: dict[str, Any]) -> Run:
        """A new run; earlier runs that were killed are marked as interrupted."""
        for record in list_runs(store.workspace):
            if record.status == "running":
                record.status = "interrupted"
                _save(store.workspace, record)
        now = datetime.now(UTC)
        key = content_hash([command, config, now.isoformat(), os.getpid()])[:6]
        record = RunRecord(
            f"{now:%Y%m%d-%H%M%S}-{key}",
            command,
            config,
            machine,
            now.isoformat("T", "microseconds"),
        )
        run = Run(store, record)
        run.save()
        return run

    def reuse(self, name: str, inputs: Mapping[str, str]) -> StageRecord | None:
        """A finished stage of any earlier run with the same inputs and intact outputs."""
        key = content_hash([name, dict(inputs)])
        for record in list_runs(self.store.workspace):
            for stage in record.stages:
                if stage.key == key and self._intact(stage):
                    again = replace(stage, reused=True)
                    self.record.stages.append(again)
                    self.save()
                    return again
        return None

    def finish_stage(
        self,
        name: str,
        inputs: Mapping[str, str],
        outputs: Mapping[str, str],
        figures: Mapping[str, Any],
        seconds: float,
    ) -> StageRecord:
        """Record a finished stage."""
        key = content_hash([name, dict(inputs)])
        stage = StageRecord(
            name, key, dict(inputs), dict(outputs), dict(figures), round(seconds, 2)
        )
        self.record.stages.append(stage)
        self.save()
        return stage

    def close(self, status: str) -> None:
        """Mark the run done, failed or interrupted."""
        self.record.status = status
        self.record.finished = datetime.now(UTC).isoformat("T", "seconds")
        self.save()

    def save(self) -> None:
        """Write run.json."""
        _save(self.store.workspace, self.record)

    def _intact(self, stage: StageRecord) -> bool:
        try:
            for digest in stage.outputs.values():
                self.store.get(digest)
        except ArtefactError:
            return False
        return True


def list_runs(workspace: Workspace) -> list[RunRecord]:
    """All runs, newest first."""
    found = []
    for path in workspace.root.glob("runs/*/run.json"):
        with _readable(path):
            data = json.loads(path.read_text("utf-8"))
            data["stages"] = [StageRecord(**stage) for stage in data["stages"]]
            found.append(RunRecord(**data))
    # By the moment and not by the id, whose tail is random within a second.
    return sorted(found, key=lambda record: (record.started, record.id), reverse=True)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """A record that was edited or comes from another version is one clear line."""
    try:
        yield
    except (ValueError, TypeError, KeyError) as error:
        raise ArtefactError(
            "the record cannot be read", where=str(path), fix="delete that folder and run again"
        ) from error


def find_run(workspace: Workspace, prefix: str) -> RunRecord:
    """The run whose id starts or ends so ("last" is the newest); raises ArtefactError."""
    runs = list_runs(workspace)
    if prefix == "last" and runs:
        return runs[0]
    found = [r for r in runs if r.id.startswith(prefix) or r.id.endswith(prefix)]
    if len(found) != 1:
        raise ArtefactError(
            f"{len(found) or 'no'} runs match {prefix!r}",
            where=str(workspace.root),
            fix="`denizen runs list` shows the ids",
        )
    return found[0]


def _save(workspace: Workspace, record: RunRecord) -> None:
    path = workspace.path("runs", record.id, "run.json")
    # Not asdict: a record is written after every stage, and nothing needs a deep copy of it.
    data = {**vars(record), "stages": [vars(stage) for stage in record.stages]}
    atomic_write_text(path, json.dumps(data, indent=1))
