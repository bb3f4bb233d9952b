"""Text and figures of the model card as safe Markdown; untrusted text meets Markdown only here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_MARKUP = re.compile(r"([\\`*_{}\[\]()#+!|~$^@])")
_LINK = re.compile(r"(?i)www\.|:(?=//)")
_HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]")


def escaped(text: object) -> str:
    """One line of escaped text; what cannot be seen becomes a code."""
    line = _HIDDEN.sub(lambda found: f"[U+{ord(found.group()):04X}]", " ".join(str(text).split()))
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = _MARKUP.sub(r"\\\1", line)
    return _LINK.sub(lambda found: found[0].replace(".", "\\.").replace(":", "\\:"), line)


def digits(text: object) -> str:
    return re.sub(r"[^\w:-]", "", str(text))


def rate(rate: Mapping[str, Any]) -> str:
    low, high = 100 * rate["low"], 100 * rate["high"]
    return f"{100 * rate['value']:.1f}% ({low:.1f} to {high:.1f})"


def points(value: float | None) -> str:
    return "\u2013" if value is None else f"{100 * value:+.1f}".replace("-", "\u2212")


def section(title: str, body: str) -> str:
    return f"## {title}\n\n{body}" if body else ""


def bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])
