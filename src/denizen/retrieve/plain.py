"""Markup taken off a stretch of source: the words that are indexed, and the words that are shown.

Contract: `plain(raw, kind, form)` gives the words of one sentence or line for the indices (no link
targets, tags or emphasis marks; comments must be blanked before, see comments.py); `visible(raw,
form)` leaves a stretch of source as it is but for what a human reader would not see: comments and
invisible characters; `rendered(text)` is about what a page shows. None ever adds a word.
"""

from __future__ import annotations

import html
import re

from denizen.retrieve.comments import comment_spans
from denizen.retrieve.documents import BlockKind
from denizen.retrieve.sentences import Span

_MARKDOWN = ("markdown", "mdx")
INVISIBLE = re.compile(
    "[\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\u00ad\ufe00-\ufe0f"
    "\U000e0000-\U000e01ef]"
)
# One that is not closed before the paragraph ends is a comment only where it opens a line.
_COMMENT = re.compile(
    r"<!--(?:-?>|(?:(?!\n[ \t\r]*\n).)*?-->)|^[ \t>]*<!--.*?(?:-->|\Z)", re.DOTALL | re.MULTILINE
)
_MDX_COMMENT = re.compile(r"\{/\*.*?(?:\*/\}|\Z)", re.DOTALL)
_REFERENCE_COMMENT = re.compile(r"^[ \t]*\[(?://|comment)\]:[^\n]*$", re.MULTILINE | re.IGNORECASE)
_ADOC_COMMENT = re.compile(
    r"^////\r?$.*?(?:^////\r?$|\Z)|^//(?!/)[^\n]*$", re.DOTALL | re.MULTILINE
)
_IMAGE = re.compile(r"!\[([^\]]*)\]\([^()\s]*(?:\s\"[^\"]*\")?\)")
_LINK = re.compile(r"\[([^\[\]]*)\](?:\([^()\s]*(?:\s\"[^\"]*\")?\)|\[[^\[\]]*\])")
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,300}>")
_INNER_TAG = re.compile(r"(?<=\w)(?:</?[A-Za-z][^<>]{0,300}>)+(?=\w)")
_AUTOLINK = re.compile(r"<?https?://[^\s<>|)\]]+>?")
_LEAD = re.compile(r"^[ \t]*(?:>[ \t]?)*(?:[-*+][ \t]+|#{1,6}[ \t]+|\d+[.)][ \t]+|:{2,}\w*)?", re.M)
_EMPHASIS = re.compile(r"(\*{1,3}|(?<!\w)_{1,3}|_{1,3}(?!\w)|~~|`+)")
_MARKS = re.compile(r"[|\s:+=-]+")
_RULE = re.compile(r"[-=]{3}")
_ADOC_LINK = re.compile(r"(?:https?://|xref:|link:|mailto:|image::?)[^\s\[]*\[([^\]]{0,1000})\]")
_ADOC_CROSS = re.compile(r"<<([^<>,]*)(?:,([^<>]*))?>>")
_ADOC_LEAD = re.compile(r"^[ \t]*(?:=+[ \t]+|[*.-]+[ \t]+|\|(?:===)?|\[[^\]\n]*\]$)", re.MULTILINE)
_FENCE = re.compile(r"\s*(?:`{3,}|~{3,}|-{4,}|\.{4,})[^\n]*")
_NATSPEC = re.compile(r"^[ \t]*(?:///?|/\*\*?|\*/|\*)?[ \t]?|\*/[ \t]*$", re.MULTILINE)


def plain(raw: str, kind: BlockKind, form: str) -> str:
    """Words of a stretch for the indices, on one line; "" if nothing but marks is left."""
    text = INVISIBLE.sub("", raw)
    if kind == "code" and _FENCE.fullmatch(text):
        return ""
    if kind == "code" or form in ("html", "pdf"):
        if form == "solidity":
            text = _NATSPEC.sub("", text).replace("@", "")
        return " ".join(text.split())
    if kind == "front":
        return " ".join(_AUTOLINK.sub(" ", text).split()).strip("-")
    if form == "asciidoc":
        text = _ADOC_CROSS.sub(lambda m: m[2] or m[1].split("-")[0], _ADOC_LINK.sub(r"\1", text))
        text = _ADOC_LEAD.sub("", text)
    else:
        text = _LINK.sub(r"\1", _IMAGE.sub(r"\1", text))
        text = _LEAD.sub("", _TAG.sub(" ", text))
    text = html.unescape(_EMPHASIS.sub("", _AUTOLINK.sub(" ", text)))
    if kind == "table" or (_MARKS.fullmatch(text) and _RULE.search(text)):
        text = _MARKS.sub(lambda m: " " if _RULE.search(m[0]) else m[0], text).replace("|", " ")
    words = " ".join(text.split())
    return words if any(map(str.isalnum, words)) else ""


def visible(raw: str, form: str) -> str:
    """A stretch of source without its comments and invisible characters."""
    if form in ("markdown", "mdx"):
        raw = _REFERENCE_COMMENT.sub("", _COMMENT.sub("", raw))
        raw = _MDX_COMMENT.sub("", raw) if form == "mdx" else raw
    elif form == "asciidoc":
        raw = _ADOC_COMMENT.sub("", raw)
    return INVISIBLE.sub("", raw)


def seen(text: str, span: Span, form: str) -> str:
    """A range of a whole document as `visible`, but that code keeps its comments."""
    start, end = span
    if not any(mark in text[start:end] for mark in ("<!--", "-->", "{/*", "*/}", "//")):
        return visible(text[start:end], form)
    pieces = []
    for first, last in comment_spans(text, form):
        if last > start and first < end:
            pieces.append(text[start : max(start, first)])
            start = min(end, last)
    whole = "".join([*pieces, text[start:end]])
    return INVISIBLE.sub("", _REFERENCE_COMMENT.sub("", whole) if form in _MARKDOWN else whole)


def rendered(text: str) -> str:
    """A text about as a page shows it, of whatever format: for the rules, not for the index."""
    pieces, at = [], 0
    for start, end in comment_spans(text, "mdx"):
        pieces.append(text[at:start])
        at = end
    text = "".join([*pieces, text[at:]])
    text = _TAG.sub(" ", _INNER_TAG.sub("", _LINK.sub(r"\1", _IMAGE.sub(r"\1", text))))
    return html.unescape(_EMPHASIS.sub("", _LEAD.sub("", text)))


def comments(text: str, form: str) -> list[str]:
    """Every comment of a document."""
    found = [text[start:end] for start, end in comment_spans(text, form)]
    return found + (_REFERENCE_COMMENT.findall(text) if form in _MARKDOWN else [])
