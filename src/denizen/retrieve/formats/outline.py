"""Keeps track of the headings a reader is under while it goes through a document.

Contract: `enter(level, title)` closes deeper and equal levels; `path` is outermost first. The first
heading of all is the document's title when no front matter names one.
"""

from __future__ import annotations


class Outline:
    """The open headings; `first` is the first one met."""

    def __init__(self) -> None:
        self.first = ""
        self._open: list[tuple[int, str]] = []

    def enter(self, level: int, title: str) -> None:
        """Open a heading."""
        self.first = self.first or title
        self._open = [pair for pair in self._open if pair[0] < level]
        if title:
            self._open.append((level, title))

    @property
    def path(self) -> tuple[str, ...]:
        """Titles of the open headings."""
        return tuple(title for _, title in self._open)
