"""Two systems' answers compared blind: each pair is asked in both orders.

Contract: `judge_pairs` shows no name and asks "which is better" twice, once with the answers
exchanged; a verdict that does not follow its answer is a tie.  Which order comes first is drawn so
that half of the pairs begin with each.  A pair without both verdicts is unjudged, and one such
pair makes the whole suite `incomplete`: INCONCLUSIVE, never PASS.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from denizen.evaluate.gate import Status
from denizen.evaluate.judge.agreement import PositionBias, position_bias
from denizen.evaluate.judge.asking import Judge, Progress, ask_all
from denizen.evaluate.judge.errors import JudgeError, Unjudged
from denizen.evaluate.judge.questions import FIRST, SECOND, TIE
from denizen.evaluate.stats import McNemar, mcnemar

_EXCHANGED = {FIRST: SECOND, SECOND: FIRST, TIE: TIE}


@dataclass(frozen=True)
class Contest:
    """One question with the answers of two systems: `first` the one in place, `second` the new."""

    id: str
    question: str
    first: str
    second: str
    reference: str = ""


@dataclass(frozen=True)
class Outcome:
    """Which answer was better: "first", "second" or "tie"; or why it is not known.

    `picks` is what stood where the judge pointed: as given, and with the answers exchanged.
    """

    id: str
    outcome: str
    picks: tuple[str, str] | None
    unjudged: str = ""


@dataclass(frozen=True)
class JudgedPairs:
    """Every contest's outcome by one judge."""

    judge: str
    outcomes: tuple[Outcome, ...]

    @property
    def incomplete(self) -> bool:
        """Whether any contest has no verdict (or there was none to judge)."""
        return not self.outcomes or any(outcome.unjudged for outcome in self.outcomes)

    @property
    def wins(self) -> int:
        """Contests the second system won."""
        return sum(outcome.outcome == SECOND for outcome in self.outcomes)

    @property
    def losses(self) -> int:
        """Contests the first system won."""
        return sum(outcome.outcome == FIRST for outcome in self.outcomes)

    @property
    def ties(self) -> int:
        """Contests judged equal, the inconsistent ones with them."""
        return sum(outcome.outcome == TIE for outcome in self.outcomes)

    @property
    def bias(self) -> PositionBias | None:
        """The judge's preference for a place; None if no pair was asked in both orders."""
        picks = [outcome.picks for outcome in self.outcomes if outcome.picks]
        return position_bias(picks) if picks else None

    @property
    def test(self) -> McNemar:
        """Exact test of wins against losses (two-sided), ties left out."""
        return mcnemar(self.wins, self.losses)

    def status(self, alpha: float = 0.05) -> Status:
        """PASS if the second system is better at alpha, FAIL if the first is, else INCONCLUSIVE."""
        if self.incomplete or self.test.p > alpha:
            return Status.INCONCLUSIVE
        return Status.PASS if self.wins > self.losses else Status.FAIL


def judge_pairs(
    contests: Sequence[Contest], judge: Judge, *, progress: Progress | None = None
) -> JudgedPairs:
    """Judge every contest; raises JudgeError for a repeated id or a judge that cannot be used.

    Equal answers are a tie that nobody is asked about.
    """
    if len({contest.id for contest in contests}) < len(contests):
        raise JudgeError(
            "a contest's id occurs twice", where="judged pairs", fix="judge each item once"
        )
    order = list(range(len(contests)))
    random.Random(judge.seed).shuffle(order)
    exchanged_first = set(order[: len(order) // 2])

    def ask(place: int) -> str:
        contest = contests[place]
        if contest.first.strip() == contest.second.strip():
            return f"{TIE} {TIE} equal"
        found: dict[bool, str] = {}
        for exchanged in (place in exchanged_first, place not in exchanged_first):
            one, two = contest.first, contest.second
            if exchanged:
                one, two = two, one
            found[exchanged] = judge.choose(
                contest.id, contest.question, one, two, contest.reference
            )
        return f"{found[False]} {found[True]}"

    verdicts = ask_all(range(len(contests)), ask, judge.client.settings.parallel, progress)
    outcomes = tuple(_outcome(c.id, v) for c, v in zip(contests, verdicts, strict=True))
    return JudgedPairs(judge.id, outcomes)


def _outcome(item: str, verdict: str | Unjudged) -> Outcome:
    if isinstance(verdict, Unjudged):
        return Outcome(item, "unjudged", None, str(verdict))
    straight, exchanged, *equal = verdict.split()
    outcome = straight if _EXCHANGED[straight] == exchanged else TIE
    return Outcome(item, outcome, None if equal else (straight, exchanged))
