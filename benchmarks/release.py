"""A full gate of the small specialist: 600 items, three quants, base and last release cached.

Contract: in a workspace that a quickstart has left (its rows and adapter are reused), an earlier
release is made from fewer rows and scored, and so is the base; then `denizen gate` is timed from
the trained adapter to the verdict, and once more with everything cached.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from denizen import __version__
from denizen.improve.mainline import MainLine
from denizen.improve.release import promote
from denizen.project import Workspace
from denizen.project.config import Config, parse_config

TARGETS = {"gate_seconds": 720, "regate_seconds": 5}
ITEMS = 600
SETTINGS = f"""
data: {{sample: {ITEMS}}}
export: {{ladder: "q8_0, q6_k"}}
"""
# What the release before was trained on.
EARLIER_ROWS = 480


def measure(workspace: Path) -> dict[str, Any]:
    """Prepare what is cached, then time the gate twice."""
    place = Workspace.open(workspace)
    config = parse_config(SETTINGS)
    _earlier_release(place, config)
    prepared = _line(place, config)
    prepared.go("base score")
    prepared = _line(place, config)
    prepared.go("export")
    release = prepared.scoring.last_release()
    assert release is not None
    prepared.scoring.file("previous", release)
    _forget_candidate(place, prepared, release.hash)
    settings = workspace / "release.yaml"
    settings.write_text(SETTINGS, "utf-8")
    first, seconds = _gate(workspace, settings)
    _, again = _gate(workspace, settings)
    report = json.loads((workspace / "report.json").read_text("utf-8"))
    return {
        "items": ITEMS,
        "quants": [row["quant"] for row in report["ladder"]][1:],
        "gate_seconds": round(seconds, 1),
        "regate_seconds": round(again, 1),
        "stages": {s["name"]: s["seconds"] for s in report["stages"]},
        "verdict": {k: first[k] for k in ("status", "sentence", "n", "look", "alpha")},
        "ladder": report["ladder"],
        "overall": report["overall"],
        "targets": TARGETS,
    }


def _line(place: Workspace, config: Config) -> MainLine:
    return MainLine(place, config, command="python -m benchmarks release")


def _earlier_release(place: Workspace, config: Config) -> None:
    """A specialist of fewer rows, made the release (by hand: it has passed no gate)."""
    fewer = config.data.model_copy(update={"rows": EARLIER_ROWS})
    alone = config.export.model_copy(update={"ladder": ""})
    line = _line(place, config.model_copy(update={"data": fewer, "export": alone}))
    (place.root / "release.json").unlink(missing_ok=True)
    line.go("export")
    gguf = line.exporting.gguf(alone.quant)
    record = line.scoring.file("previous", gguf)
    scores = line.stages.artefact(record, "scores")
    promote(place, gguf, scores, line.run.record.id, __version__)


def _forget_candidate(place: Workspace, prepared: MainLine, release: str) -> None:
    """Drop what the preparation made of the candidate: it belongs to the gate's time."""
    known = {release, prepared.files.hash}
    for artefact in prepared.store.all():
        made_of_it = artefact.kind == "gguf" and artefact.hash != release
        asked_of_it = artefact.kind in ("scores", "general")
        if made_of_it or (asked_of_it and artefact.inputs["model"] not in known):
            artefact.path.unlink(missing_ok=True)
    merged = prepared.stages.artefact(prepared.done["merge"], "merged")
    (merged.path / "config.json").unlink()
    shutil.rmtree(place.path("work"), ignore_errors=True)


def _gate(workspace: Path, settings: Path) -> tuple[dict[str, Any], float]:
    program = Path(sys.executable).with_name("denizen")
    command = [str(program), "gate", "--json", "-w", str(workspace), "-c", str(settings)]
    began = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    seconds = time.perf_counter() - began
    if done.returncode not in (0, 1, 3):
        raise SystemExit(done.stdout)
    verdict: dict[str, Any] = json.loads(done.stdout)
    return verdict, seconds
