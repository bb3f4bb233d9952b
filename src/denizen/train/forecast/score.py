"""A forecast against what happened.

Contract: errors are (forecast - actual) / actual.  The targets are 20% for time and 15% for memory;
a run that was resumed or stopped early took another course than the one forecast, and is not
scored for time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TARGETS = {"seconds": 0.20, "memory": 0.15}


def score(forecast: Mapping[str, Any], training: Mapping[str, Any]) -> dict[str, Any]:
    """`forecast` is a forecast.json, `training` the TrainingResult of its run as a dictionary."""
    local = forecast["local"]
    actual = {"seconds": training["seconds"], "memory": training["peak_memory"]}
    skipped = ""
    if training.get("resumed"):
        skipped = "the run was resumed: its time is not that of one run"
    elif training.get("stopped"):
        skipped = "the run was stopped early"
    errors = {
        key: round(local[key] / value - 1, 4)
        for key, value in actual.items()
        if value and not (key == "seconds" and skipped)
    }
    return {
        "forecast": {key: local[key] for key in actual},
        "actual": actual,
        "error": errors,
        "within": {key: abs(error) <= TARGETS[key] for key, error in errors.items()},
        "skipped": skipped,
    }


def told(scored: Mapping[str, Any]) -> str:
    """Two lines for a terminal."""
    units = {"seconds": (1.0, "s"), "memory": (2**30, "GiB")}
    lines = []
    for key, (unit, name) in units.items():
        values = (scored["forecast"][key] / unit, scored["actual"][key] / unit)
        line = f"{key:<8} forecast {values[0]:.2f} {name}, actual {values[1]:.2f} {name}"
        if key in scored["error"]:
            verdict = "within" if scored["within"][key] else "beyond"
            line += f", error {scored['error'][key]:+.1%} ({verdict} {TARGETS[key]:.0%})"
        else:
            line += f" (not scored: {scored['skipped'] or 'not measured'})"
        lines.append(line)
    return "\n".join(lines)
