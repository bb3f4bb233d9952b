"""Questions that a document's front matter answers: who wrote it, its status, when it was made.

Contract: `front_line(question, document)` is the exact range of the line that holds the field which
the question asks for, with the lines of its list, or None.  Pure functions of the document's text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from denizen.retrieve import Document

# Keys of the front matter, by what people ask; the first that fits and is there.  The words alone
# are not enough: "what does ERC-721 require of a transfer?" asks for no list of proposals.
_PAPERS = r"(?:proposals?|documents?|standards?|EIPs?|ERCs?)\b(?![- ]?\d)"
_MADE = r"(?:created|proposed|written|introduced|published|made|submitted)"
_ASKED: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), keys)
    for pattern, keys in (
        (r"\bwho\b.*\b(?:wrote|written|authored)\b|\bwho (?:is|are|stands?) behind\b(?!.*\bin\b)"
         r"|\bauthors?\b|\bauthored\b|\bwritten by\b",
         ("author", "authors")),
        (r"\bstatus\b(?! codes?\b)|\bhow far along\b"
         r"|^\W*(?:is|has)\b(?!.*\b(?:in|of|under|by)\b).*\b(?:final|draft|finali[sz]ed|accepted)\b",
         ("status",)),
        (r"\b(?:when (?:was|were|did)|date|day)\b.*\b(?:updated|changed|revised)\b"
         r"|\blast (?:updated|changed)\b",
         ("updated", "last-updated")),
        (rf"\bwhen (?:was|were|did)\b.*\b(?:{_MADE}|come|first)\b|\bcreat(?:ed|ion) (?:date|on)\b"
         rf"|\bwhat (?:day|date)\b.*\b(?:{_MADE}|date from)\b|\bdate of (?:creation|publication)\b",
         ("created", "date")),
        (rf"\b(?:requires?|depends? on|builds? on)\W*$|\brequires? (?:which|what)\b"
         rf"|\bdependenc(?:y|ies) of\b|\b{_PAPERS}.*\b(?:require|required by|depends? on)\b",
         ("requires",)),
        (r"\bwhere\b.*\bdiscussed\b|\bdiscussions?[ -](?:to|thread|link|forum)\b|\bforum\b",
         ("discussions-to", "discussion")),
        (rf"\b(?:the|and|which|what) category(?: of {_PAPERS}|(?= of \S+\W*$)| (?:is|does)\b|\W*$)"
         r"|^category\b",
         ("category",)),
        (rf"\b(?:type|kind) of {_PAPERS}|\b(?:which|what) type is\b|\bthe type of \S+\W*$"
         r"|^type\b|\btype\W*$",
         ("type", "category")),
    )
)  # fmt: skip
# Front matter stands at the head of a file.
_HEAD = 6_000
_MORE = re.compile(r"\n(?:[ \t]+\S|-[ \t])[^\n]*")


def front_line(question: str, document: Document) -> tuple[int, int] | None:
    """Characters [start, end) of the field that is asked for."""
    if not document.front:
        return None
    head = document.text[:_HEAD]
    for pattern, keys in _ASKED:
        if not pattern.search(question):
            continue
        for key in keys:
            line = re.search(rf"^[ \t]*{re.escape(key)}[ \t]*:[^\n]*", head, re.I | re.M)
            if line is None:
                continue
            end = line.end()
            while more := _MORE.match(head, end):
                end = more.end()
            return line.start(), end
        return None
    return None
