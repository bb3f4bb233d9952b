"""Certify the gate by simulation: holdouts whose truth is known, judged by the real `gate`.

Contract: a `Design` draws paired, clustered outcomes with a true difference that is exact, so
"false PASS" has a meaning; nothing here decides anything, `gate` does. Everything follows from the
seed: gate number i of a study is the same whatever runs beside it. Rates carry Wilson intervals.

The model: half of the items are right under the first system. In cluster c a share f_c of items is
answered anew by the second system, right with chance r_c; the rest keeps its outcome. f_c and r_c
are independent Beta variables, E f = 2 discordance and E r = 1/2 + difference / (2 discordance),
so that the mean difference is exact while wins, losses and disagreement all come in clusters.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

from denizen.evaluate.gate import GateVerdict, Status, gate
from denizen.evaluate.looks import Look
from denizen.evaluate.power import power_for_difference
from denizen.evaluate.records import Score, SuiteResult
from denizen.evaluate.spending import Schedule
from denizen.evaluate.stats import RESAMPLES, Proportion, wilson


@dataclass(frozen=True)
class Design:
    """A holdout: sizes of its clusters (items each) and how answers depend within them.

    `discordance` is the share of items on which two systems differ, in (0, 0.5]. `share_rho` and
    `anew_rho` are the intracluster correlations of r and f, in [0, 1). With one family there are
    no slices: slices only turn a PASS into a FAIL, so their absence is the harder test.
    """

    sizes: tuple[int, ...]
    discordance: float = 0.2
    share_rho: float = 0.3
    anew_rho: float = 0.1
    families: int = 1

    @property
    def n(self) -> int:
        return sum(self.sizes)

    def family(self, cluster: int) -> str:
        """The family of a cluster: they take turns."""
        return f"f{cluster % self.families}"

    def design_effect(self, difference: float) -> float:
        """What clusters cost at this true difference, exactly: Var(mean) / Var(independent)."""
        psi, share = self.discordance, 0.5 + difference / (2 * self.discordance)
        anew = 2 * psi
        square = anew**2 + self.anew_rho * anew * (1 - anew)
        spread = (share - 0.5) ** 2 + self.share_rho * share * (1 - share)
        within = square * spread - difference**2
        mean = sum(m * m for m in self.sizes) / self.n
        return 1 + (mean - 1) * within / (psi - difference**2)

    def power(self, difference: float, alpha: float = 0.05) -> float:
        """Theory: Connor's power of McNemar's test at the effective sample size."""
        effective = self.n / self.design_effect(difference)
        return power_for_difference(effective, difference, self.discordance, alpha)

    def first(self, rng: Any) -> Any:
        """Outcomes of the first system, bool [n]."""
        return rng.random(self.n) < 0.5

    def second(self, first: Any, difference: float, rng: Any) -> Any:
        """Outcomes of a second system whose true difference from the first is `difference`."""
        import numpy as np

        share = 0.5 + difference / (2 * self.discordance)
        clusters = len(self.sizes)
        anew = _beta(2 * self.discordance, self.anew_rho, clusters, rng)
        right = _beta(share, self.share_rho, clusters, rng)
        again = rng.random(self.n) < np.repeat(anew, self.sizes)
        made = rng.random(self.n) < np.repeat(right, self.sizes)
        return np.where(again, made, first)

    def suite(self, system: str, outcomes: Any) -> SuiteResult:
        """The outcomes as a suite result."""
        wrong, right = self._scores
        scores = tuple(
            b if ok else a for a, b, ok in zip(wrong, right, outcomes.tolist(), strict=True)
        )
        return _Simulated(system, scores)

    @cached_property
    def _scores(self) -> tuple[list[Score], list[Score]]:
        # Scores are made once and chosen from: making them was most of a simulated gate's time.
        made: tuple[list[Score], list[Score]] = ([], [])
        labels = [c for c, size in enumerate(self.sizes) for _ in range(size)]
        for ok in (False, True):
            for i, c in enumerate(labels):
                family, version = self.family(c), f"v{c % 3 + 2}"
                cluster = f"{family}/t{c}@{version}"
                score = Score(
                    f"{i:05d}",
                    family,
                    cluster,
                    version,
                    str(c % 2),
                    "",
                    "",
                    None,
                    None,
                    ok,
                    float(ok),
                )
                made[ok].append(score)
        return made


class _Simulated(SuiteResult):
    """A suite result that no file holds: hashing 600 made-up scores would double the time."""

    __slots__ = ()

    def hash(self) -> str:
        return ""


def uneven(clusters: int, items: int) -> tuple[int, ...]:
    """Cluster sizes as a holdout has them: from a third to five thirds of the mean, in turn."""
    if items < 3 * clusters or clusters < 1:
        raise ValueError(f"need at least 3 items a cluster, got {items} in {clusters}")
    shares = [c % 5 + 1 for c in range(clusters)]
    edges = [round(items * sum(shares[:c]) / sum(shares)) for c in range(clusters + 1)]
    return tuple(b - a for a, b in pairwise(edges))


class Study(NamedTuple):
    """Verdicts of `gates` simulated gates; `passed` with its Wilson interval."""

    gates: int
    passed: Proportion
    failed: int
    inconclusive: int
    seconds: float


Trial = Callable[[Any], Status]


def superiority_trial(
    design: Design, difference: float = 0.0, *, alpha: float = 0.05, resamples: int = RESAMPLES
) -> Trial:
    """One gate against the base alone: the check a false PASS has to get through.

    Every further check can only turn a PASS into something else, so this is the worst case.
    """

    def trial(rng: Any) -> Status:
        first = design.first(rng)
        second = design.second(first, difference, rng)
        return _gate(design, first, second, alpha=alpha, resamples=resamples).status

    return trial


def margin_trial(
    design: Design, margin: float, *, alpha: float = 0.05, resamples: int = RESAMPLES
) -> Trial:
    """A quant that truly lost the whole margin against the merged model, far above the base.

    The base knows nothing, so that only the non-inferiority check stands in the way of a PASS.
    """

    def trial(rng: Any) -> Status:
        merged = design.first(rng)
        quant = design.second(merged, -margin, rng)
        return _gate(
            design,
            merged & False,
            quant,
            reference=design.suite("merged", merged),
            quant_margin=margin,
            alpha=alpha,
            resamples=resamples,
        ).status

    return trial


def family_trial(
    design: Design, difference: float, *, alpha: float = 0.05, resamples: int = RESAMPLES
) -> Trial:
    """One family gained nothing, all others `difference`; PASS asks for every family (Holm)."""
    import numpy as np

    labels = [design.family(c) for c, size in enumerate(design.sizes) for _ in range(size)]
    idle = np.array(labels) == design.family(0)

    def trial(rng: Any) -> Status:
        first = design.first(rng)
        better = design.second(first, difference, rng)
        second = np.where(idle, design.second(first, 0.0, rng), better)
        options = {"alpha": alpha, "resamples": resamples, "every_family": True}
        return _gate(design, first, second, **options).status

    return trial


def floor_trial(
    design: Design, floor: float, *, alpha: float = 0.05, resamples: int = RESAMPLES
) -> Trial:
    """A candidate far above the base whose true accuracy is exactly the floor."""

    def trial(rng: Any) -> Status:
        first = design.first(rng)
        second = design.second(first, floor - 0.5, rng)
        options = {"alpha": alpha, "resamples": resamples, "floors": {"overall": floor}}
        return _gate(design, first & False, second, **options).status

    return trial


def looks_trial(
    design: Design, looks: int, schedule: Schedule, *, resamples: int = RESAMPLES
) -> Trial:
    """Up to `looks` candidates, none better than the base, at one holdout; PASS if any passes."""

    def trial(rng: Any) -> Status:
        first = design.first(rng)
        for number in range(1, looks + 1):
            look = Look(
                "holdout",
                str(number),
                number,
                schedule.level(number),
                schedule.total,
                schedule.spent(number),
                schedule.left(number),
                False,
                "",
            )
            second = design.second(first, 0.0, rng)
            verdict = _gate(
                design, first, second, look=look, alpha=schedule.total, resamples=resamples
            )
            if verdict.status is Status.PASS:
                return Status.PASS
        return verdict.status

    return trial


def study(trial: Trial, gates: Iterable[int], seed: int = 0) -> Study:
    """Run the trials with these numbers; trial i draws from its own stream of the seed."""
    import numpy as np

    began = time.perf_counter()
    counts = dict.fromkeys(Status, 0)
    for number in gates:
        counts[trial(np.random.default_rng([seed, number]))] += 1
    return summary(counts, time.perf_counter() - began)


def summary(counts: dict[Status, int], seconds: float) -> Study:
    """Counts of verdicts as a study: what several processes counted can be added up first."""
    total = sum(counts.values())
    return Study(
        total,
        wilson(counts[Status.PASS], total),
        counts[Status.FAIL],
        counts[Status.INCONCLUSIVE],
        seconds,
    )


def _gate(design: Design, first: Any, second: Any, **options: Any) -> GateVerdict:
    base, candidate = design.suite("base", first), design.suite("candidate", second)
    return gate(base, candidate, **{"every_family": False, "slices": (), **options})


def _beta(mean: float, rho: float, size: int, rng: Any) -> Any:
    """Beta variables with this mean and intracluster correlation rho = 1 / (a + b + 1)."""
    import numpy as np

    if rho == 0 or mean in (0.0, 1.0):
        return np.full(size, mean)
    if not 0 < mean < 1:
        raise ValueError(f"a difference beyond the discordance: {mean}")
    weight = 1 / rho - 1
    return rng.beta(mean * weight, (1 - mean) * weight, size=size)
