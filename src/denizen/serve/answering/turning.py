"""The nouns of an Analyst's turn: what came in, what the model wrote, what goes out.

Contract: frozen values; `Local.holds` says whether our own checks found nothing against an answer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from denizen.serve.answering.composing import Exact
from denizen.serve.answering.conversation import Talk
from denizen.serve.answering.naming import Named
from denizen.serve.answering.ports import Recorded
from denizen.serve.answering.report import Review, Wanted
from denizen.serve.answering.skills import Sense
from denizen.serve.exchange import Finish, Guided, Outcome, Request, Usage, Visit


@dataclass(frozen=True)
class Reply:
    """A finished answer: its text, why it ends, and its outcome (without a trace's id)."""

    text: str
    finish: Finish
    outcome: Outcome


@dataclass(frozen=True)
class Local:
    """What the local model wrote, evaluated."""

    answer: Exact
    written: str
    guided: Guided | None
    usage: Usage
    adapter: str
    review: Review | None = None

    @property
    def holds(self) -> bool:
        """Whether our own checks found nothing against it."""
        return not self.answer.strangers and (self.review is None or self.review.ok)


@dataclass(frozen=True)
class InTurn:
    """One request on its way through."""

    request: Request
    named: Named
    visit: Visit
    trace: Recorded
    talk: Talk
    sense: Sense
    asked: Wanted | None
    flags: tuple[str, ...]
    until: float = math.inf  # the moment of the event loop's clock by which it must be answered


def total(left: Usage, right: Usage) -> Usage:
    """Tokens of both."""
    return Usage(
        left.prompt_tokens + right.prompt_tokens, left.completion_tokens + right.completion_tokens
    )
