"""A suite graded by a judge: right or wrong per answer, and the rate that people would give.

Contract: `grade_suite` refuses a judge whose calibration does not allow it, asks blind, and keeps
what had no verdict apart.  One unjudged item makes the suite `incomplete`: its status is
INCONCLUSIVE and it gives no SuiteResult, so that no gate can pass on the part that was answered.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from denizen.evaluate.gate import Status
from denizen.evaluate.judge.asking import Judge, Progress, ask_all
from denizen.evaluate.judge.calibration import KAPPA_LIMIT, Calibration, require
from denizen.evaluate.judge.correction import Corrected, prediction_powered, rogan_gladen
from denizen.evaluate.judge.errors import JudgeError, Unjudged
from denizen.evaluate.judge.questions import RIGHT
from denizen.evaluate.records import Score, SuiteResult


@dataclass(frozen=True)
class GradedSuite:
    """One system's answers as a judge graded them.

    `scores` are the judged ones, in order; `unjudged` gives each other item its reason.
    """

    system: str
    artefact: str
    judge: str
    scores: tuple[Score, ...]
    unjudged: tuple[tuple[str, str], ...]
    calibration: Calibration

    @property
    def incomplete(self) -> bool:
        """Whether any item has no verdict (or there was none to judge)."""
        return bool(self.unjudged) or not self.scores

    def result(self) -> SuiteResult:
        """The scores for pairing and reports; raises JudgeError for an incomplete suite."""
        if self.incomplete:
            raise JudgeError(
                f"{len(self.unjudged)} of {len(self.unjudged) + len(self.scores)} items have no "
                "verdict, the judged suite is INCONCLUSIVE",
                where=f"judged suite of {self.system}",
                fix="run it again when the judge answers",
            )
        return SuiteResult(self.system, self.scores, self.artefact)

    def corrected(self, same_items: bool = False) -> Corrected | None:
        """The rate people would give, with its interval; None for an incomplete suite.

        `same_items`: the labels are a random sample of these very items and this system's answers,
        which allows the sharper prediction-powered estimate; else Rogan-Gladen.  None too if the
        labels lack right or wrong ones, or the judge cannot tell them apart.
        """
        yes, no = self.calibration.sensitivity, self.calibration.specificity
        if self.incomplete or yes is None or no is None:
            return None
        if same_items:
            judged = [float(score.ok) for score in self.scores]
            return prediction_powered(judged, self.calibration.outcomes)
        good = sum(score.ok for score in self.scores)
        try:
            return rogan_gladen(
                good, len(self.scores), (yes.successes, yes.n), (no.successes, no.n)
            )
        except ValueError:
            return None

    def status(self, floor: float) -> Status:
        """PASS if the corrected rate's lower bound exceeds `floor`, FAIL if its upper is under."""
        rate = self.corrected()
        if rate is None:
            return Status.INCONCLUSIVE
        if rate.low > floor:
            return Status.PASS
        return Status.FAIL if rate.high < floor else Status.INCONCLUSIVE


def grade_suite(
    answers: SuiteResult,
    judge: Judge,
    calibration: Calibration,
    *,
    limit: float = KAPPA_LIMIT,
    progress: Progress | None = None,
) -> GradedSuite:
    """Grade each score's `output` to its `prompt`, with `expected` as the reference if given.

    Raises JudgeError if the judge may not judge: see `require`.
    """
    require(calibration, judge, "grade", limit)
    verdicts = ask_all(
        answers.scores,
        lambda s: judge.grade(s.item_id, s.prompt, s.output, s.expected or ""),
        judge.client.settings.parallel,
        progress,
    )
    scores, unjudged = [], []
    for score, verdict in zip(answers.scores, verdicts, strict=True):
        if isinstance(verdict, Unjudged):
            unjudged.append((score.item_id, str(verdict)))
            continue
        right = verdict == RIGHT
        scores.append(
            replace(score, ok=right, score=float(right), reason=f"judged by {judge.identity.model}")
        )
    return GradedSuite(
        answers.system, answers.artefact, judge.id, tuple(scores), tuple(unjudged), calibration
    )
