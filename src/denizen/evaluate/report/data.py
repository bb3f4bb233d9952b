"""Everything a report says, as plain data: the same content becomes report.html and report.json.

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
from denizen.evaluate.records import Score, SuiteResult, by_family, pair
from denizen.evaluate.stats import Proportion, discordant, wilson


@dataclass(frozen=True, slots=True)
class Rate:
    """A share with its interval, in [0, 1]."""

    value: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, proportion: Proportion) -> Rate:
        return cls(proportion.value, proportion.low, proportion.high, proportion.n)


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
    """The same question before and after. `derivation`: what the exact engine computed."""

    family: str
    prompt: str
    before: str
    after: str
    before_ok: bool
    after_ok: bool
    expected: str = ""
    derivation: str = ""


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
    """`command` is what was typed, `created` an ISO 8601 time, `limits` what is not proven."""

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


def family_rows(
    base: SuiteResult, specialist: SuiteResult, verdict: GateVerdict | None = None
) -> tuple[FamilyRow, tuple[FamilyRow, ...]]:
    """(overall row, a row a family) from two suites; p-values are taken from the verdict."""
    pairs = pair(base, specialist)
    checks = verdict.checks if verdict else ()
    p_values = {c.subject: c.p for c in checks if c.kind == "superiority"}
    other = {score.item_id: score for score in specialist.scores}

    def row(name: str, first: list[bool], second: list[bool]) -> FamilyRow:
        n = len(first)
        wins, losses = discordant(first, second)
        both = sum(first) - losses
        return FamilyRow(
            name,
            Rate.of(wilson(sum(first), n)),
            Rate.of(wilson(sum(second), n)),
            wins,
            losses,
            both,
            n - both - wins - losses,
            p_values.get(name),
        )

    families = tuple(
        row(family, [s.ok for s in scores], [other[s.item_id].ok for s in scores])
        for family, scores in by_family(base.scores).items()
    )
    return row("overall", [a.ok for a, _ in pairs], [b.ok for _, b in pairs]), families


def pick_examples(
    base: SuiteResult, specialist: SuiteResult, per_family: int = 1, failures: int = 2
) -> tuple[Example, ...]:
    """The first items a family that the specialist won, then up to `failures` that it got wrong,
    each of another family.

    Taken in item-id order, never hand-picked; failures are shown so that the reader sees them.
    """
    pairs = pair(base, specialist)
    chosen: list[Example] = []
    counts: dict[str, int] = {}
    wrong: dict[str, Example] = {}
    for before, after in pairs:
        if after.ok and not before.ok and counts.get(before.family, 0) < per_family:
            counts[before.family] = counts.get(before.family, 0) + 1
            chosen.append(_example(before, after))
        elif not after.ok and after.family not in wrong and len(wrong) < failures:
            wrong[after.family] = _example(before, after)
    chosen.sort(key=lambda example: example.family)
    return (*chosen, *wrong.values())


def _example(before: Score, after: Score) -> Example:
    return Example(
        before.family,
        after.prompt,
        before.output,
        after.output,
        before.ok,
        after.ok,
        after.expected or "",
        "" if after.answer is None else after.answer,
    )
