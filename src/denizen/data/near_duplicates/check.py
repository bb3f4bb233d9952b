"""The near-duplicate and template-leak check of an exam against every training row.

Contract: `compare` reports, `check_near_duplicates` raises LeakError on what `compare` refuses, and
`without_near_duplicates` drops the refused rows instead.  Rows that share a masked wording are
compared once, so rows made from templates cost what their templates cost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from denizen.data.leaks import fingerprint
from denizen.data.near_duplicates.detectors import Near, by_containment, by_embedding, by_minhash
from denizen.data.near_duplicates.passages import folded, masked, passages
from denizen.data.near_duplicates.report import (
    KINDS,
    MEANING,
    Kind,
    KindReport,
    NearDuplicateReport,
    NearPair,
    Thresholds,
)
from denizen.project.errors import DataError, LeakError

if TYPE_CHECKING:
    from denizen.models.embedder import Embeds

_SHOWN = 10  # pairs a kind shows
_REVIEWED = 100  # pairs for a person
_ROUNDING = 1e-6
_CUT = 300  # characters of a text in a report
_LEAST_WORDS = 3  # a shorter wording is everyone's
AnyRow = TypeVar("AnyRow", bound="TrainingRow")


class TrainingRow(Protocol):
    """A row with an id; `passages` reads its texts."""

    @property
    def id(self) -> str: ...


class ExamItem(Protocol):
    """What the check reads of an exam item."""

    @property
    def id(self) -> str: ...
    @property
    def prompt(self) -> str: ...


def compare(
    rows: Sequence[TrainingRow],
    items: Sequence[ExamItem],
    embedder: Embeds | None = None,
    thresholds: Thresholds | None = None,
) -> NearDuplicateReport:
    """Every row against every item; without an embedder the report is not `complete`.

    Raises DataError for an exam without items: a check against nothing would always pass.
    """
    if not items:
        raise DataError(
            "the exam has no items", where="near-duplicate check", fix="give the frozen holdout"
        )
    limits = thresholds or Thresholds()
    prints = {fingerprint(item.prompt): item for item in items}
    exact: list[NearPair] = []
    by_masked, by_folded = _View(masked, items), _View(folded, items)
    for row in rows:
        for text in passages(row):
            if (same := prints.get(fingerprint(text))) is not None:
                exact.append(_pair("exact", row.id, same, 1.0, text))
            by_masked.add(row.id, text)
            by_folded.add(row.id, text)
    found: dict[Kind, list[_Seen]] = {"exact": [_Seen(exact, exact, {})]}
    for view in (by_masked, by_folded):
        for kind, detect in _ON_WORDS.items():
            nears = detect(view.rows, view.items)
            found.setdefault(kind, []).append(view.seen(kind, nears, limits))
    if embedder is not None:
        nears = by_embedding(by_masked.rows, by_masked.items, embedder)
        found["embedding"] = [by_masked.seen("embedding", nears, limits)]
    refused = {(p.kind, p.row): p for k in KINDS for s in found.get(k, ()) for p in s.refused}
    kinds = tuple(_report(kind, found.get(kind), limits, len(items)) for kind in KINDS)
    return NearDuplicateReport(
        len(rows), len(items), len(by_masked.rows), kinds, tuple(refused.values())
    )


def check_near_duplicates(
    rows: Sequence[TrainingRow],
    items: Sequence[ExamItem],
    embedder: Embeds | None = None,
    thresholds: Thresholds | None = None,
) -> NearDuplicateReport:
    """The report of clean rows; raises LeakError naming the first pair and how many there are."""
    report = compare(rows, items, embedder, thresholds)
    if not report.clean:
        pair = report.refused[0]
        raise LeakError(
            f"{len(report.refused_rows)} training rows are too near the holdout: row {pair.row} "
            f"is {MEANING[pair.kind]} as {pair.item} ({pair.kind} {pair.similarity:.3f})",
            where="training data",
            fix="remove the rows; evaluation data never enters training",
        )
    return report


def without_near_duplicates(
    rows: Sequence[AnyRow],
    items: Sequence[ExamItem],
    embedder: Embeds | None = None,
    thresholds: Thresholds | None = None,
) -> tuple[list[AnyRow], NearDuplicateReport]:
    """The rows that are not refused, in order, and the report that names the others."""
    report = compare(rows, items, embedder, thresholds)
    refused = report.refused_rows
    return [row for row in rows if row.id not in refused], report


class _Seen(NamedTuple):
    """What a detector saw in one view: refused pairs, each row's nearest, each item's nearest."""

    refused: list[NearPair]
    nearest: list[NearPair]
    best: dict[str, float]


class _View:
    """Distinct wordings of rows and items under one masking, and whose they are."""

    def __init__(self, mask: Callable[[str], str], items: Sequence[ExamItem]) -> None:
        self.mask = mask
        self._rows: dict[str, list[tuple[str, str]]] = {}
        self._items: dict[str, list[ExamItem]] = {}
        for item in items:
            self._items.setdefault(mask(item.prompt), []).append(item)
        self.items = [text for text in self._items if len(text.split()) >= _LEAST_WORDS]

    def add(self, row: str, text: str) -> None:
        wording = self.mask(text)
        if len(wording.split()) >= _LEAST_WORDS:
            self._rows.setdefault(wording, []).append((row, text))

    @cached_property
    def rows(self) -> list[str]:
        """The rows' distinct wordings, once all are added."""
        return list(self._rows)

    def seen(self, kind: Kind, found: Iterable[Near], limits: Thresholds) -> _Seen:
        limit = limits.of(kind) - _ROUNDING
        nearest: dict[int, Near] = {}
        best: dict[str, float] = {}
        for near in found:
            if near.row not in nearest or near.similarity > nearest[near.row].similarity:
                nearest[near.row] = near
            for item in self._items[self.items[near.item]]:
                best[item.id] = max(best.get(item.id, 0.0), near.similarity)
        return _Seen(
            [
                pair
                for near in nearest.values()
                if near.similarity >= limit
                for pair in self._pairs(kind, near)
            ],
            [self._pairs(kind, near)[0] for near in nearest.values()],
            best,
        )

    def _pairs(self, kind: Kind, near: Near) -> list[NearPair]:
        """One pair a row that has this wording, with the first item of the other wording."""
        item = self._items[self.items[near.item]][0]
        rows = self._rows[self.rows[near.row]]
        return [_pair(kind, row, item, near.similarity, text) for row, text in rows]


def _report(kind: Kind, views: list[_Seen] | None, limits: Thresholds, items: int) -> KindReport:
    limit = limits.of(kind)
    if views is None:
        return KindReport(kind, limit, False, 0, (), ())
    ordered = sorted(
        (pair for view in views for pair in view.nearest),
        key=lambda pair: (-pair.similarity, pair.row, pair.item),
    )
    best: dict[str, float] = {}
    for view in views:
        for item, similarity in view.best.items():
            best[item] = max(best.get(item, 0.0), similarity)
    lowest = limits.review if kind == "embedding" else limit
    return KindReport(
        kind,
        limit,
        True,
        len({pair.row for view in views for pair in view.refused}),
        tuple(ordered[:_SHOWN]),
        _quantiles([*best.values(), *[0.0] * (items - len(best))]) if kind != "exact" else (),
        tuple(p for p in ordered if lowest <= p.similarity < limit - _ROUNDING)[:_REVIEWED],
    )


def _by_equality(rows: Sequence[str], items: Sequence[str]) -> Iterator[Near]:
    places = {text: place for place, text in enumerate(items)}
    return (Near(row, places[text], 1.0) for row, text in enumerate(rows) if text in places)


_ON_WORDS: dict[Kind, Callable[[Sequence[str], Sequence[str]], Iterator[Near]]] = {
    "wording": _by_equality,
    "minhash": by_minhash,
    "contained": by_containment,
}


def _pair(kind: Kind, row: str, item: ExamItem, similarity: float, text: str) -> NearPair:
    return NearPair(kind, row, item.id, round(similarity, 4), text[:_CUT], item.prompt[:_CUT])


def _quantiles(values: list[float]) -> tuple[float, ...]:
    import numpy as np

    if not values:
        return ()
    return tuple(round(float(q), 4) for q in np.quantile(values, [0.5, 0.9, 0.99, 1.0]))
