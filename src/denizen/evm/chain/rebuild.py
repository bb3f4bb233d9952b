"""A pool rebuilt from its events: which share of its swaps the engine reproduces, and why not all.

Contract: a swap counts as reproduced if every figure of its event is the engine's to the last unit
(amounts, and on v3 and v4 sqrtPriceX96, liquidity, tick and fee) from the state that all earlier
events led to.  Liquidity and fee events that differ are counted beside, as faults.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from denizen.evm.chain.events import Event
from denizen.evm.chain.replay import Differs, replay


@dataclass
class Report:
    """Data quality: swaps reproduced by kind, reasons for the others, other events that differ."""

    events: Counter[str] = field(default_factory=Counter)
    swaps: int = 0
    reproduced: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    first_failure: str | None = None

    @property
    def share(self) -> float | None:
        """Reproduced swaps over all; None without swaps."""
        return self.reproduced / self.swaps if self.swaps else None

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {**vars(self), "share": self.share}


def rebuild(version: str, events: Iterable[Event], facts: Mapping[str, int]) -> Report:
    """Replay events in chain order; `facts` are the state file's (v3: fee and tickSpacing)."""
    report = Report()
    pool = replay(version, facts)
    for event in events:
        report.events[event.name] += 1
        if pool is None:
            continue
        try:
            if event.name == "Swap":
                report.swaps += 1
                report.kinds[pool.swap(event)] += 1
                report.reproduced += 1
            elif event.name == "Malformed":
                raise Differs("malformed log set aside")
            else:
                pool.other(event)
        except Differs as difference:
            where = report.reasons if event.name == "Swap" else report.faults
            reason = str(difference) if event.name == "Swap" else f"{event.name}: {difference}"
            where[reason] += 1
            report.first_failure = report.first_failure or (
                f"block {event.block}, log {event.log_index}, {event.name}: {difference}"
            )
    return report
