"""Everything a report says, as plain data: the same content becomes .html, .md and .json.

Contract: frozen dataclasses, JSON-serialisable, every section optional except the verdict; what
is absent is not drawn. Rates and differences are fractions, times seconds, sizes bytes. Text may
be model output: it is untrusted here and escaped by the renderer.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import Any

from denizen.evaluate.gate import GateVerdict
from denizen.evaluate.report.evidence import (
    BehaviourRow,
    ForestRow,
    IntegrityPart,
    LadderRow,
    Looks,
    PowerStatement,
    PrivacyPart,
    RadarPoint,
    Rate,
    Reliability,
)


@dataclass(frozen=True, slots=True)
class FamilyRow:
    """One family, base against specialist. `p` is the gate's (after Holm), None if not tested."""

    family: str
    base: Rate
    specialist: Rate
    wins: int
    losses: int
    both_right: int
    both_wrong: int
    p: float | None = None


@dataclass(frozen=True, slots=True)
class SystemRow:
    """One system on the same holdout, e.g. a larger generalist."""

    system: str
    accuracy: Rate
    seconds_per_item: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Example:
    """The same question before and after. `derivation`: what the exact engine computed.

    `generated` marks `before` and `after` as written by models.
    """

    family: str
    prompt: str
    before: str
    after: str
    before_ok: bool
    after_ok: bool
    expected: str = ""
    derivation: str = ""
    generated: bool = True


@dataclass(frozen=True, slots=True)
class TrainingPoint:
    step: int
    loss: float | None
    tokens_per_second: float | None = None


@dataclass(frozen=True, slots=True)
class Training:
    points: tuple[TrainingPoint, ...]
    facts: dict[str, str]


@dataclass(frozen=True, slots=True)
class Trend:
    """A figure by step; `limit` is where a guard would have stopped the run."""

    name: str
    points: tuple[tuple[int, float | None], ...]
    note: str = ""
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class HackingCheck:
    """One reward-hacking check; `flagged` None means there was too little to judge by."""

    name: str
    flagged: bool | None
    sentence: str


@dataclass(frozen=True, slots=True)
class GuardRails:
    """What watched the run: trends, the reward-hacking checks, and why it stopped, if it did."""

    trends: tuple[Trend, ...] = ()
    checks: tuple[HackingCheck, ...] = ()
    stopped: str = ""


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One line of the supervision ledger: where tokens or rows went."""

    name: str
    count: int
    unit: str = "tokens"
    share: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Quantisation:
    """The merged model against the file that ships. low: one-sided bound of the difference."""

    kind: str
    merged: Rate
    shipped: Rate
    difference: float
    low: float
    margin: float
    bytes_before: int | None = None
    bytes_after: int | None = None


@dataclass(frozen=True, slots=True)
class TokenParity:
    """Token ids of the trainer, the tokenizer and llama.cpp on golden conversations."""

    conversations: int
    tokens: int
    equal: bool
    mismatches: tuple[str, ...] = ()
    sides: tuple[str, ...] = ("trainer", "tokenizer", "llama.cpp")


@dataclass(frozen=True, slots=True)
class ForgettingLeg:
    """General questions before and after; `drift` is nats a token on general sentences."""

    before: Rate
    after: Rate
    difference: float
    low: float
    margin: float
    drift: float | None = None
    drift_low: float | None = None
    drift_high: float | None = None


@dataclass(frozen=True, slots=True)
class Artefact:
    """A node of the lineage: `parents` are names of other artefacts."""

    name: str
    kind: str
    hash: str
    parents: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Stage:
    name: str
    seconds: float


@dataclass(frozen=True, slots=True)
class ReportData:
    """`command` is what was typed, `created` an ISO 8601 time, `limits` what is not proven.

    `forest` may be left empty: it is then drawn from the verdict's checks. `radar` is the general
    sets one by one, `forgetting` all of them together; `ladder` every quant, `quantisation` the
    one that ships.
    """

    title: str
    created: str
    command: str
    version: str
    base: str
    specialist: str
    verdict: GateVerdict
    overall: FamilyRow | None = None
    families: tuple[FamilyRow, ...] = ()
    systems: tuple[SystemRow, ...] = ()
    examples: tuple[Example, ...] = ()
    training: Training | None = None
    rails: GuardRails | None = None
    ledger: tuple[LedgerRow, ...] = ()
    quantisation: Quantisation | None = None
    parity: TokenParity | None = None
    forgetting: ForgettingLeg | None = None
    lineage: tuple[Artefact, ...] = ()
    stages: tuple[Stage, ...] = ()
    machine: dict[str, str] | None = None
    limits: tuple[str, ...] = ()
    forest: tuple[ForestRow, ...] = ()
    reliability: tuple[Reliability, ...] = ()
    radar: tuple[RadarPoint, ...] = ()
    ladder: tuple[LadderRow, ...] = ()
    behaviour: tuple[BehaviourRow, ...] = ()
    privacy: tuple[PrivacyPart, ...] = ()
    integrity: IntegrityPart | None = None
    looks: Looks | None = None
    power: PowerStatement | None = None

    def to_json(self) -> str:
        """JSON text; figures that are not finite become null."""
        return json.dumps(_finite(asdict(self)), indent=1, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> ReportData:
        """Raises pydantic.ValidationError (a ValueError) when the text is not a report."""
        from pydantic import TypeAdapter

        return TypeAdapter(cls).validate_json(text)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
