"""What a differential run against real bytecode found, and the tally every runner keeps.

Contract: a case is one comparison of everything both sides return (or that both refuse); `Tally`
counts them by kind and keeps the first mismatches as text that is enough to replay them.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from denizen.evm.machine import Revert
from denizen.evm.packages import Package
from denizen.project.hashing import sha256_bytes
from denizen.protocols.fixed_point import MathError

KEEP = 5
OnCase = Callable[[int], None]


@dataclass(frozen=True)
class Contract:
    """The bytecode a protocol was compared with."""

    name: str
    package: str
    version: str
    tarball_sha256: str
    code_sha256: str

    @staticmethod
    def of(name: str, package: Package, creation: bytes) -> Contract:
        """From a package and a contract's creation code."""
        return Contract(name, package.name, package.version, package.sha256, sha256_bytes(creation))


@dataclass(frozen=True)
class Outcome:
    """One protocol's certification."""

    protocol: str
    contracts: tuple[Contract, ...]
    seed: int
    cases: int
    mismatches: int
    refused: int
    kinds: Mapping[str, int]
    first_mismatches: tuple[str, ...]
    seconds: float

    @property
    def ok(self) -> bool:
        """Cases were run and none differed."""
        return self.cases > 0 and self.mismatches == 0

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        return asdict(self)


def differing(ours: Sequence[int], theirs: Sequence[int]) -> tuple[dict[int, int], dict[int, int]]:
    """The words of two equally long readings that differ, by their place."""
    places = [n for n, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b]
    return {n: ours[n] for n in places}, {n: theirs[n] for n in places}


@dataclass
class Tally:
    """Counts while a runner runs."""

    protocol: str
    seed: int
    contracts: tuple[Contract, ...]
    on_case: OnCase = lambda _: None
    kinds: Counter[str] = field(default_factory=Counter)
    mismatches: int = 0
    refused: int = 0
    first: list[str] = field(default_factory=list)
    started: float = field(default_factory=time.perf_counter)

    @property
    def cases(self) -> int:
        """Cases so far."""
        return self.kinds.total()

    def compare(self, kind: str, ours: Any, theirs: Any, replay: str) -> bool:
        """Count one case; `None` on a side means that side refused (MathError or revert)."""
        self.kinds[kind] += 1
        self.on_case(1)
        self.refused += ours is None and theirs is None
        if ours == theirs:
            return True
        self.mismatches += 1
        if len(self.first) < KEEP:
            self.first.append(f"{kind}: engine {ours}, contract {theirs}; {replay}"[:1000])
        return False

    def outcome(self) -> Outcome:
        """The finished record."""
        return Outcome(
            self.protocol,
            self.contracts,
            self.seed,
            self.cases,
            self.mismatches,
            self.refused,
            dict(sorted(self.kinds.items())),
            tuple(self.first),
            round(time.perf_counter() - self.started, 2),
        )


def attempt(function: Callable[..., Any], *values: Any) -> Any:
    """What a side returns; None if it refuses (the engine's MathError, the contract's Revert)."""
    try:
        return function(*values)
    except (MathError, Revert):
        return None
