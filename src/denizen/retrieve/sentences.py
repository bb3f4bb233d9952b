"""Sentences and lines as exact ranges of a text.

Contract: `sentences(text, start, end)` and `lines(...)` give half-open ranges in order, without
white space at their ends, whose gaps hold white space alone. Abbreviations, versions, initials and
decimals do not end a sentence. Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

Span = tuple[int, int]

_END = re.compile(r"[.!?…][\"')\]*_`]*(?=\s+[\"'(\[*_`]*[A-Z0-9$])|[。！？]|\n[ \t]*\n")
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|vs|cf|resp|approx|no|nos|fig|eq|sec|dr|mr|mrs|ms|prof|st|inc|ltd|al)"
    r"|(?<!\w)[A-Za-z])\.$",
    re.IGNORECASE,
)
_ITEM = re.compile(r"\n(?=[ \t]*(?:[-*+]|\d+[.)])[ \t])")


def sentences(text: str, start: int, end: int) -> Iterator[Span]:
    """Sentences of text[start:end]."""
    begin = start
    for cut in _cuts(text, start, end):
        yield from trimmed(text, begin, cut)
        begin = cut
    yield from trimmed(text, begin, end)


def _cuts(text: str, start: int, end: int) -> list[int]:
    cuts = {match.end() for match in _ITEM.finditer(text, start, end)}
    for match in _END.finditer(text, start, end):
        mark = match.start()
        if text[mark] == "." and _ABBREVIATION.search(text, max(start, mark - 8), mark + 1):
            continue
        cuts.add(match.end())
    return sorted(cuts)


def lines(text: str, start: int, end: int) -> Iterator[Span]:
    """Lines of text[start:end] that are not blank."""
    begin = start
    while begin < end:
        stop = text.find("\n", begin, end)
        stop = end if stop < 0 else stop
        yield from trimmed(text, begin, stop)
        begin = stop + 1


def words(text: str, start: int, end: int) -> Iterator[Span]:
    """Runs without white space of text[start:end]."""
    for match in re.compile(r"\S+").finditer(text, start, end):
        yield match.span()


def trimmed(text: str, start: int, end: int) -> Iterator[Span]:
    """The range without white space at its ends, if anything is left."""
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if start < end:
        yield start, end
