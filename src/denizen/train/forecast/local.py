"""This machine's forecast: what the probe measured, extrapolated over the run's own batches.

Contract: a step costs a + b * FLOPs; a and b come from the light and the heavy batch, and the sum
goes over every batch of the run.  Loading, saves, rounded steps and the reference's pass are added.
Peak memory is the probe's own, which took the heaviest batch.  Without a probe the speed of an
earlier one on the same processor is used, and memory is the model's.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from denizen.project.config import Config
from denizen.project.errors import TrainingError
from denizen.train.checkpoints import KEPT
from denizen.train.forecast.energy import JOULES_A_KWH, Power, estimated_power
from denizen.train.forecast.flops import ASSETS
from denizen.train.forecast.probe import Probe
from denizen.train.methods import find_adapter
from denizen.train.refusals import ONLINE, REFERRED

# How far a speed of another run of this processor may be off.
_UNPROBED = 0.35


class Line(NamedTuple):
    """Seconds of a step: a + b * cost."""

    a: float
    b: float

    def at(self, cost: float) -> float:
        """Seconds of a batch of this cost."""
        return self.a + self.b * cost


@dataclass(frozen=True)
class LocalForecast:
    """Seconds (with a range), bytes, joules and money of the whole run on this machine.

    `parts` says where the seconds go.  `probed` is False where a table took the probe's place.
    """

    seconds: float
    low: float
    high: float
    parts: Mapping[str, float]
    steps: int
    memory: int
    disk: int
    joules: tuple[float, float, float]
    energy_measured: bool
    usd: float
    tariff: float
    flops_per_second: float
    probed: bool

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        return asdict(self)


def fit(points: Sequence[tuple[float, float]]) -> Line:
    """The least-squares line through (cost, seconds) with a >= 0 and b >= 0."""
    n = len(points)
    x, y = (sum(values) / n for values in zip(*points, strict=True))
    spread = sum((cost - x) ** 2 for cost, _ in points)
    slope = sum((c - x) * (s - y) for c, s in points) / spread if spread else math.inf
    if slope * x > y:  # nothing is free: through the origin
        through = sum(c * s for c, s in points) / sum(c * c for c, _ in points)
        return Line(0.0, through)
    return Line(y, 0.0) if slope < 0 else Line(y - slope * x, slope)


def from_probe(
    config: Config, costs: Sequence[float], found: Probe, tariff: float
) -> LocalForecast:
    """`costs` are the FLOPs of each batch of the run; `tariff` is in USD per kWh."""
    timed = found.steps[1:] if found.rounded is None else found.steps[1:-1]
    if config.train.objective in ONLINE:
        # Whole rounds after the first, which was warm-up.
        timed = found.steps[config.rl.updates :] or found.steps
        line = Line(sum(s for _, s in timed) / len(timed), 0.0)
    else:
        line = fit([(costs[i], s) for i, s in timed])
    stepping = sum(map(line.at, costs))
    saves = math.ceil(len(costs) / config.train.save_steps)
    save = sum(found.saves) / max(len(found.saves), 1)
    rounded = 0.0
    if found.rounded is not None:
        extra = max(0.0, found.rounded - line.at(costs[found.steps[-1][0]]))
        rounded = extra * _rounded_steps(config, len(costs))
    read = reference = 0.0
    if config.train.objective in REFERRED:
        share = _reference_share(config) * line.b
        read = share * sum(costs[i] for i in {i for i, _ in found.steps})
        reference = share * sum(costs) / config.train.epochs
    loading = max(0.0, found.warm - line.at(costs[found.steps[0][0]]) - read)
    parts = {
        "loading": loading,
        "reference": reference,
        "steps": stepping,
        "rounding": rounded,
        "saves": saves * save,
        "last save": found.final,
    }
    seconds = sum(parts.values())
    spread = _spread(timed)
    return LocalForecast(
        seconds=seconds,
        low=seconds * (1 - spread),
        high=seconds * (1 + spread),
        parts=parts,
        steps=len(costs),
        memory=found.peak,
        disk=min(KEPT + 1, saves) * found.checkpoint + found.adapter,
        **_energy(found.power, seconds, tariff),
        flops_per_second=sum(costs) / stepping,
        probed=True,
    )


def from_speed(
    config: Config, costs: Sequence[float], speed: float, memory: int, disk: int, tariff: float
) -> LocalForecast:
    """Without a probe: `speed` in FLOPs a second, as an earlier probe had it."""
    seconds = sum(costs) / speed
    return LocalForecast(
        seconds=seconds,
        low=seconds * (1 - _UNPROBED),
        high=seconds * (1 + _UNPROBED),
        parts={"steps": seconds},
        steps=len(costs),
        memory=memory,
        disk=disk,
        **_energy(estimated_power(), seconds, tariff),
        flops_per_second=speed,
        probed=False,
    )


def known_speed(machine: Mapping[str, Any]) -> float:
    """FLOPs a second of a training step on a machine of the table; raises TrainingError."""
    table = json.loads((ASSETS / "machines.json").read_text("utf-8"))["machines"]
    for entry in table:
        if entry["cpu"] == machine["cpu"] and entry["cores"] == machine["cores"]:
            return float(entry["flops_per_second"])
    raise TrainingError(
        f"no speed is known of {machine['cores']} cores of {machine['cpu']}",
        where="--no-probe",
        fix="run `denizen forecast` once with its probe",
    )


def _reference_share(config: Config) -> float:
    """A reading of all rows over a step, in forward passes.

    A step of an adapter weighs two, of whole weights three; kto's also reads mismatched answers,
    as its reference does.
    """
    whole = find_adapter(config.adapter.method).whole
    return 2 / (3 + whole) if config.train.objective == "kto" else 1 / (2 + whole)


def _rounded_steps(config: Config, steps: int) -> int:
    """Steps that begin at a save's step in the last part of the run, as the trainer has it."""
    first = math.ceil(config.train.rounded_from * steps)
    return sum(1 for step in range(first, steps) if step % config.train.save_steps == 0)


def _spread(timed: Sequence[tuple[int, float]]) -> float:
    """Half the range of repeated batches over their mean; at least 5%."""
    repeats: dict[int, list[float]] = {}
    for batch, seconds in timed:
        repeats.setdefault(batch, []).append(seconds)
    if all(len(times) == 1 for times in repeats.values()):
        every = [s for _, s in timed]
        repeats = {0: every}
    halves = [(max(t) - min(t)) / (max(t) + min(t)) for t in repeats.values()]
    return max(0.05, *halves)


def _energy(power: Power, seconds: float, tariff: float) -> dict[str, Any]:
    low, likely, high = (watts * seconds for watts in (power.low, power.likely, power.high))
    return {
        "joules": (low, likely, high),
        "energy_measured": power.measured,
        "usd": likely / JOULES_A_KWH * tariff,
        "tariff": tariff,
    }
