"""Untrusted text as safe Markdown; the only place where text meets Markdown.

Contract: `m` escapes whatever could start markup, HTML or a link, on one line, so a cell stays a
cell; `fenced` shows longer text as it is inside a fence that the text cannot close.  Control and
direction characters become visible, as in `text.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from denizen.evaluate.report.text import visible

_MARKUP = re.compile(r"([\\`*_{}\[\]()#+!|~$^@])")
_LINK = re.compile(r"(?i)www\.|:(?=//)")
_OPENS = re.compile(r"^(\d*)([-=.)])")
_RUN = re.compile("`+")


def m(text: object) -> str:
    """One line of escaped text."""
    line = " ".join(visible(text).split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = _MARKUP.sub(r"\\\1", line)
    # A bare address would become a link by itself.
    line = _LINK.sub(lambda found: found[0].replace(".", "\\.").replace(":", "\\:"), line)
    # At a line's start a dash, or a number with a full stop, would open a list or a rule.
    return _OPENS.sub(r"\1\\\2", line)


def fenced(text: str) -> str:
    """Text as it is, in a fence longer than any run of backticks inside it."""
    shown = visible(text) or "(nothing)"
    fence = "`" * max(3, 1 + max((len(run) for run in _RUN.findall(shown)), default=0))
    return f"{fence}text\n{shown}\n{fence}"


def rows(head: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    """A table; cells are escaped already. The first column is left-aligned, figures right."""
    lines = [
        f"| {' | '.join(head)} |",
        "|" + "|".join([" --- "] + [" ---: "] * (len(head) - 1)) + "|",
    ]
    lines += [f"| {' | '.join(row)} |" for row in body]
    return "\n".join(lines)


def part(title: str, *blocks: str) -> str:
    """A titled section; "" when every block is empty."""
    told = [block for block in blocks if block]
    return "\n\n".join((f"## {title}", *told)) if told else ""
