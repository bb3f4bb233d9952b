"""Markup taken off a stretch of source: the words that are indexed, and the words that are shown.

Contract: `plain(raw, kind, form)` gives the words of one sentence or line for the indices (no link
targets, tags or emphasis marks); `visible(raw, form)` leaves the source as it is but for what a
human reader would not see: comments and invisible characters. Neither ever adds a word.
"""

from __future__ import annotations

import html
import re

from denizen.retrieve.documents import BlockKind

INVISIBLE = re.compile(
    "[\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\u00ad\ufe00-\ufe0f"
    "\U000e0000-\U000e01ef]"
)
COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_MDX_COMMENT = re.compile(r"\{/\*.*?(?:\*/\}|\Z)", re.DOTALL)
_REFERENCE_COMMENT = re.compile(r"^[ \t]*\[(?://|comment)\]:[^\n]*$", re.MULTILINE | re.IGNORECASE)
_ADOC_COMMENT = re.compile(r"^////$.*?(?:^////$|\Z)|^//(?!/)[^\n]*$", re.DOTALL | re.MULTILINE)
_IMAGE = re.compile(r"!\[([^\]]*)\]\([^()\s]*(?:\s\"[^\"]*\")?\)")
_LINK = re.compile(r"\[([^\[\]]*)\](?:\([^()\s]*(?:\s\"[^\"]*\")?\)|\[[^\[\]]*\])")
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,300}>")
_AUTOLINK = re.compile(r"<?https?://[^\s<>|)\]]+>?")
_LEAD = re.compile(r"^[ \t]*(?:>[ \t]?)*(?:[-*+][ \t]+|#{1,6}[ \t]+|\d+[.)][ \t]+|:{2,}\w*)?", re.M)
_EMPHASIS = re.compile(r"(\*{1,3}|(?<!\w)_{1,3}|_{1,3}(?!\w)|~~|`+)")
_RULE = re.compile(r"[|\s:+=-]*[-=]{3,}[|\s:+=-]*")
_ADOC_LINK = re.compile(r"(?:https?://|xref:|link:|mailto:)[^\s\[]*\[([^\]]*)\]")
_ADOC_CROSS = re.compile(r"<<([^<>,]*)(?:,([^<>]*))?>>")
_ADOC_LEAD = re.compile(r"^[ \t]*(?:=+[ \t]+|[*.-]+[ \t]+|\|(?:===)?|\[[^\]\n]*\]$)", re.MULTILINE)
_FENCE = re.compile(r"\s*(?:`{3,}|~{3,}|-{4,}|\.{4,})[^\n]*")
_NATSPEC = re.compile(r"^[ \t]*(?:///?|/\*\*?|\*/|\*)?[ \t]?|\*/[ \t]*$", re.MULTILINE)


def plain(raw: str, kind: BlockKind, form: str) -> str:
    """Words of a stretch for the indices, on one line; "" if nothing but marks is left."""
    text = INVISIBLE.sub("", visible(raw, form))
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
    if kind == "table" or _RULE.fullmatch(text):
        text = _RULE.sub(" ", text).replace("|", " ")
    words = " ".join(text.split())
    return words if any(map(str.isalnum, words)) else ""


def visible(raw: str, form: str) -> str:
    """The source without its comments and invisible characters."""
    if form in ("markdown", "mdx"):
        raw = _REFERENCE_COMMENT.sub("", COMMENT.sub("", raw))
        raw = _MDX_COMMENT.sub("", raw) if form == "mdx" else raw
    elif form == "asciidoc":
        raw = _ADOC_COMMENT.sub("", raw)
    return INVISIBLE.sub("", raw)


def comments(text: str, form: str) -> list[str]:
    """What `visible` takes out as comments."""
    if form in ("markdown", "mdx"):
        found = [*COMMENT.findall(text), *_REFERENCE_COMMENT.findall(text)]
        return found + (_MDX_COMMENT.findall(text) if form == "mdx" else [])
    return _ADOC_COMMENT.findall(text) if form == "asciidoc" else []
