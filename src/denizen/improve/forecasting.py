"""Forecasts of the main line's training: made before it, found again by its inputs, scored after.

Contract: a forecast is an artefact `forecast.json` whose inputs are the train stage's own; a run
that trains from the same inputs is held against the newest such forecast.  The probe works in a
folder of its own, which is removed.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from denizen.project import Artefact, ArtefactError, Bar, ConfigError, Store, list_runs
from denizen.project.errors import TrainingError

if TYPE_CHECKING:
    from denizen.improve.mainline import MainLine
    from denizen.project import Workspace

KIND, NAME = "forecast", "forecast.json"


def forecast_line(
    line: MainLine, *, tariff: float, probed: bool = True, quiet: bool = False
) -> dict[str, Any]:
    """Prepare the rows, forecast the training and store forecast.json; adds its `hash`."""
    from denizen.train.forecast.plan import make_forecast

    line.go("data")
    inputs = line.learning.train_inputs()
    folder = line.workspace.path("work", "forecast")
    shutil.rmtree(folder, ignore_errors=True)
    with Bar("forecast", 1, quiet).shown() as bar:
        # Guards write into the job's work folder: not the run's.
        job, _ = line.learning.job(folder / "guards", folder / "none", bar)
        try:
            value = make_forecast(
                job,
                inputs,
                folder,
                tariff=tariff,
                probed=probed,
                earlier=_last_probed(line.store),
                on_step=lambda step, steps: bar.update(step / (steps + 1), "probing the recipe"),
            )
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        made = line.store.put_text(KIND, NAME, json.dumps(value, indent=1) + "\n", inputs)
        bar.update(1, f"forecast {made.hash[:12]}")
    return {**value, "hash": made.hash}


def methods_line(line: MainLine, size: str) -> list[dict[str, Any]]:
    """Every adapter and objective on a published model of `size`; raises ConfigError."""
    from denizen.train.forecast.flops import known_shapes
    from denizen.train.forecast.plan import by_method, walk

    shape = next(
        (s for s in known_shapes() if size.lower() in (s.label.lower(), s.name.lower())), None
    )
    if shape is None:
        raise ConfigError(
            f"no shape of {size!r} is known",
            where="--methods",
            fix=f"one of {', '.join(s.label for s in known_shapes())}",
        )
    line.go("data")
    folder = line.workspace.path("work", "forecast")
    with Bar("forecast", 1, True).shown() as bar:
        job, _ = line.learning.job(folder / "guards", folder / "none", bar)
    shutil.rmtree(folder, ignore_errors=True)
    return list(by_method(line.config, shape, walk(job).there))


def find_forecast(store: Store, inputs: Mapping[str, str]) -> dict[str, Any] | None:
    """The newest whole forecast of a training with these inputs."""
    return next(_readable(store, lambda a: dict(a.inputs) == dict(inputs)), None)


def scored_runs(workspace: Workspace) -> list[dict[str, Any]]:
    """Every run that trained what had been forecast, newest first; raises TrainingError."""
    found = [
        {"run": run.id, **stage.figures["forecast"]}
        for run in list_runs(workspace)
        for stage in run.stages
        if "forecast" in stage.figures and not stage.reused
    ]
    if not found:
        raise TrainingError(
            "no run trained what had been forecast",
            where="--score",
            fix="run `denizen forecast`, then `denizen train` with the same configuration",
        )
    return found


def _last_probed(store: Store) -> dict[str, Any] | None:
    return next((v for v in _readable(store, lambda _: True) if v["local"]["probed"]), None)


def _readable(store: Store, wanted: Callable[[Artefact], bool]) -> Iterator[dict[str, Any]]:
    """Forecasts that are there and as they were made, newest first."""
    found = [a for a in store.all() if a.kind == KIND and wanted(a) and a.path.exists()]
    for artefact in sorted(found, key=lambda a: -a.path.stat().st_mtime_ns):
        try:
            value: dict[str, Any] = json.loads(artefact.verified().path.read_text("utf-8"))
        except ArtefactError:
            continue
        yield value
