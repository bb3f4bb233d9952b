"""The probe: a few real steps of the very recipe on the run's own batches, in a fresh process.

Contract: one warm-up step, then a light and a heavy batch by turns, then one step that rounds
weights if the run will.  What it writes is thrown away.  Reinforcement learning, whose batches
cannot be weighed beforehand, takes whole rounds of its first batches, the first one as warm-up.
"""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from denizen.project import errors
from denizen.project.atomic import atomic_write_text
from denizen.train.checkpoints import TrainingPoint
from denizen.train.forecast.energy import EnergyMeter, Power
from denizen.train.guards.base import Quiet

if TYPE_CHECKING:
    from denizen.train.recipe import Job

HEAVY, LIGHT, ROUNDED = "heavy", "light", "rounded"
_OFFLINE = (HEAVY, LIGHT, HEAVY, LIGHT, HEAVY, LIGHT)
# Of an online objective: rounds of `rl.updates` steps; the first is warm-up.
_ROUNDS = 3
_FACTS = ("peak", "checkpoint", "adapter", "trainable", "precision", "checkpointing")


@dataclass(frozen=True)
class Probe:
    """What was measured; times in seconds, sizes in bytes.

    `steps` are (batch, seconds) of every step, the warm-up first; `warm` is from the start of the
    process's work to the end of that step.
    """

    warm: float
    steps: tuple[tuple[int, float], ...]
    saves: tuple[float, ...]
    rounded: float | None
    final: float
    peak: int
    checkpoint: int
    adapter: int
    trainable: int
    precision: str
    checkpointing: bool
    power: Power

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        return asdict(self)


def probe(
    job: Job,
    batches: Sequence[list[int]],
    costs: Sequence[float],
    folder: Path,
    on_step: Callable[[int, int], None] = lambda *_: None,
) -> Probe:
    """Probe a run that walks `batches` (each weighs `costs`); `folder` is for scratch.

    `job.work` and `job.adapter` are not touched.  Raises what the recipe raises.
    """
    chosen, save_steps, rounds = _plan(job, batches, costs)
    train = job.config.train.model_copy(
        update={
            "max_steps": 0,
            "warmup_steps": 0,
            "save_steps": save_steps,
            # Rounding happens at a save's step: in the probe at the last one only.
            "rounded_from": save_steps / len(chosen),
        }
    )
    small = replace(
        job,
        config=job.config.model_copy(update={"train": train}),
        work=folder / "work",
        adapter=folder / "adapter",
        batches=[batches[i] for i in chosen],
        rounding=job.rounding if rounds else None,
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "job.pickle").write_bytes(pickle.dumps(small))
    found = _run(folder, len(chosen), on_step)
    ends: list[float] = found["ends"]
    # A step begins where the one before it, with its save, ended.
    begun = [max(e, found["saved"].get(str(n), e)) for n, e in enumerate(ends, 1)]
    times = [ends[0], *(end - start for start, end in zip(begun, ends[1:], strict=False))]
    saves = [saved - ends[int(n) - 1] for n, saved in found["saved"].items()]
    return Probe(
        warm=ends[0],
        steps=tuple(zip(chosen, times, strict=True)),
        saves=tuple(saves),
        rounded=times[-1] if rounds else None,
        final=found["seconds"] - begun[-1],
        power=Power(**found["power"]),
        **{name: found[name] for name in _FACTS},
    )


def _plan(
    job: Job, batches: Sequence[list[int]], costs: Sequence[float]
) -> tuple[list[int], int, bool]:
    """Which batches are probed, steps between saves, and whether the last step rounds."""
    from denizen.train.refusals import ONLINE

    if job.config.train.objective in ONLINE:
        count = min(len(batches), _ROUNDS * job.config.rl.updates)
        return list(range(count)), max(1, count - 1), False
    order = sorted(range(len(batches)), key=lambda i: costs[i])
    places = {HEAVY: order[-1], LIGHT: order[len(order) // 10]}
    rounds = job.rounding is not None and job.config.train.rounded_from < 1
    return [places[kind] for kind in _OFFLINE], len(_OFFLINE) - 1, rounds


def _run(folder: Path, steps: int, on_step: Callable[[int, int], None]) -> dict[str, Any]:
    log = folder / "log.txt"
    with log.open("wb") as err:
        child = subprocess.Popen(
            [sys.executable, "-m", "denizen.train.forecast.probe", str(folder)],
            stdout=subprocess.PIPE,
            stderr=err,
            text=True,
        )
        assert child.stdout is not None
        try:
            for line in child.stdout:
                if line.startswith("step "):
                    on_step(int(line.split()[1]), steps)
            child.wait()
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
            child.stdout.close()
    result = folder / "probe.json"
    if not result.exists():
        # The folder is scratch: what the log says must be said here.
        said = [line for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
        last = f": {said[-1].strip()[:200]}" if said else ""
        raise errors.TrainingError(
            f"the probe ended with code {child.returncode}{last}",
            where="forecast",
            fix="mend that, or forecast with --no-probe",
        )
    found: dict[str, Any] = json.loads(result.read_text("utf-8"))
    if "error" in found:
        kind = getattr(errors, found["error"], errors.TrainingError)
        raise kind(found["what"], where=found["where"], fix=found["fix"])
    return found


class _Watch(Quiet):
    """The last guard of the probe's run: sees the end of every step and of every save."""

    name = "forecast probe"

    def __init__(self, began: float) -> None:
        self._began, self.ends, self.saved = began, list[float](), dict[int, float]()

    def after_step(self, point: TrainingPoint) -> str | None:
        self.ends.append(time.monotonic() - self._began)
        print(f"step {point.step}", flush=True)
        return None

    def at_save(self, model: Any, step: int) -> str | None:
        self.saved[step] = time.monotonic() - self._began
        return None

    def summary(self) -> dict[str, Any]:
        return {}


def _work(folder: Path) -> None:
    """What the fresh process runs."""
    from denizen.train.recipe import run_job

    out = folder / "probe.json"
    began = time.monotonic()
    try:
        # Our own parent wrote it a moment ago.
        job = pickle.loads((folder / "job.pickle").read_bytes())
        watch, meter = _Watch(began), EnergyMeter()
        result = run_job(replace(job, guards=(*job.guards, watch)), lambda *_: None)
        power = meter.power()
    except errors.DenizenError as error:
        atomic_write_text(out, json.dumps(error.to_json()))
        return
    except OSError as error:
        typed = errors.from_os_error(error, folder)
        if typed is None:
            raise
        atomic_write_text(out, json.dumps(typed.to_json()))
        return
    checkpoints = sorted(job.work.glob("checkpoint-*"))
    found = {
        "ends": watch.ends,
        "saved": watch.saved,
        "seconds": time.monotonic() - began,
        "peak": result.peak_memory,
        "checkpoint": _size(checkpoints[-1]) if checkpoints else 0,
        "adapter": _size(job.adapter),
        "trainable": result.trainable,
        "precision": result.precision,
        "checkpointing": result.checkpointing,
        "power": asdict(power),
    }
    atomic_write_text(out, json.dumps(found))


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    _work(Path(sys.argv[1]))
