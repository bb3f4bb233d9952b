"""No slice made worse: families, protocols and difficulties, two-sided, Holm over all of them.

Contract: a slice fails only when it is significantly worse than the base; a slice too small to
show a loss passes and its sentence says what loss it could have shown. This can only turn a PASS
into a FAIL, so it never adds to the chance of a false PASS.
"""

from __future__ import annotations

from collections.abc import Sequence

from denizen.evaluate.gate.settings import POWER, Settings
from denizen.evaluate.gate.superiority import Pairs, difference, outcomes
from denizen.evaluate.gate.verdict import Check, Status
from denizen.evaluate.gate.wording import slice_sentence
from denizen.evaluate.power import DISCORDANCE, detectable_difference
from denizen.evaluate.records import Score
from denizen.evaluate.stats import discordant, holm, mcnemar

DIMENSIONS = ("family", "protocol", "difficulty")


def slice_of(score: Score, dimension: str) -> str:
    """The value of an item in a dimension; ValueError for an unknown one.

    A protocol is the version an item is about ("aave v3"); where a suite left that empty, what
    follows the @ in its cluster (template@version), and failing that its family.
    """
    if dimension == "family":
        return score.family
    if dimension == "difficulty":
        return score.difficulty
    if dimension == "protocol":
        return score.version or score.cluster.partition("@")[2] or score.family
    raise ValueError(f"no slices by {dimension!r}; known: {', '.join(DIMENSIONS)}")


def harmless(
    pairs: Pairs, against: str, dimensions: Sequence[str], settings: Settings
) -> list[Check]:
    """One check a slice; a dimension with a single value is the whole holdout and is left out."""
    groups: dict[str, list[tuple[Score, Score]]] = {}
    for dimension in dict.fromkeys(dimensions):
        found: dict[str, list[tuple[Score, Score]]] = {}
        for one, other in pairs:
            found.setdefault(slice_of(one, dimension), []).append((one, other))
        if len(found) > 1:
            groups |= {f"{dimension} {value}": found[value] for value in sorted(found)}
    tests = {
        name: mcnemar(*discordant([a.ok for a, _ in group], [b.ok for _, b in group]))
        for name, group in groups.items()
    }
    adjusted = holm({name: test.p for name, test in tests.items()}, settings.alpha)
    checks = []
    for name, group in groups.items():
        first, second, clusters = outcomes(group)
        test, p = tests[name], adjusted[name].adjusted
        interval = difference(first, second, clusters, settings, part=True)
        worse = p <= settings.alpha and test.losses > test.wins and interval.high < 0
        status = Status.FAIL if worse else Status.PASS
        n = len(group)
        share = (test.wins + test.losses) / n or DISCORDANCE
        least = detectable_difference(n, share, settings.alpha / len(groups), POWER)
        checks.append(
            Check(
                name=f"slice {name}",
                kind="slice",
                subject=name,
                against=against,
                status=status,
                figure=interval.value,
                low=interval.low,
                high=interval.high,
                confidence=interval.confidence,
                p=p,
                threshold=0.0,
                n=n,
                wins=test.wins,
                losses=test.losses,
                first_rate=sum(first) / n,
                second_rate=sum(second) / n,
                n_needed=None,
                sentence=slice_sentence(status, test, interval, p, n, least),
                method=interval.method,
            )
        )
    return checks
