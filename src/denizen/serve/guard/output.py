"""What an answer must not show: unknown addresses, calldata, private keys, recovery phrases.

Contract: `check(text, known)` gives the text with each of these replaced by a word in brackets, and
the flags that say so. `OutputStream` does the same to a text that arrives in pieces: whatever the
pieces, what it lets through is what `check` gives for the whole, and it holds back no more than the
last word and what may still become an address or a phrase.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from denizen.serve.guard.addresses import CHAIN, PREFIX, SPACE, Hidden, Known, find_hex
from denizen.serve.guard.folding import Folded, fold
from denizen.serve.guard.seedwords import find_secrets, open_key, run_start

# What a stream must not let go of: the last word, and hex that may go on behind a few separators.
_LAST_WORD = re.compile(r"\S*\Z")
_PENDING = re.compile(rf"(?:(?:{CHAIN}|{PREFIX}){SPACE}{{0,5}}|0{SPACE}{{0,3}})\Z", re.IGNORECASE)
_CONTEXT = 2  # characters kept before what is held: patterns look at what stands before them


class OutputCheck(NamedTuple):
    """An answer as it may be shown, and what was done to it."""

    text: str
    flags: tuple[str, ...] = ()


def check(text: str, known: Known, *, addresses: bool = True) -> OutputCheck:
    """The whole text at once."""
    folded = fold(text)
    hidden = _hidden(folded, known, addresses)
    shown = _render(text, folded, hidden, 0, len(text))
    return OutputCheck(shown, tuple(dict.fromkeys(h.why for h in hidden)))


class OutputStream:
    """One answer in pieces. `feed` gives what may be shown now, `close` the rest."""

    def __init__(self, known: Known, *, addresses: bool = True) -> None:
        self._known, self._addresses = known, addresses
        self._held = ""  # with `_done` characters of context that were let through
        self._done = 0
        self._flags: dict[str, None] = {}

    @property
    def flags(self) -> tuple[str, ...]:
        """What was hidden so far."""
        return tuple(self._flags)

    def feed(self, text: str) -> str:
        """Take the next piece; returns what is safe to show."""
        self._held += text
        return self._release(closing=False)

    def close(self) -> str:
        """The end: whatever was held, checked."""
        return self._release(closing=True)

    def _release(self, *, closing: bool) -> str:
        folded = fold(self._held)
        hidden = _hidden(folded, self._known, self._addresses)
        end = len(self._held) if closing else _safe(folded, hidden)
        if end <= self._done:
            return ""
        now = [h for h in hidden if self._done < folded.span(h.start, h.end)[1] <= end]
        shown = _render(self._held, folded, now, self._done, end)
        self._flags |= dict.fromkeys(h.why for h in now)
        # A hidden range must not be seen by its tail alone: the context begins behind it.
        behind = max((folded.span(h.start, h.end)[1] for h in now), default=0)
        kept = max(end - _CONTEXT, behind - 1, 0)
        self._held, self._done = self._held[kept:], end - kept
        return shown


class OpenStream(OutputStream):
    """Lets every piece through as it comes."""

    def __init__(self) -> None:
        super().__init__(Known(frozenset(), ""))

    def feed(self, text: str) -> str:
        return text

    def close(self) -> str:
        return ""


def _safe(folded: Folded, hidden: list[Hidden]) -> int:
    """The place in the original up to which nothing that follows can change the verdict."""
    text = folded.text
    match = _LAST_WORD.search(text)
    start = match.start() if match else len(text)
    if pending := _PENDING.search(text):
        start = min(start, pending.start())
    start = min(start, run_start(text, start))
    if (pem := open_key(text)) is not None:
        start = min(start, pem)
    for found in sorted(hidden, key=lambda h: -h.end):
        if found.start < start < found.end:
            start = found.start
    return folded.after(start)


def _hidden(folded: Folded, known: Known, addresses: bool) -> list[Hidden]:
    """What must not be shown, in order, without overlaps: the earlier and the longer win."""
    found = [*find_secrets(folded.text), *find_hex(folded.text, known, addresses=addresses)]
    kept: list[Hidden] = []
    for one in sorted(found, key=lambda h: (h.start, -h.end)):
        if not kept or one.start >= kept[-1].end:
            kept.append(one)
    return kept


def _render(text: str, folded: Folded, hidden: list[Hidden], start: int, end: int) -> str:
    parts, at = [], start
    for one in hidden:
        first, last = folded.span(one.start, one.end)
        parts += [text[at : max(at, first)], f"[{one.why}]"]
        at = max(at, last)
    return "".join([*parts, text[at:end]])
