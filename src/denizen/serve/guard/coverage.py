"""Is somebody copying the model?  Many unlike questions in a day, or one question swept through.

Contract: `Coverage.watch(caller, question)` gives the flag "extraction alarm" with its reason when
a caller asked more than `most` unlike questions within a day, or walked one question's figures in
even steps. Questions are alike when their MinHash sketches share a band (word pairs, figures left
out). Memory is bounded by what is kept of all callers together (KEPT): whoever asked longest ago is
forgotten first. Nothing of a question is kept but hashes and figures, nothing outlives the process.
"""

from __future__ import annotations

import re
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Sequence
from itertools import pairwise
from threading import Lock
from zlib import crc32

ALARM = "extraction alarm"
MANY, SWEEP = "many unlike questions", "one question swept through"
DAY = 86_400.0
# Of all callers, in units of less than 200 bytes: 125 callers with 2,000 unlike questions each, or
# 25,000 with one.
KEPT, TEMPLATES = 2**20, 64
_CALLER, _TEMPLATE, _BANDS = 32, 4, 4  # a caller, a template, an unlike question; a row weighs 1
_PERMUTATIONS, _ROWS = 32, 4  # eight bands of four: half alike is found four times in ten
_WALK = 32  # questions of one template that are looked at together
_EVEN = 0.7  # share of steps that must be even
_LONGEST = 4_000  # characters of a question that are sketched
_NUMBER = re.compile(r"\d+(?:[,_]\d{3})*(?:\.\d+)?")
_WORD = re.compile(r"[^\W_]+|#")


class _Seen:
    """What one caller asked: bands of unlike questions with their time, figures by template."""

    __slots__ = ("bands", "templates", "times", "weight")

    def __init__(self) -> None:
        self.times: deque[tuple[float, tuple[int, ...]]] = deque()
        self.bands: Counter[int] = Counter()
        self.templates: OrderedDict[int, deque[tuple[float, tuple[float, ...]]]] = OrderedDict()
        self.weight = 0

    def grown(self) -> int:
        """By how much it weighs more than when this was last asked."""
        rows = sum(_TEMPLATE + len(rows) for rows in self.templates.values())
        before, self.weight = self.weight, _CALLER + _BANDS * len(self.times) + rows
        return self.weight - before


class Coverage:
    """The watch over all callers; safe between threads. `most` 0: no alarm."""

    def __init__(self, most: int, clock: Callable[[], float] = time.time) -> None:
        self._most, self._clock = most, clock
        self._callers: OrderedDict[str, _Seen] = OrderedDict()
        self._weight = 0
        self._lock = Lock()

    def watch(self, caller: str, question: str) -> tuple[str, ...]:
        """Count a question; ("extraction alarm", reasons...) or nothing."""
        if not self._most:
            return ()
        text = question[:_LONGEST].lower()
        numbers = tuple(float(n.replace(",", "").replace("_", "")) for n in _NUMBER.findall(text))
        words = _WORD.findall(_NUMBER.sub("#", text))
        bands, template, now = _bands(words), crc32(" ".join(words).encode()), self._clock()
        with self._lock:
            seen = self._of(caller)
            self._forget(seen, now)
            if len(seen.times) <= self._most and not any(band in seen.bands for band in bands):
                seen.times.append((now, bands))
                seen.bands.update(bands)
            reasons = [MANY] if len(seen.times) > self._most else []
            if self._swept(seen, template, numbers, now):
                reasons.append(SWEEP)
            self._weigh(seen)
        return (ALARM, *reasons) if reasons else ()

    def unlike(self, caller: str) -> int:
        """Unlike questions of a caller within the day."""
        with self._lock:
            seen = self._callers.get(caller)
            if seen is None:
                return 0
            self._forget(seen, self._clock())
            return len(seen.times)

    def _of(self, caller: str) -> _Seen:
        seen = self._callers.pop(caller, None) or _Seen()
        self._callers[caller] = seen
        return seen

    def _weigh(self, seen: _Seen) -> None:
        self._weight += seen.grown()
        while self._weight > KEPT and len(self._callers) > 1:
            self._weight -= self._callers.popitem(last=False)[1].weight

    def _forget(self, seen: _Seen, now: float) -> None:
        while seen.times and seen.times[0][0] < now - DAY:
            seen.bands -= Counter(seen.times.popleft()[1])

    def _swept(self, seen: _Seen, template: int, numbers: tuple[float, ...], now: float) -> bool:
        if not numbers:
            return False
        rows = seen.templates.pop(template, None) or deque(maxlen=_WALK)
        seen.templates[template] = rows
        while len(seen.templates) > TEMPLATES:
            seen.templates.popitem(last=False)
        rows.append((now, numbers))
        recent = [row for when, row in rows if when >= now - DAY]
        return len(recent) == _WALK and walked(recent)


def walked(rows: Sequence[tuple[float, ...]]) -> bool:
    """Whether every figure that changes does so in even steps, as in a list or a grid."""
    if len({len(row) for row in rows}) != 1 or len(set(rows)) < 0.9 * len(rows):
        return False
    columns = [list(column) for column in zip(*rows, strict=True)]
    moving = [column for column in columns if len(set(column)) > 1]
    return bool(moving) and all(_even(column) for column in moving)


def _even(column: Sequence[float]) -> bool:
    """Standing still, one difference, or one ratio, in most steps."""
    pairs = list(pairwise(column))
    still = sum(a == b for a, b in pairs)
    differences = Counter(round(b - a, 9) for a, b in pairs if a != b)
    ratios = Counter(round(b / a, 6) for a, b in pairs if a != b and a)
    best = max([*differences.values(), *ratios.values()], default=0)
    return best + still >= _EVEN * len(pairs)


def _bands(words: Sequence[str]) -> tuple[int, ...]:
    from rensa import RMinHash

    sketch = RMinHash(num_perm=_PERMUTATIONS, seed=1)
    sketch.update([f"{a} {b}" for a, b in zip(["^", *words], [*words, "$"], strict=True)])
    digest = sketch.digest()
    return tuple(hash((i, *digest[i : i + _ROWS])) for i in range(0, _PERMUTATIONS, _ROWS))
