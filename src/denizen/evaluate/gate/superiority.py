"""Better than the base: exact McNemar and a cluster interval, overall and in every family.

Contract: both must agree. McNemar is exact but takes items as independent; the interval knows the
clusters (bootstrap and Student's t, the wider) but is approximate. Two-sided: significantly worse
is a FAIL. Family p-values are corrected with Holm.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from denizen.evaluate.clustered import FEWEST, cluster_interval, wider
from denizen.evaluate.gate.settings import POWER, Settings
from denizen.evaluate.gate.verdict import Check, Status
from denizen.evaluate.gate.wording import superior_sentence
from denizen.evaluate.power import n_for_difference
from denizen.evaluate.records import Score
from denizen.evaluate.stats import (
    Difference,
    McNemar,
    discordant,
    holm,
    mcnemar,
    paired_bootstrap,
)

Pairs = Sequence[tuple[Score, Score]]


def outcomes(pairs: Pairs) -> tuple[list[bool], list[bool], list[Hashable]]:
    """What each system got right, and the clusters, by position."""
    return [a.ok for a, _ in pairs], [b.ok for _, b in pairs], [a.cluster for a, _ in pairs]


def families(pairs: Pairs, against: str, settings: Settings) -> list[Check]:
    """Better in every family, families in alphabetical order."""
    groups: dict[str, list[tuple[Score, Score]]] = {}
    for one, other in pairs:
        groups.setdefault(one.family, []).append((one, other))
    p_values = {
        family: mcnemar(*discordant([a.ok for a, _ in group], [b.ok for _, b in group])).p
        for family, group in groups.items()
    }
    adjusted = holm(p_values, settings.alpha)
    return [
        superior(
            groups[family],
            against,
            family,
            settings,
            p_adjusted=adjusted[family].adjusted,
            # The n needed is for the strictest Holm step, since the order may change.
            tests=len(groups),
        )
        for family in sorted(groups)
    ]


def superior(
    pairs: Pairs,
    against: str,
    subject: str,
    settings: Settings,
    *,
    p_adjusted: float | None = None,
    tests: int = 1,
) -> Check:
    """Better than `against` on these pairs; `p_adjusted` marks a family after Holm."""
    first, second, clusters = outcomes(pairs)
    test = mcnemar(*discordant(first, second))
    interval = difference(first, second, clusters, settings, part=p_adjusted is not None)
    p = test.p if p_adjusted is None else p_adjusted
    if p <= settings.alpha and test.wins > test.losses and interval.low > 0:
        status = Status.PASS
    elif p <= settings.alpha and test.losses > test.wins and interval.high < 0:
        status = Status.FAIL
    else:
        status = Status.INCONCLUSIVE
    needed = None
    if status is Status.INCONCLUSIVE:
        needed = _needed(test, interval, first, second, settings, tests)
    return Check(
        name=subject if p_adjusted is None else f"family {subject}",
        kind="superiority",
        subject=subject,
        against=against,
        status=status,
        figure=interval.value,
        low=interval.low,
        high=interval.high,
        confidence=interval.confidence,
        p=p,
        threshold=0.0,
        n=len(pairs),
        wins=test.wins,
        losses=test.losses,
        first_rate=sum(first) / len(first),
        second_rate=sum(second) / len(second),
        n_needed=needed,
        sentence=superior_sentence(status, test, interval, p, needed),
        method=interval.method,
    )


def difference(
    first: list[bool],
    second: list[bool],
    clusters: list[Hashable],
    settings: Settings,
    *,
    part: bool,
) -> Difference:
    """The paired difference with its interval over clusters.

    `part` of the holdout (a family, a slice) may have very few templates, too few units to
    resample: there the plain paired interval stands, the claim is about these templates only,
    and the method says so.
    """
    grouped = len(set(clusters)) >= (FEWEST if part else 2)
    boot = paired_bootstrap(
        first,
        second,
        clusters=clusters if grouped else None,
        confidence=1 - settings.alpha,
        resamples=settings.resamples,
        seed=settings.seed,
    )
    if not grouped:
        return boot
    return wider(boot, cluster_interval(first, second, clusters, 1 - settings.alpha))


def _needed(
    test: McNemar,
    interval: Difference,
    first: list[bool],
    second: list[bool],
    settings: Settings,
    tests: int,
) -> int | None:
    n = len(first)
    if test.wins <= test.losses:
        return None
    needed = n_for_difference(
        interval.value, (test.wins + test.losses) / n, settings.alpha / tests, POWER
    )
    if interval.method.startswith("cluster"):
        # Items that share a template carry less information than independent ones.
        plain = paired_bootstrap(
            first,
            second,
            confidence=interval.confidence,
            resamples=settings.resamples,
            seed=settings.seed,
        )
        width = plain.high - plain.low
        if width > 0:
            needed = round(needed * max(1.0, ((interval.high - interval.low) / width) ** 2))
    return max(needed, n + 1)
