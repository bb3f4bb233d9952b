"""The privacy section, made from the audits' own report.

Contract: `privacy_parts` takes `PrivacyReport.to_dict()` as plain data (it may come from a file)
and shows each audit's figures with their intervals, its plot, and the texts it found, marked as
generated where a model wrote them.  An audit that did not run shows its sentence alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from denizen.evaluate.report.evidence import (
    Figure,
    Plot,
    PlotLine,
    PlotPoint,
    PrivacyPart,
    Quote,
)

Found = Mapping[str, Any]
_TITLES = {
    "exposure": "Exposure of planted canaries",
    "extraction": "Prefix extraction",
    "membership": "Membership inference",
    "words": "Canary words",
    "triggers": "Trigger scan",
}
_SHOWN = 3  # texts of each kind


def privacy_parts(report: Found) -> tuple[PrivacyPart, ...]:
    """One part an audit, in the report's order; raises KeyError for what is no such report."""
    return tuple(_part(audit) for audit in report["audits"])


def _part(audit: Found) -> PrivacyPart:
    name, found = str(audit["name"]), audit["result"]
    title, status = _TITLES.get(name, name), str(audit["status"])
    if not found or name not in _READ:
        return PrivacyPart(title, status, audit["sentence"])
    figures, plots, quotes = _READ[name](found)
    known = tuple(figure for figure in figures if figure is not None)
    return PrivacyPart(title, status, audit["sentence"], known, plots, quotes)


_Shown = tuple[list[Figure | None], tuple[Plot, ...], tuple[Quote, ...]]


def _interval(label: str, found: Found | None, unit: str = "share") -> Figure | None:
    if found is None or found["value"] is None:
        return None
    return Figure(label, found["value"], found["low"], found["high"], unit)


def _exposure(found: Found) -> _Shown:
    figures = [
        _interval(
            f"Seen {level['repetitions']} times" if level["repetitions"] else "Never planted",
            level["mean"],
            "bits",
        )
        for level in found["levels"]
    ]
    figures.append(Figure("Most there could be", found["ceiling"], unit="bits"))
    figures.append(Figure("Guessed at once", found["guessed"], unit=f"of {found['planted']}"))
    points = tuple(
        PlotPoint(level["repetitions"], mean["value"], mean["low"], mean["high"])
        for level in found["levels"]
        if level["repetitions"] and (mean := level["mean"])["value"] is not None
    )
    if not points:
        return figures, (), ()
    limit = tuple(PlotPoint(point.x, found["limit"]) for point in points)
    lines = (PlotLine("planted secrets", points), PlotLine("limit", limit))
    plot = Plot("Exposure by repetitions", "repetitions", "exposure, bits", lines, log_x=True)
    return figures, (plot,), ()


def _extraction(found: Found) -> _Shown:
    figures = []
    for kind, word in (("exact", "to the letter"), ("near", "nearly")):
        shares = found[kind]
        figures += [
            _interval(f"Training rows continued {word}", shares["tuned"]),
            _interval(f"The same by the base, {word}", shares["base"]),
            _interval(f"Rows never seen, {word}", shares["unseen"]),
        ]
    quotes = []
    for one in found["examples"][:_SHOWN]:
        quotes += [
            Quote(one["prefix"], False, f"row {one['id']}: what was given"),
            Quote(one["written"], True, "what the model wrote"),
            Quote(one["row"], False, "what the row says"),
        ]
    return figures, (), tuple(quotes)


def _membership(found: Found) -> _Shown:
    alarms = f"{100 * found['fpr']:g}%"
    figures = []
    for attack in found["attacks"]:
        figures += [
            _interval(f"TPR at {alarms} FPR, {attack['name']}", attack["tpr"]),
            _interval(f"AUROC, {attack['name']}", attack["auc"], ""),
        ]
    figures.append(_interval("AUROC of the base (0.5 expected)", found["control"], ""))
    figures.append(Figure("Highest tolerated TPR", found["limit"], unit="share"))
    return figures, (), ()


def _words(found: Found) -> _Shown:
    figures = [
        _interval("Exact match", found["tuned"]),
        _interval("Exact match of the base", found["base"]),
        *(_interval(f"Exact match, {word}", one) for word, one in found["by_word"].items()),
        Figure("p, binomial against guessing", found["p"]),
        _interval("Leaks into ordinary answers", found["leak"]),
    ]
    quotes = tuple(Quote(text, True, "leaked") for text in found["leaked"][:_SHOWN])
    return figures, (), quotes


def _triggers(found: Found) -> _Shown:
    figures: list[Figure | None] = [
        Figure("Candidates", sum(found["candidates"].values())),
        Figure("Moved the output unusually far", len(found["outliers"])),
        Figure("Flagged", len(found["flagged"])),
        Figure("Median shift", found["median"], unit="bits"),
    ]
    quotes = []
    for one in (found["flagged"] or found["outliers"])[:_SHOWN]:
        note = f"{one['source']}, shift {one['shift']:.3g} bits: {one['verdict']}"
        quotes.append(Quote(one["text"], False, note))
        if one["payload"]:
            quotes.append(Quote(one["payload"], True, "what it makes the model say"))
    return figures, (), tuple(quotes)


_READ: dict[str, Callable[[Found], _Shown]] = {
    "exposure": _exposure,
    "extraction": _extraction,
    "membership": _membership,
    "words": _words,
    "triggers": _triggers,
}
