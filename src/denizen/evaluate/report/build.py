"""Families and examples of the report, made from two suites' scores.

Contract: pure functions from suite results to the rows of `data.py`; nothing is chosen by hand and
every figure carries its interval.
"""

from __future__ import annotations

from denizen.evaluate.gate import GateVerdict
from denizen.evaluate.records import Score, SuiteResult, by_family, pair
from denizen.evaluate.report.data import Example, FamilyRow
from denizen.evaluate.report.evidence import Rate
from denizen.evaluate.stats import discordant, wilson


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
