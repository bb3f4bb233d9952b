"""Energy: the processor's own counters where they can be read, else an estimate that says so.

Contract: joules and watts.  Linux shows RAPL package counters under /sys/class/powercap; they leave
out memory, disks and the power supply.  The estimate is 5 W a core (a server part at full load:
280 W for 64 cores, AMD EPYC 7763 data sheet), at most 15 W (a desktop part).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from denizen.project.machine import cores

RAPL = Path("/sys/class/powercap")
WATTS_A_CORE = (3.0, 5.0, 15.0)
JOULES_A_KWH = 3.6e6


@dataclass(frozen=True)
class Power:
    """Watts: low, likely, high; `measured` if counters said so."""

    low: float
    likely: float
    high: float
    measured: bool


class EnergyMeter:
    """Counts from when it is made; `power()` is the mean since then."""

    def __init__(self, root: Path = RAPL) -> None:
        self._root, self._began = root, time.monotonic()
        self._before = _counters(root)

    def power(self) -> Power:
        """Mean power of the whole package since the start, or the estimate."""
        spent = time.monotonic() - self._began
        after = _counters(self._root)
        if not self._before or after.keys() != self._before.keys() or spent <= 0:
            return estimated_power()
        watts = _joules(self._root, self._before, after) / spent
        return Power(watts, watts, watts, True)


def estimated_power(count: int | None = None) -> Power:
    """What `count` cores (default: this process's) may draw at full load."""
    low, likely, high = (watts * (count or cores()) for watts in WATTS_A_CORE)
    return Power(low, likely, high, False)


def _counters(root: Path) -> dict[str, int]:
    """Microjoules of each package (`intel-rapl:N`; parts of a package have two colons)."""
    found: dict[str, int] = {}
    for zone in sorted(root.glob("intel-rapl:*")):
        if zone.name.count(":") == 1:
            try:
                found[zone.name] = int((zone / "energy_uj").read_text("ascii"))
            except (OSError, ValueError):
                return {}
    return found


def _joules(root: Path, before: Mapping[str, int], after: Mapping[str, int]) -> float:
    total = 0
    for name, start in before.items():
        used = after[name] - start
        if used < 0:  # the counter went round
            used += int((root / name / "max_energy_range_uj").read_text("ascii"))
        total += used
    return total / 1e6
