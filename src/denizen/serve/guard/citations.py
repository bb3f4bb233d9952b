"""Are an answer's citations true?  The cited span must exist, and its figures must stand there.

Contract: `check_citations(text, cited, documents)` gives every Problem found, none for a clean
answer: a span outside its document, a quote that differs from the span, a mark "[n]" without a
source, and a figure in a sentence with a mark that stands in none of its spans (unless it is one of
`exact`, the engine's own figures). A pure function.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

from denizen.serve.exchange import Cited

_MARK = re.compile(r"\[(\d{1,3}(?:\s*,\s*\d{1,3})*)\]")
_SENTENCE = re.compile(r"(?<=[.!?])(?:\s*\[[\d,\s]+\])*\s+|\n+")
_FIGURE = re.compile(r"(?<![\w.])(?:\d{1,3}(?:[,  ]\d{3})+|\d+)(?:\.\d+)?(?![\w]*\d)")
_UNITS = {"k": 3, "thousand": 3, "m": 6, "million": 6, "b": 9, "bn": 9, "billion": 9}
_UNIT = re.compile(r"\s?(k|thousand|m|million|bn|b|billion)\b", re.IGNORECASE)


class Problem(NamedTuple):
    """What is wrong, and with what."""

    kind: str  # "span", "quote", "mark" or "figure"
    what: str


def check_citations(
    text: str,
    cited: Sequence[Cited],
    documents: Mapping[str, str],
    exact: Collection[str] = (),
) -> tuple[Problem, ...]:
    """Problems of an answer whose marks [1], [2] ... mean `cited` in order."""
    found = []
    spans: list[str] = []
    for number, source in enumerate(cited, start=1):
        body = documents.get(source.document)
        if body is None or not 0 <= source.start < source.end <= len(body):
            found.append(Problem("span", f"[{number}] points outside {source.document!r}"))
            spans.append("")
            continue
        span = body[source.start : source.end]
        if _plain(source.quote) != _plain(span):
            found.append(Problem("quote", f"[{number}] quotes what does not stand there"))
        spans.append(span)
    engine = {figure for value in exact for figure in figures(value)}
    for sentence in sentences(text):
        numbers = [int(n) for mark in _MARK.findall(sentence) for n in mark.split(",")]
        if not numbers:
            continue
        found += [
            Problem("mark", f"[{n}] has no source") for n in numbers if not 1 <= n <= len(cited)
        ]
        there = {f for n in numbers if 1 <= n <= len(cited) for f in figures(spans[n - 1])}
        for figure in sorted(figures(_MARK.sub(" ", sentence)) - there - engine):
            found.append(Problem("figure", f"{figure} does not stand in what is cited for it"))
    return tuple(dict.fromkeys(found))


def sentences(text: str) -> list[str]:
    """Sentences, each with the marks that follow its full stop."""
    parts, at = [], 0
    for match in _SENTENCE.finditer(text):
        parts.append(text[at : match.end()].strip())
        at = match.end()
    return [part for part in (*parts, text[at:].strip()) if part]


def figures(text: str) -> set[str]:
    """The figures of a text in canonical form: no separators, no closing zeros, units expanded."""
    found = set()
    for match in _FIGURE.finditer(text):
        try:
            value = Decimal(re.sub(r"[,  ]", "", match[0]))
        except InvalidOperation:
            continue
        if unit := _UNIT.match(text, match.end()):
            value *= 10 ** _UNITS[unit[1].lower()]
        found.add(format(value.normalize(), "f"))
    return found


def _plain(text: str) -> str:
    return " ".join(text.split())
