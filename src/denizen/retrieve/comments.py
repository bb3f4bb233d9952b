"""Comments of a source: what its author sees in the file and no reader on the page.

Contract: `comment_spans(text, form)` gives ordered, disjoint ranges of a whole document, after
CommonMark 0.31 (4.6, 6.6), MDX and AsciiDoc; what stands in code is no comment. `blanked` turns
ranges into blanks, character for character. Both take time in proportion to the text, whatever it
holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from denizen.retrieve.sentences import Span

_MARK = re.compile(r"<!--|\{/\*|^[ \t]*(?:`{3,}|~{3,})|`+", re.MULTILINE)
_BLANK_LINE = re.compile(r"\n[ \t\r]*\n")
_LEAD = " \t>-*+"
_LONGEST_LEAD = 20
_CODE_SPAN = 2000  # characters in which a code span must end
_LISTING = re.compile(r"-{4,}|\.{4,}|/{4,}|```+[^`]*")


def comment_spans(text: str, form: str) -> list[Span]:
    """Comments of a document; [] for formats whose reader leaves them out of the text."""
    if form in ("markdown", "mdx"):
        return list(_markdown(text, form == "mdx"))
    return list(_asciidoc(text)) if form == "asciidoc" else []


def blanked(text: str, spans: Iterable[Span]) -> str:
    """The text with the ranges as blanks; line ends stay."""
    pieces, at = [], 0
    for start, end in spans:
        pieces += [text[at:start], re.sub(r"[^\n]", " ", text[start:end])]
        at = end
    return "".join([*pieces, text[at:]])


class _Next:
    """The next place of a pattern, searched once however often it is asked for."""

    def __init__(self, text: str, pattern: str | re.Pattern[str]) -> None:
        self._text, self._pattern, self._at = text, re.compile(pattern), -1

    def after(self, position: int) -> int:
        """Its start at or after a position, which must not fall; the text's length if none."""
        if self._at < position:
            match = self._pattern.search(self._text, position)
            self._at = match.start() if match else len(self._text)
        return self._at


def _markdown(text: str, mdx: bool) -> Iterator[Span]:
    closes, mdx_closes = _Next(text, "-->"), _Next(text, r"\*/\}")
    paragraph = _Next(text, _BLANK_LINE)
    unclosed: dict[str, int] = {}  # length from which no fence of a character is closed any more
    position = 0
    while match := _MARK.search(text, position):
        start, position = match.start(), match.end()
        mark = match[0].strip(" \t")
        if mark == "<!--":
            # "<!-->" is a whole comment. One that is not closed runs on only where it opens a line.
            close = closes.after(start + 2)
            within = close < paragraph.after(start) and close < len(text)
            if not within and not _opens_line(text, start):
                continue
            position = min(close + 3, len(text))
        elif mark == "{/*":
            if not mdx:
                continue
            position = min(mdx_closes.after(position) + 3, len(text))
        elif len(mark) >= 3 and _opens_line(text, start):
            if len(mark) < unclosed.get(mark[0], len(mark) + 1):
                fence = rf"^[ \t>]*{mark[0]}{{{len(mark)},}}[ \t\r]*$"
                close_at = re.compile(fence, re.MULTILINE).search(text, position)
                if close_at is None:
                    unclosed[mark[0]] = len(mark)
                else:
                    position = close_at.end()
            continue
        else:
            limit = min(paragraph.after(start), position + _CODE_SPAN)
            ends = re.compile(f"(?<!`){mark}(?!`)").search(text, position, limit)
            position = ends.end() if ends else position
            continue
        yield start, position


def _opens_line(text: str, at: int) -> bool:
    """Whether only white space and the marks of quotes and lists stand before a place."""
    head = text[max(0, at - _LONGEST_LEAD) : at]
    return (at <= _LONGEST_LEAD or "\n" in head) and not head.rpartition("\n")[2].strip(_LEAD)


def _asciidoc(text: str) -> Iterator[Span]:
    fence, opened, position = "", 0, 0
    for line in text.splitlines(keepends=True):
        start, position = position, position + len(line)
        bare = line.strip()
        if fence:
            if bare == fence:
                if fence[0] == "/":
                    yield opened, start + len(line.rstrip("\r\n"))
                fence = ""
        elif _LISTING.fullmatch(bare):
            fence, opened = "```" if bare[0] == "`" else bare, start
        elif line.startswith("//") and not line.startswith("///"):
            yield start, start + len(line.rstrip("\r\n"))
    if fence[:1] == "/":
        yield opened, len(text)
