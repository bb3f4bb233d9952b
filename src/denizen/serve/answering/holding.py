"""Text that arrives in pieces: what may go out now, and what must wait for what follows.

Contract: held back are the last word, a call that is not closed, and a chain of figures that may
still become a sum; the rest goes out at once, with calls evaluated, sums recomputed, and figures
compared with the calls before them.  However a text is cut into pieces, the same calls and sums are
corrected.  At most HELD characters wait.
"""

from __future__ import annotations

import re

from denizen.serve.answering.claims import Claims, checked
from denizen.serve.answering.sums import NEAR, is_link
from denizen.tasks.quantities import placed_spans

# Beyond this what is held goes out: it is no call of people.
HELD = 4096
# As far back a chain of figures is looked for: longer ones are no sums of people.
CHAIN = 240
_OPEN = "<calc>"
_CALL = re.compile(r"<calc>.*?</calc>", re.DOTALL)
# Links of two words of which the second is still to come.
_BEGUN = re.compile(r"\s*(?:multiplied|divided|comes?)\s*", re.IGNORECASE)


class Held:
    """One choice's text. `feed` gives what may be said now, `close` the rest."""

    def __init__(self, written: str, known: str, checks: bool = True) -> None:
        self._written, self._known, self._checks = written, known, checks
        self._waiting, self._last = "", ""  # what is held, and the end of what is not
        self.found: list[Claims] = []

    def feed(self, text: str) -> str:
        """Take a piece."""
        if not self._checks:
            return text
        self._waiting += text
        cut = _cut(self._waiting)
        if len(self._waiting) - cut > HELD:
            cut = len(self._waiting)
        ready, self._waiting = self._waiting[:cut], self._waiting[cut:]
        return self._said(ready)

    def close(self) -> str:
        """The end of the text."""
        ready, self._waiting = self._waiting, ""
        return self._said(ready)

    def _said(self, text: str) -> str:
        if not text or not self._checks:
            return text
        results = [result for claims in self.found for result in claims.results]
        found = checked(text, self._written, self._known, results, self._last)
        self._last = f"{self._last}{found.text}"[-NEAR:]
        if found.corrections or found.derivation or found.flags:
            self.found.append(found)
        return found.text


def _cut(text: str) -> int:
    """Where the part that must wait begins."""
    last = text.rfind(_OPEN)
    if last >= 0 and "</calc>" not in text[last:]:
        return last
    bare = text.rstrip()
    start = max(bare.rfind(space) for space in " \n\t") + 1
    for length in range(len(_OPEN) - 1, 0, -1):
        if text.endswith(_OPEN[:length]):
            start = min(start, len(text) - length)
    cut = min(start, _chain(text, start))
    for call in _CALL.finditer(text):
        if call.start() < cut < call.end():  # white space and figures inside a call cut nothing
            return call.start()
    return cut


def _chain(text: str, end: int) -> int:
    """Where the chain of figures begins that text[:end] ends with; `end` if it does not."""
    first = max(0, end - CHAIN)
    placed = placed_spans(text[first:end])
    following, begins = end, end
    for number in range(len(placed) - 1, -1, -1):
        _, start, finish = placed[number]
        between = text[first + finish : following]
        loose = following == end and (not between.strip() or _BEGUN.fullmatch(between))
        if not loose and not is_link(between):
            break
        begins = following = first + start
    return begins
