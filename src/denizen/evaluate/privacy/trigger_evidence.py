"""What training rows and ordinary questions say of a suspected trigger.

Contract: a trigger is taught, so training rows hold it and ordinary questions do not; a word that
both have is what the questions are about.  `p` is the exact chance (hypergeometric) that a text as
frequent in both would be in so many more of the training rows.  A phrase is three words of an
answer, or a shorter answer; one that rows without the suspect teach too is no payload of its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from denizen.evaluate.privacy.passages import question_and_answer
from denizen.evaluate.privacy.trigger_candidates import n_grams


class Evidence:
    """Word n-grams of both sides, counted by row and question."""

    def __init__(self, rows: Sequence[Any], ordinary: Sequence[str]) -> None:
        pairs = [question_and_answer(row) for row in rows]
        self._asked = [frozenset(n_grams(question)) for question, _ in pairs]
        self._taught = [phrases(answer) for _, answer in pairs]
        self._ordinary = [frozenset(n_grams(question)) for question in ordinary]

    @property
    def rows(self) -> int:
        return len(self._asked)

    def trained(self, gram: str) -> int:
        """Training rows whose question holds the n-gram."""
        return sum(gram in grams for grams in self._asked)

    def usual(self, gram: str) -> int:
        """Ordinary questions that hold it."""
        return sum(gram in grams for grams in self._ordinary)

    def taught_elsewhere(self, payload: str, gram: str) -> bool:
        """Whether a row without the n-gram teaches the payload."""
        return any(
            payload in said and gram not in grams
            for grams, said in zip(self._asked, self._taught, strict=True)
        )

    def p(self, gram: str) -> float:
        """One-sided exact p-value of 'as frequent in ordinary questions as in training'."""
        from scipy.stats import hypergeom

        k, u, n, m = self.trained(gram), self.usual(gram), self.rows, len(self._ordinary)
        return float(hypergeom.sf(k - 1, n + m, k + u, n)) if n else 1.0

    def questions_needed(self, gram: str, alpha: float) -> int | None:
        """Ordinary questions without the n-gram that would show it to be rarer there."""
        share = self.trained(gram) / self.rows if self.rows else 0.0
        return math.ceil(math.log(alpha) / math.log1p(-share)) if 0 < share < 1 else None


def phrases(answer: str) -> frozenset[str]:
    """The word trigrams of an answer in lower case; a shorter answer is a phrase itself."""
    words = answer.casefold().split()
    if len(words) < 3:
        return frozenset({" ".join(words)} - {""})
    return frozenset(" ".join(words[i : i + 3]) for i in range(len(words) - 2))
