"""Questions that a document's front matter answers: who wrote it, its status, when it was made.

Contract: `front_line(question, document)` is the exact range of the line that holds the field which
the question asks for, with the lines of its list, or None.  Pure functions of the document's text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from denizen.retrieve import Document

# Keys of the front matter, by what people ask; the first that fits and is there.
_ASKED: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), keys)
    for pattern, keys in (
        (r"\bwho\b.*\b(?:wrote|written|authored|behind)\b|\bauthors?\b|\bauthored\b|\bwritten by\b",
         ("author", "authors")),
        (r"\bstatus\b|\bhow far along\b|\b(?:is|has)\b.*\b(?:final|draft|finali[sz]ed|accepted)\b",
         ("status",)),
        (r"\b(?:when|date|day)\b.*\b(?:updated|changed|revised)\b|\blast (?:updated|changed)\b",
         ("updated", "last-updated")),
        (r"\bwhen (?:was|were|did)\b.*\b(?:created|proposed|written|introduced|published|made|come"
         r"|first|submitted)\b|\bwhat (?:day|date)\b|\bcreat(?:ed|ion)\b|\bdate of\b",
         ("created", "date")),
        (r"\brequir\w+\b|\bdepend\w+\b|\bbuild(?:s)? on\b", ("requires",)),
        (r"\bdiscuss\w*\b|\bthread\b|\bforum\b", ("discussions-to", "discussion")),
        (r"\bcategory\b", ("category",)),
        (r"\btype\b|\bkind of (?:proposal|document)\b", ("type", "category")),
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
