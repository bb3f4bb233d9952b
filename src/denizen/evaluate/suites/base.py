"""What a behaviour suite is: cases, a judge without a model, and the question the gate asks of it.

Contract: a `Behaviour` is data and one pure function. `cases` have unique ids and read like suite
items, so `run_suite` scores them; `judge(case, output)` needs no model and no network. `rule` says
what the gate asks: "noninferior" (against the base, paired, by `margin`), "floor" (the Wilson lower
bound must exceed `floor`) or "zero" (no failure at all, with the bound that n allows).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from denizen.evaluate.records import SuiteResult

Rule = Literal["noninferior", "floor", "zero"]


@dataclass(frozen=True, slots=True)
class Case:
    """One prompt of a behaviour suite.

    `family` groups cases in the report, `template` is the wording's id (the unit of dependence),
    `system` replaces the project's system prompt unless empty, `facts` is what the judge needs.
    """

    id: str
    family: str
    prompt: str
    template: str
    version: str = ""
    difficulty: str = "plain"
    system: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a judge says: `score` in [0, 1]; the rate counts `ok`, `reason` is for people."""

    ok: bool
    score: float
    reason: str = ""
    expected: str | None = None
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class Behaviour:
    """A suite of cases, its judge, and the question the gate asks of the scores.

    `margin` belongs to "noninferior", `floor` to "floor" (both fractions of 1). `max_tokens` is
    the longest answer. `validate` raises AssertionError unless good answers pass and bad ones fail.
    `fold` makes of the cases' scores what the gate counts (pairs of cases, say).
    """

    name: str
    title: str
    cases: tuple[Case, ...]
    judge: Callable[[Case, str], Judgement]
    rule: Rule
    margin: float = 0.10
    floor: float = 0.0
    max_tokens: int = 128
    validate: Callable[[], None] = lambda: None
    fold: Callable[[SuiteResult], SuiteResult] = lambda result: result
