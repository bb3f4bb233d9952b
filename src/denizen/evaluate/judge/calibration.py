"""A judge measured against people: the labels, the agreement, and the licence to judge.

Contract: `read_labels` reads JSON lines (an answer labelled right or wrong, or two answers labelled
first, second or tie); `calibrate` asks the judge the same; `require` raises JudgeError unless the
calibration is of this very judge, complete, and its kappa's lower bound reaches the limit.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from denizen.evaluate.judge.agreement import Kappa, PositionBias, cohen_kappa
from denizen.evaluate.judge.asking import Judge, Progress, ask_all
from denizen.evaluate.judge.errors import JudgeError, Unjudged
from denizen.evaluate.judge.pairs import Contest, judge_pairs
from denizen.evaluate.judge.questions import CHOICES, GRADES, RIGHT, WRONG
from denizen.evaluate.stats import Proportion, wilson
from denizen.project.errors import DataError

Form = Literal["grade", "pair"]
LEAST_LABELS = 30
KAPPA_LIMIT = 0.4  # "moderate" agreement begins here (Landis and Koch 1977)
_FIELDS = {"grade": ("question", "answer"), "pair": ("question", "first", "second")}
_NAMES: dict[Any, str] = {True: RIGHT, False: WRONG}


@dataclass(frozen=True)
class Label:
    """One question that a person judged; `answers` is one answer, or the first and the second."""

    id: str
    question: str
    answers: tuple[str, ...]
    label: str
    reference: str = ""


@dataclass(frozen=True)
class Calibration:
    """How a judge agrees with people, and by what it errs.

    `pairs` are (human, judge) labels of the judged items; `unjudged` says how many had no verdict.
    Sensitivity and specificity are of "right" (grades) or of "second is better" (pairs), None if
    people never gave that label.
    """

    judge: str
    model: str
    form: Form
    kappa: Kappa | None
    weighted: Kappa | None
    sensitivity: Proportion | None
    specificity: Proportion | None
    bias: PositionBias | None
    pairs: tuple[tuple[str, str], ...]
    unjudged: int

    @property
    def positive(self) -> str:
        """The label that the corrected rate counts."""
        return RIGHT if self.form == "grade" else CHOICES[-1]

    @property
    def outcomes(self) -> list[tuple[float, float]]:
        """(human, judge) as 0 and 1, of the positive label."""
        good = self.positive
        return [(float(a == good), float(b == good)) for a, b in self.pairs]

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        return asdict(self)

    @staticmethod
    def from_json(data: dict[str, Any]) -> Calibration:
        """The inverse of `to_json`; raises pydantic.ValidationError."""
        from pydantic import TypeAdapter

        return TypeAdapter(Calibration).validate_python(data)


def read_labels(path: Path) -> list[Label]:
    """Labels of a JSON-lines file; raises DataError naming the line.

    A line: {"question", "answer", "label": "right" | "wrong" | true | false} or {"question",
    "first", "second", "label": "first" | "second" | "tie"}, with optional "id" and "reference".
    """
    try:
        lines = path.read_text("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            "cannot read the labels",
            where=str(path),
            fix="name a UTF-8 file of JSON lines in judge.labels",
        ) from error
    labels = [
        _label(line, f"{path.name}:{number}")
        for number, line in enumerate(lines, 1)
        if line.strip()
    ]
    _check(labels, path.name)
    return labels


def calibrate(
    judge: Judge, labels: Sequence[Label], progress: Progress | None = None
) -> Calibration:
    """Ask the judge what people were asked; raises DataError for labels that cannot calibrate."""
    form = _check(labels, "labels")
    bias = None
    if form == "grade":
        verdicts = ask_all(
            labels,
            lambda x: judge.grade(x.id, x.question, x.answers[0], x.reference),
            judge.client.settings.parallel,
            progress,
        )
        found = [None if isinstance(v, Unjudged) else v for v in verdicts]
    else:
        contests = [
            Contest(x.id, x.question, x.answers[0], x.answers[1], x.reference) for x in labels
        ]
        judged = judge_pairs(contests, judge, progress=progress)
        found = [None if o.unjudged else o.outcome for o in judged.outcomes]
        bias = judged.bias
    pairs = tuple((x.label, v) for x, v in zip(labels, found, strict=True) if v is not None)
    return _measured(judge, form, pairs, bias, len(labels) - len(pairs))


def require(calibration: Calibration, judge: Judge, form: Form, limit: float = KAPPA_LIMIT) -> None:
    """Raises JudgeError unless this calibration allows this judge."""
    where = "judge calibration"
    if calibration.judge != judge.id:
        raise JudgeError(
            f"the calibration is of another judge, model or rubric ({calibration.model})",
            where=where,
            fix="calibrate this judge on the labels",
        )
    if calibration.form != form:
        raise JudgeError(
            f"the judge was calibrated on {calibration.form}s", where=where, fix=f"label {form}s"
        )
    if calibration.unjudged or calibration.kappa is None:
        raise JudgeError(
            f"{calibration.unjudged} labelled items had no verdict, the calibration is incomplete",
            where=where,
            fix="run it again when the judge answers",
        )
    kappa = calibration.kappa
    if kappa.n < LEAST_LABELS:
        raise JudgeError(
            f"{kappa.n} labels cannot calibrate a judge", where=where, fix=_MORE_LABELS
        )
    if not kappa.low >= limit:
        raise JudgeError(
            f"the judge does not agree with people enough: kappa {kappa.value:.2f} "
            f"({kappa.low:.2f} to {kappa.high:.2f}, n {kappa.n}), the lower bound must reach "
            f"{limit:.2f}",
            where=where,
            fix="label more items, sharpen the rubric or take a stronger judge",
        )


_MORE_LABELS = f"label at least {LEAST_LABELS} items, of each kind some"


def _measured(
    judge: Judge,
    form: Form,
    pairs: tuple[tuple[str, str], ...],
    bias: PositionBias | None,
    unjudged: int,
) -> Calibration:
    categories = GRADES if form == "grade" else CHOICES
    human, machine = [a for a, _ in pairs], [b for _, b in pairs]
    good = categories[-1]
    yes = [b == good for a, b in pairs if a == good]
    no = [b != good for a, b in pairs if a != good]
    return Calibration(
        judge=judge.id,
        model=judge.identity.model,
        form=form,
        kappa=cohen_kappa(human, machine, categories) if pairs else None,
        weighted=cohen_kappa(human, machine, categories, weights="quadratic") if pairs else None,
        sensitivity=wilson(sum(yes), len(yes)) if yes else None,
        specificity=wilson(sum(no), len(no)) if no else None,
        bias=bias,
        pairs=pairs,
        unjudged=unjudged,
    )


def _label(line: str, where: str) -> Label:
    try:
        data = json.loads(line)
        form = "pair" if "first" in data else "grade"
        texts = [data[name] for name in _FIELDS[form]]
        raw, reference = data["label"], data.get("reference", "")
        label = _NAMES[raw] if isinstance(raw, bool) else str(raw)
        allowed = GRADES if form == "grade" else CHOICES
        if not all(isinstance(text, str) for text in [*texts, reference]) or label not in allowed:
            raise ValueError("fields of another kind")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(
            "not a label",
            where=where,
            fix='write {"question", "answer", "label": "right" or "wrong"} or {"question", '
            '"first", "second", "label": "first", "second" or "tie"}',
        ) from error
    return Label(str(data.get("id", where)), texts[0], tuple(texts[1:]), label, reference)


def _check(labels: Sequence[Label], where: str) -> Form:
    if len(labels) < LEAST_LABELS:
        raise DataError(
            f"{len(labels)} labels cannot calibrate a judge", where=where, fix=_MORE_LABELS
        )
    forms = {len(label.answers) for label in labels}
    if len(forms) > 1:
        raise DataError(
            "the labels mix grades and pairs", where=where, fix="keep one kind in a file"
        )
    if len({label.label for label in labels}) < 2:
        raise DataError(
            "every label is the same: agreement beyond chance cannot show",
            where=where,
            fix=_MORE_LABELS,
        )
    if len({label.id for label in labels}) < len(labels):
        raise DataError("an id occurs twice", where=where, fix="give each label its own id")
    return "grade" if forms == {1} else "pair"
