"""What an answer must not show: unknown addresses, calldata, private keys, recovery phrases.

Contract: `check(text, known)` gives the text with each of these replaced by a word in brackets, and
the flags that say so. `OutputStream` does the same to a text that arrives in pieces: whatever the
pieces, what it lets through is what `check` gives for the whole (secrets with nothing between them
may be cut apart elsewhere), and it holds back no more than the last word and what may still become
an address, a key or a phrase.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from denizen.serve.guard.addresses import CHAIN, PREFIX, ROW, SPACE, Hidden, Known, find_hex
from denizen.serve.guard.encoded import BEFORE, find_encoded
from denizen.serve.guard.folding import Folded, context, fold, open_entity
from denizen.serve.guard.seedwords import find_secrets, open_key, run_start

# What a stream must not let go of: the last word, and hex that may go on behind a few separators.
_LAST_WORD = re.compile(r"\S*\Z")
_GAP = re.compile(r"\s")
_PENDING = re.compile(rf"(?:(?:{CHAIN}|{PREFIX}){SPACE}{{0,5}}|0{SPACE}{{0,3}})\Z", re.IGNORECASE)
_PENDING_ROW = re.compile(
    rf"(?:{ROW}|(?<![0-9a-z])(?:0?x)?[0-9a-f]{{1,40}}){SPACE}{{1,5}}\Z", re.IGNORECASE
)
# Of a long held text (a row of words, an open key) each piece would be looked at with all before
# it: beyond so many characters it is looked at again only once it has grown by an eighth.
_SHORT, _GROWN = 256, 8
_CONTEXT = BEFORE  # characters kept before what is held: patterns look at the words before them


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
    """One answer in pieces. `feed` gives what may be shown now, `close` the rest.

    `tell` gets each flag once, when it is raised.
    """

    def __init__(
        self,
        known: Known,
        *,
        addresses: bool = True,
        tell: Callable[[Sequence[str]], None] | None = None,
    ) -> None:
        self._known, self._addresses, self._tell = known, addresses, tell
        self._held = ""  # with `_done` characters of context that were let through
        self._done = self._seen = 0
        self._flags: dict[str, None] = {}

    @property
    def flags(self) -> tuple[str, ...]:
        """What was hidden so far."""
        return tuple(self._flags)

    def feed(self, text: str) -> str:
        """Take the next piece; returns what is safe to show."""
        self._held += text
        # The last word stays in any case, and nothing is freed while it only grows.
        if not _GAP.search(text):
            return ""
        if len(self._held) - self._seen < (self._seen - _SHORT) / _GROWN:
            return ""
        return self._release(closing=False)

    def close(self) -> str:
        """The end: whatever was held, checked."""
        return self._release(closing=True)

    def _release(self, *, closing: bool) -> str:
        folded = fold(self._held)
        hidden = _hidden(folded, self._known, self._addresses)
        self._seen = len(self._held)
        end = len(self._held) if closing else _safe(folded, hidden, open_entity(self._held))
        if end <= self._done:
            return ""
        now = [h for h in hidden if self._done < folded.span(h.start, h.end)[1] <= end]
        shown = _render(self._held, folded, now, self._done, end)
        fresh = dict.fromkeys(h.why for h in now if h.why not in self._flags)
        self._flags |= fresh
        if fresh and self._tell is not None:
            self._tell(tuple(fresh))
        # A hidden range must not be seen by its tail alone: the context begins behind it, with a
        # mark that stands for no digit.  It is kept as it was read, and is no part of an entity.
        behind, index = max((h.end for h in now), default=0), folded.before(end)
        start = max(index - _CONTEXT, behind)
        kept = ("]" if behind == start > 0 else "") + context(folded.text[start:index])
        self._held, self._done = kept + self._held[end:], len(kept)
        self._seen = len(self._held)
        return shown


class OpenStream(OutputStream):
    """Lets every piece through as it comes."""

    def __init__(self) -> None:
        super().__init__(Known(frozenset(), ""))

    def feed(self, text: str) -> str:
        return text

    def close(self) -> str:
        return ""


def _safe(folded: Folded, hidden: list[Hidden], entity: int) -> int:
    """The place in the original up to which nothing that follows can change the verdict."""
    text = folded.text
    match = _LAST_WORD.search(text)
    start = min(match.start() if match else len(text), folded.before(entity))
    word = start
    # A row may go on with the last word, which is held whatever it is.
    for pending in (_PENDING.search(text), _PENDING_ROW.search(text, 0, start)):
        if pending:
            start = min(start, pending.start())
    # What is pending may begin within a word: its last letter may look like a digit.
    start = min(start, run_start(text, start), run_start(text, word) if word > start else start)
    if (pem := open_key(text)) is not None:
        start = min(start, pem)
    for found in sorted(hidden, key=lambda h: -h.end):
        if found.start < start < found.end:
            start = found.start
    return folded.after(start)


def _hidden(folded: Folded, known: Known, addresses: bool) -> list[Hidden]:
    """What must not be shown, in order; where two overlap the later is what the earlier leaves."""
    found = [*find_secrets(folded.text), *find_hex(folded.text, known, addresses=addresses)]
    found += find_encoded(folded.text, known, found, addresses=addresses)
    kept: list[Hidden] = []
    for one in sorted(found, key=lambda h: (h.start, -h.end)):
        if kept and one.start < kept[-1].end:
            one = one._replace(start=kept[-1].end)
        if one.start < one.end:
            kept.append(one)
    return kept


def _render(text: str, folded: Folded, hidden: list[Hidden], start: int, end: int) -> str:
    parts, at = [], start
    for one in hidden:
        first, last = folded.span(one.start, one.end)
        parts += [text[at : max(at, first)], f"[{one.why}]"]
        at = max(at, last)
    return "".join([*parts, text[at:end]])
