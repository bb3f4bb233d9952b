"""What an input rule is, and what it says when it fires.

Contract: frozen values. A rule is a named pattern with examples of what it must catch and what it
must let through (a test reads them); a hit names the rule, an excerpt of one printable line, and
the coat under which the words were found.
"""

from __future__ import annotations

from typing import NamedTuple


class Rule(NamedTuple):
    """A named pattern. `certain`: it is enough alone; `catches` and `passes` are its examples.

    `needs`: unless one of these words (lower case) is in the text, the pattern is not tried.
    """

    name: str
    certain: bool
    pattern: str
    catches: tuple[str, ...]
    passes: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()


class Hit(NamedTuple):
    """A rule that fired; `coat` names the disguise it was under, "" for none."""

    rule: str
    certain: bool
    excerpt: str
    coat: str = ""

    def __str__(self) -> str:
        return f"{self.rule}, in {self.coat}" if self.coat else self.rule


def one_line(text: str) -> str:
    """One printable line of at most 120 characters: an excerpt must not deceive its reader."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(shown.split())[:120]
