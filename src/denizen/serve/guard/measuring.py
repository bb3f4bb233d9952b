"""How well scores tell attacks from honest texts, each figure with its interval.

Contract: `figures(scores, labels, groups, threshold)` gives the AUROC (bootstrap over the wordings
the rows came from), the recall at 1% false positives on these very rows, and recall and false
alarms at a threshold that was chosen elsewhere (Wilson). Fractions of 1, 95% intervals.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from denizen.evaluate.stats import SEED, wilson

RESAMPLES = 500
FALSE_POSITIVES = 0.01


def figures(
    scores: Sequence[float], labels: Sequence[bool], groups: Sequence[Hashable], threshold: float
) -> dict[str, Any]:
    """All figures as plain JSON; rows of one wording are drawn together."""
    import numpy as np

    s, y = np.asarray(scores, float), np.asarray(labels, bool)
    level = float(np.quantile(s[~y], 1 - FALSE_POSITIVES, method="higher"))
    low, high = _interval(s, y, groups)
    return {
        "attacks": int(y.sum()),
        "honest": int((~y).sum()),
        "auroc": [round(v, 4) for v in (auroc(s, y), low, high)],
        "recall at 1% false positives": share(s[y] > level),
        "recall": share(s[y] >= threshold),
        "false alarms": share(s[~y] >= threshold),
    }


def auroc(scores: Any, labels: Any) -> float:
    """Chance that an attack scores above an honest text; ties count half (Mann-Whitney)."""
    from scipy.stats import rankdata

    n = int(labels.sum())
    ranks = rankdata(scores)
    return float((ranks[labels].sum() - n * (n + 1) / 2) / (n * (len(labels) - n)))


def _interval(scores: Any, labels: Any, groups: Sequence[Hashable]) -> tuple[float, float]:
    """Percentile bootstrap over groups, attacks and honest texts apart."""
    import numpy as np

    rng = np.random.default_rng(SEED)
    places: dict[bool, dict[Hashable, list[int]]] = {True: {}, False: {}}
    for i, (label, group) in enumerate(zip(labels, groups, strict=True)):
        places[bool(label)].setdefault(group, []).append(i)
    kinds = [[np.array(rows) for rows in places[label].values()] for label in (True, False)]
    found = []
    for _ in range(RESAMPLES):
        drawn = [kind[i] for kind in kinds for i in rng.integers(0, len(kind), len(kind))]
        rows = np.concatenate(drawn)
        found.append(auroc(scores[rows], labels[rows]))
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)


def share(hits: Any) -> list[float]:
    """Share of what is true, with its Wilson interval."""
    found = wilson(int(sum(hits)), len(hits))
    return [round(v, 4) for v in (found.value, found.low, found.high)]
