"""What a fine-tune cost on the public sets: each set and all of them, before against after.

Contract: both results hold the same items.  Every accuracy has its Wilson interval and every
difference its paired interval; per set, `lost` is the exact one-sided McNemar test that it got
worse and `kept` the non-inferiority test at the margin, both under Holm across the sets.  The
pooled test takes all items together, resampled by template where a set has templates.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from denizen.evaluate.margin import NonInferiority, noninferiority
from denizen.evaluate.records import Score, SuiteResult, pair
from denizen.evaluate.stats import (
    Adjusted,
    Difference,
    Proportion,
    discordant,
    holm,
    mcnemar,
    paired_bootstrap,
    wilson,
)

MARGIN = 0.05


@dataclass(frozen=True, slots=True)
class SetComparison:
    """One set.  `lost.rejected`: shown to have got worse.  `kept.rejected`: shown to be no worse
    by the margin.  Neither means that its items are too few to tell."""

    name: str
    before: Proportion
    after: Proportion
    difference: Difference
    test: NonInferiority
    lost: Adjusted
    kept: Adjusted

    @property
    def status(self) -> str:
        """kept, lost or undecided; a loss shown to be smaller than the margin is kept."""
        if self.kept.rejected:
            return "kept"
        return "lost" if self.lost.rejected else "undecided"


@dataclass(frozen=True, slots=True)
class GeneralComparison:
    """All sets, in alphabetical order, and the pooled figures."""

    sets: tuple[SetComparison, ...]
    before: Proportion
    after: Proportion
    difference: Difference
    test: NonInferiority
    margin: float
    alpha: float

    @property
    def forgotten(self) -> tuple[str, ...]:
        """Sets shown to have got worse, after Holm."""
        return tuple(one.name for one in self.sets if one.lost.rejected)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def compare_sets(
    before: SuiteResult, after: SuiteResult, margin: float = MARGIN, *, alpha: float = 0.05
) -> GeneralComparison:
    """Compare two results of `score_sets`; raises PairingError where their items differ."""
    pairs = pair(before, after)
    groups: dict[str, list[tuple[Score, Score]]] = {}
    for one, other in pairs:
        groups.setdefault(one.family, []).append((one, other))
    names = sorted(groups)
    tests = {name: _test(groups[name], margin, alpha) for name in names}
    worse = {
        name: mcnemar(*discordant(*_outcomes(groups[name])), alternative="less").p for name in names
    }
    lost, kept = holm(worse, alpha), holm({name: tests[name].p for name in names}, alpha)
    sets = tuple(
        SetComparison(name, *_figures(groups[name], alpha), tests[name], lost[name], kept[name])
        for name in names
    )
    return GeneralComparison(
        sets, *_figures(pairs, alpha), _test(pairs, margin, alpha), margin, alpha
    )


def _figures(
    pairs: list[tuple[Score, Score]], alpha: float
) -> tuple[Proportion, Proportion, Difference]:
    first, second = _outcomes(pairs)
    n, sure = len(pairs), 1 - alpha
    difference = paired_bootstrap(first, second, clusters=_clusters(pairs), confidence=sure)
    return wilson(sum(first), n, sure), wilson(sum(second), n, sure), difference


def _test(pairs: list[tuple[Score, Score]], margin: float, alpha: float) -> NonInferiority:
    first, second = _outcomes(pairs)
    return noninferiority(first, second, margin, clusters=_clusters(pairs), confidence=1 - alpha)


def _outcomes(pairs: list[tuple[Score, Score]]) -> tuple[list[bool], list[bool]]:
    return [one.ok for one, _ in pairs], [other.ok for _, other in pairs]


def _clusters(pairs: list[tuple[Score, Score]]) -> list[str] | None:
    """None where every item stands for itself."""
    labels = [one.cluster for one, _ in pairs]
    return labels if len(set(labels)) < len(labels) else None
