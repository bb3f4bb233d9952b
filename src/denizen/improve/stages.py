"""A run of stages: skip what is already made, time what is not, keep what is done.

Contract: a stage is named, has the hashes it depends on (code included) and a body that returns
outputs and figures.  A finished stage with intact outputs is reused by any later run; a killed one
starts again from its own partial work.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from denizen.project import Artefact, Bar, Run, Store, content_hash
from denizen.project.store import StageRecord

Body = Callable[[Bar], tuple[Mapping[str, Artefact], Mapping[str, Any]]]


class Stages:
    """The stages of one run."""

    def __init__(self, run: Run, store: Store, *, quiet: bool, say: Callable[[str], None]) -> None:
        self.run, self.store = run, store
        self._quiet, self._say = quiet, say

    def work_dir(self, name: str, inputs: Mapping[str, str]) -> Path:
        """A folder for partial work that survives a kill, named by what goes in."""
        key = content_hash([name, dict(inputs)])[:16]
        path = self.store.workspace.path("work", f"{name.replace(' ', '-')}-{key}")
        path.mkdir(parents=True, exist_ok=True)
        return path

    def do(self, name: str, inputs: Mapping[str, str], total: float, body: Body) -> StageRecord:
        """Run or reuse a stage."""
        reused = self.run.reuse(name, inputs)
        if reused is not None:
            self._say(f"{name}: unchanged, reused")
            return reused
        began = time.monotonic()
        with Bar(name, total, self._quiet).shown() as bar:
            outputs, figures = body(bar)
        hashes = {key: artefact.hash for key, artefact in outputs.items()}
        return self.run.finish_stage(name, inputs, hashes, figures, time.monotonic() - began)

    def artefact(self, stage: StageRecord, output: str) -> Artefact:
        """An output of a stage, verified."""
        return self.store.get(stage.outputs[output])
