"""Poisoned documents: text that speaks to the model behind the reader's back.

Contract: `screen(parsed)` gives the findings for which a document is quarantined, each a rule with
an excerpt; none means that no rule fired, not that the text is safe. Looked at are the text, the
same text as a page shows it and with its disguises off (disguise.py), title and metadata, and what
the page hides. A document on the subject may trip a rule: quarantine lists it with its reasons, and
a person releases it by name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

from denizen.retrieve.disguise import disguises, unmasked
from denizen.retrieve.documents import Parsed
from denizen.retrieve.formats.html import DECEPTIVE
from denizen.retrieve.plain import rendered

# Raised whenever the rules change: documents are then screened anew.
RULES = 2
_AROUND = 60  # characters of context in an excerpt
_HIDDEN_WORDS = 3  # words from which deceptively hidden text is text


class Finding(NamedTuple):
    """Why a document is quarantined; `line` is 0 where the text is not in the file as it is."""

    rule: str
    excerpt: str
    line: int = 0

    def __str__(self) -> str:
        where = f" (line {self.line})" if self.line else ""
        return f"{self.rule}{where}: {self.excerpt}"


# A further check, say a classifier: the text in, a finding or None out.
Check = Callable[[str], Finding | None]


def screen(parsed: Parsed, extra: Sequence[Check] = ()) -> list[Finding]:
    """Findings, one a rule; empty for a document that may be indexed."""
    found: dict[str, Finding] = {}
    for finding in (*_findings(parsed), *(check(parsed.text) for check in extra)):
        if finding is not None:
            found.setdefault(finding.rule, finding)
    return list(found.values())


def instructions(text: str) -> Iterator[tuple[str, re.Match[str]]]:
    """(rule, match) of each wording that speaks to a model, first match a rule."""
    lowered = text.lower()
    for rule, needs, pattern in _patterns():
        if any(word in lowered for word in needs) and (match := pattern.search(text)):
            yield rule, match


def _findings(parsed: Parsed) -> Iterator[Finding]:
    text = parsed.text
    plain = set()
    for rule, match in instructions(text):
        plain.add(rule)
        yield Finding(rule, _excerpt(text, *match.span()), text.count("\n", 0, match.start()) + 1)
    for rule, what in disguises(text):
        yield Finding(rule, _printable(what))
    for layer in (*unmasked(text), rendered(text)):
        if layer and layer != text:
            yield from (f for f in _in(layer, "in disguise") if f.rule.split(",")[0] not in plain)
    for told in (parsed.title, *parsed.front.values()):
        for layer in (told, *unmasked(told), rendered(told)):
            found = _in(layer, "in title or metadata")
            yield from (f for f in found if f.rule.split(",")[0] not in plain)
    for hidden in parsed.hidden:
        bare = hidden.removeprefix(DECEPTIVE)
        yield from _in(bare, "in hidden text")
        for layer in unmasked(bare):
            yield from _in(layer, "in hidden text")
        if hidden.startswith(DECEPTIVE) and len(bare.split()) >= _HIDDEN_WORDS:
            yield Finding("text hidden from the reader", _printable(bare[: 2 * _AROUND]))


def _in(text: str, how: str) -> Iterator[Finding]:
    for rule, match in instructions(text):
        yield Finding(f"{rule}, {how}", _excerpt(text, *match.span()))


def _excerpt(text: str, start: int, end: int) -> str:
    end = min(end, start + 2 * _AROUND)
    return _printable(text[max(0, start - _AROUND // 3) : end + _AROUND // 3])


def _printable(text: str) -> str:
    """One line in which nothing is invisible: an excerpt must not poison who reads it."""
    shown = "".join(
        c if c.isprintable() else " " if c.isspace() else f"\\u{ord(c):04x}" for c in text
    )
    return " ".join(shown.split())[: 3 * _AROUND]


@cache
def rules() -> dict[str, Any]:
    """The carried rules with their examples."""
    path = resources.files("denizen.retrieve") / "assets" / "poison.json"
    loaded: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return loaded


@cache
def _patterns() -> tuple[tuple[str, tuple[str, ...], re.Pattern[str]], ...]:
    made = []
    for entry in rules()["rules"]:
        pattern = entry["pattern"]
        for name, part in rules()["parts"].items():
            pattern = pattern.replace(f"{{{name}}}", part)
        compiled = re.compile(pattern, re.IGNORECASE | re.MULTILINE)
        made.append((entry["rule"], tuple(entry["needs"]), compiled))
    return tuple(made)
