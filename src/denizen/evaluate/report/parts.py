"""Pieces every section of the report is made of: a section, a tag, a table, a list of facts.

Contract: pure functions to markup; titles, leads and table cells are markup already, tags and
facts are escaped here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from denizen.evaluate.gate import Status
from denizen.evaluate.report.text import e

_STATUSES = frozenset(str(status) for status in Status)


def section(title: str, lead: str, body: str) -> str:
    """A titled part of the page; "" when it has no body."""
    return f"<section><h2>{title}</h2><p>{lead}</p>{body}</section>" if body else ""


def tag(text: str, kind: str) -> str:
    """A small coloured word."""
    return f'<span class="tag {kind}">{e(text)}</span>'


def status_tag(status: str) -> str:
    """A gate's word in its colour; any other word is shown without one, "" is a dash."""
    word = str(status)
    return tag(word, word if word in _STATUSES else "plain") if word else "\u2013"


def table(
    head: Sequence[tuple[str, str]], rows: Iterable[Sequence[str]], kind: str = "stack"
) -> str:
    """A table; cells are markup already. On a phone "stack" turns rows into small cards and
    "plain" hides the columns marked opt."""

    def cell(name: str, look: str, inner: str) -> str:
        # A stacked cell sets its name against its content, so the content is one box.
        inner = inner if look == "lead" else f"<div>{inner}</div>"
        return f'<td class="{look}" data-k="{name}">{inner}</td>'

    top = "".join(f'<th class="{look}">{name}</th>' for name, look in head)
    body = "".join(
        "<tr>"
        + "".join(cell(name, look, inner) for (name, look), inner in zip(head, row, strict=True))
        + "</tr>"
        for row in rows
    )
    return f'<table class="{kind}"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>'


def facts(pairs: dict[str, str]) -> str:
    """Names and values; "" when there are none."""
    if not pairs:
        return ""
    return "<dl>" + "".join(f"<dt>{e(k)}</dt><dd>{e(v)}</dd>" for k, v in pairs.items()) + "</dl>"
