"""Prompts answered side by side in one llama.cpp context: rows that come and go between decodes.

Contract: greedy; each row has its own grammar or none, and may have its own adapter (rows of one
adapter are decoded together, and take turns with the others).  A prompt begins with the cells of
the prompt in memory that it shares most with.  Every choice keeps its margin and its probability
among what the grammar allowed; what was forced is no choice.  Not safe to share between threads.
"""

from __future__ import annotations

import math
from collections.abc import Set
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from denizen.models.llama_context import MAX_SEQUENCES, Context, Fresh

# Tokens of a prompt that go through in one decode, so that a long one does not hold up the others.
_CHUNK = 512
# Decodes before another adapter's rows have their turn: to change adapters, graphs are built anew.
_TURN = 8


class Decision(NamedTuple):
    """A choice: the best logit less the second best, and its probability among the allowed."""

    token: int
    margin: float
    probability: float


@dataclass(eq=False)
class Row:
    """One prompt that is being answered in a sequence of its own; `ended` once it is done."""

    prompt: list[int]
    limit: int
    matcher: Any = None
    adapter: int | None = None
    sequence: int = -1
    position: int = 0
    fresh: list[int] = field(default_factory=list)
    written: list[int] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    ended: Literal["", "stop", "length"] = ""

    @property
    def room(self) -> int:
        """Cells it may come to need."""
        return len(self.prompt) + self.limit


class _Known(NamedTuple):
    """A sequence whose first cells hold these tokens, as this adapter sees them."""

    sequence: int
    adapter: int | None
    tokens: list[int]


class Rows:
    """The rows of one context of `cells` cells.

    `control` are the ids that are no text; `keep` is how many finished prompts are remembered for
    those that begin alike.
    """

    def __init__(self, context: Context, control: Set[int], cells: int, *, keep: int = 0) -> None:
        self._context, self._control, self._cells, self._keep = context, control, cells, keep
        self.running: list[Row] = []
        self._idle: list[_Known] = []
        self._free = list(range(MAX_SEQUENCES))[::-1]
        self._pinned: _Known | None = None
        self._adapter: int | None = None
        self._steps = 0

    def pin(self, tokens: list[int]) -> None:
        """Decode what the rows to come begin with, and remember it until `clear`."""
        self._pinned = _Known(self._free.pop(), None, tokens)
        self._context.decode([Fresh(self._pinned.sequence, 0, tokens)])

    def clear(self) -> None:
        """Forget all rows and prompts."""
        self._context.clear()
        self.running, self._idle, self._pinned = [], [], None
        self._free = list(range(MAX_SEQUENCES))[::-1]

    def admit(self, row: Row) -> bool:
        """Take a row in, if there are cells for it now; a lone one is always taken in."""
        taken = sum(other.room for other in self.running)
        taken += len(self._pinned.tokens) if self._pinned else 0
        if self.running and taken + row.room > self._cells:
            return False
        row.sequence = self._free.pop()
        known, shared = self._most_alike(row)
        if known is not None:
            self._context.copy(known.sequence, row.sequence, shared)
        row.position, row.fresh = shared, row.prompt[shared:]
        self.running.append(row)
        # The cells of what is forgotten stay as long as a row shares them.
        while self._idle and taken + row.room + self._remembered() > self._cells:
            self._forget(self._idle.pop(0).sequence)
        return True

    def _most_alike(self, row: Row) -> tuple[_Known | None, int]:
        """The sequence that shares most with the prompt; one token is left to decode."""
        known = [*self._idle, *([self._pinned] if self._pinned else [])]
        known += [
            _Known(other.sequence, other.adapter, other.prompt[: other.position])
            for other in self.running
        ]
        best, longest = None, 0
        for one in known:
            shared = min(common(one.tokens, row.prompt), len(row.prompt) - 1)
            if one.adapter == row.adapter and shared > longest:
                best, longest = one, shared
        return best, longest

    def _remembered(self) -> int:
        return sum(len(one.tokens) for one in self._idle)

    def _forget(self, sequence: int) -> None:
        self._context.drop(sequence)
        self._free.append(sequence)

    def drop(self, row: Row) -> None:
        """Let a row go, done or not; its prompt may be remembered."""
        self.running.remove(row)
        if not self._keep or row.position < len(row.prompt):
            self._forget(row.sequence)
            return
        self._context.cut(row.sequence, len(row.prompt))
        self._idle.append(_Known(row.sequence, row.adapter, row.prompt))
        while len(self._idle) > self._keep:
            self._forget(self._idle.pop(0).sequence)

    def step(self) -> list[Row]:
        """One decode and one choice of every row whose turn it is; the ones that ended by it."""
        self._take_turns()
        rows = [row for row in self.running if row.adapter == self._adapter]
        if not rows:
            return []
        logits = self._context.decode(
            [Fresh(row.sequence, row.position, row.fresh[:_CHUNK]) for row in rows]
        )
        for row, scores in zip(rows, logits, strict=True):
            done = len(row.fresh[:_CHUNK])
            row.position += done
            row.fresh = row.fresh[done:]
            if not row.fresh:
                self._choose(row, scores)
        return [row for row in rows if row.ended]

    def _take_turns(self) -> None:
        wanted = list(dict.fromkeys(row.adapter for row in self.running))
        self._steps += 1
        if self._adapter in wanted and (len(wanted) == 1 or self._steps < _TURN):
            return
        if wanted:
            at = wanted.index(self._adapter) + 1 if self._adapter in wanted else 0
            self._adapter, self._steps = wanted[at % len(wanted)], 0
            self._context.use_adapter(self._adapter)

    def leave_adapter(self) -> None:
        """Put the base back, before the context is used for something else."""
        self._adapter = None
        self._context.use_adapter(None)

    def forget(self, adapter: int) -> None:
        """Remember no prompt of an adapter that is about to be freed."""
        self.leave_adapter()
        for one in [one for one in self._idle if one.adapter == adapter]:
            self._idle.remove(one)
            self._forget(one.sequence)

    def _choose(self, row: Row, scores: Any) -> None:
        row.fresh = self._next(row, scores)
        row.written += row.fresh
        if not row.fresh or (row.matcher is not None and row.matcher.is_stopped()):
            row.ended = "stop"
        elif len(row.written) >= row.limit:
            row.ended = "length"

    def _next(self, row: Row, scores: Any) -> list[int]:
        """The token chosen and what the grammar forces after it; empty at the end of the turn."""
        if row.matcher is None:
            token = int(scores.argmax())
            return [] if token in self._control else [token]
        forced = list(row.matcher.compute_ff_tokens())
        if not forced:
            forced = [self._decide(row, scores)]
        row.matcher.try_consume_tokens(forced)
        if not row.matcher.is_stopped():
            more = list(row.matcher.compute_ff_tokens())
            row.matcher.try_consume_tokens(more)
            forced += more
        return forced

    def _decide(self, row: Row, scores: Any) -> int:
        import numpy as np

        allowed = np.flatnonzero(np.frombuffer(row.matcher.compute_logit_bias(), np.uint8))
        likely = scores[allowed]
        best = int(likely.argmax())
        token = int(allowed[best])
        if len(allowed) > 1:
            second = float(np.partition(likely, -2)[-2])
            total = float(np.exp((likely - likely[best]).astype(np.float64)).sum())
            row.decisions.append(Decision(token, float(likely[best]) - second, 1 / total))
        return token


def confidence(decisions: list[Decision]) -> float:
    """The probability of all choices made, among what was allowed at each."""
    return math.exp(sum(math.log(one.probability) for one in decisions))


def common(first: list[int], second: list[int]) -> int:
    """How many tokens both begin with."""
    shorter = min(len(first), len(second))
    if first[:shorter] == second[:shorter]:
        return shorter
    return next(n for n, (a, b) in enumerate(zip(first, second, strict=False)) if a != b)
