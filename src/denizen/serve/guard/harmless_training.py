"""Makes the first look at harmless texts (harmless.py); `training.py` calls it and writes both.

Contract: fitted on the "fit" rows and on questions of the training split. Its threshold is judged
on attacks that no rule sees, each by a model that has seen neither its technique nor its goal: of
those that the classifier catches (fitted without that technique) at most LOST are let through, of
all of them at most MISSED. Held rows and suites are measured on and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from denizen.project.hashing import content_hash
from denizen.serve.guard.harmless import LONGEST, Harmless, words
from denizen.serve.guard.measuring import share

if TYPE_CHECKING:
    from denizen.serve.guard.training import Judged, Seen

LOST, MISSED = 0.005, 0.01
# Of 1, 3, 10 and 30 the one that lets through most questions of families and of seeds not seen.
PENALTY = 10.0
FOLDS = 4
ASKED, FRESH = range(200), range(5000, 5060)  # seeds of questions: fitted on, and measured on


class Text(NamedTuple):
    """What is fitted on: a window or a payload; `family`, `goal` and `group` as in attacks.Row."""

    text: str
    attack: bool
    family: str
    goal: str
    group: str


@cache
def questions(seeds: range) -> tuple[Text, ...]:
    """Honest questions of every family of tasks, training split."""
    from denizen.tasks import suite_of

    return tuple(
        Text(family.generate(seed, "train").prompt, False, name, "", f"{name}/{seed}")
        for name, family in suite_of("core").families.items()
        for seed in seeds
    )


def digest(classifier: str) -> str:
    """What a first look belongs to: the classifier's rows and rules, and the questions."""
    return content_hash([classifier, [list(text) for text in questions(ASKED)]])


def texts(rows: Sequence[Judged]) -> list[Text]:
    """Windows that nothing disguises; of attacks those with the payload, and the payload alone."""
    found: dict[str, Text] = {}
    for seen, _ in rows:
        about = (seen.row.attack, seen.row.family, seen.row.goal, seen.row.group)
        open_ = [p for p in seen.pieces if not {"decoded", "in disguise"} & p.features.keys()]
        for piece in open_:
            if not seen.row.attack or piece.touches(seen.row.payload):
                found.setdefault(piece.text, Text(piece.text, *about))
        if seen.row.payload and len(open_) == len(seen.pieces) == 1:
            found.setdefault(seen.row.payload, Text(seen.row.payload, *about))
    return list(found.values())


def fit(rows: Sequence[Text], data: str, above: float) -> Harmless:
    """Weights >= 0 of the words and pairs that at least two wordings share; threshold still 1/2."""
    import numpy as np
    from scipy.optimize import minimize
    from scipy.sparse import csr_matrix

    features = [_features(row.text) for row in rows]
    groups: dict[str, set[str]] = {}
    for row, found in zip(rows, features, strict=True):
        for name in found:
            groups.setdefault(name, set()).add(row.group)
    names = sorted(name for name, of in groups.items() if len(of) > 1)
    place = {name: i for i, name in enumerate(names)}
    cells = [
        (i, place[n]) for i, found in enumerate(features) for n in sorted(found & place.keys())
    ]
    x = csr_matrix((np.ones(len(cells)), tuple(zip(*cells, strict=True))), (len(rows), len(names)))
    y = np.array([row.attack for row in rows], float)
    balance = np.where(y > 0.5, 0.5 / y.mean(), 0.5 / (1 - y.mean()))

    def loss(beta: Any) -> tuple[float, Any]:
        z = beta[0] + x @ beta[1:]
        off = balance * (1 / (1 + np.exp(-np.clip(z, -40, 40))) - y)
        value = (balance * (np.logaddexp(0, z) - y * z)).sum() + PENALTY / 2 * (beta[1:] ** 2).sum()
        return float(value), np.concatenate([[off.sum()], x.T @ off + PENALTY * beta[1:]])

    bounds = [(None, None)] + [(0.0, None)] * len(names)
    start = np.zeros(len(names) + 1)
    beta = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    weights = {n: round(float(w), 3) for n, w in zip(names, beta[1:], strict=True) if w >= 0.0005}
    known = {w for row in rows if not row.attack for w in words(row.text).all if len(w) <= LONGEST}
    return Harmless(data, frozenset(known), weights, round(float(beta[0]), 3), 0.5, above, {})


def _features(text: str) -> set[str]:
    found = words(text)
    return {name for name in {*found.all, *found.pairs} if len(name) <= 2 * LONGEST}


class Glanced(NamedTuple):
    """What the words say of a row, whether both others catch it, and whether no rule sees it."""

    score: float | None
    caught: bool
    unruled: bool


def train(
    parts: Mapping[str, Sequence[Judged]], suites: Sequence[Judged], above: float, data: str
) -> Harmless:
    """Fit, threshold and figures; `parts` hold the classifier's scores, those of fit unseen."""
    every = [*texts(parts["fit"]), *questions(ASKED)]
    base = fit(every, data, above)
    hard = _attacks(every, [*parts["fit"], *parts["validation"]], above)
    limits = (
        _level([one.score for one in hard if one.unruled and one.caught], LOST),
        _level([one.score for one in hard if one.unruled], MISSED),
    )
    # Rounded down: up to here, not beyond.
    model = replace(base, threshold=math.floor(1e4 * min(limits)) / 1e4)

    def let(scores: Iterable[float | None]) -> dict[str, Any]:
        found = [score is not None and score < model.threshold for score in scores]
        return {"of": len(found), "let through": share(found)}

    rows, asked = _honest(every, parts, base)
    made = {
        "fitted on": {
            "rows": len(every) - len(questions(ASKED)),
            "questions": len(questions(ASKED)),
        },
        "penalty": PENALTY,
        "threshold": f"lets through at most {LOST:.1%} of the attacks that the classifier catches "
        f"and {MISSED:.0%} of all that no rule sees, of techniques and goals not seen (not held)",
        "attacks, technique and goal not seen": {
            "no rule sees them": let(o.score for o in hard if o.unruled),
            "no rule sees them, the classifier does": let(
                o.score for o in hard if o.unruled and o.caught
            ),
            "rules or classifier see them": let(o.score for o in hard if o.caught),
        },
        "honest rows, family not seen": let(rows),
        "questions, family not seen": let(asked),
        "questions, seed not seen": let(model.glance(q.text) for q in questions(FRESH)),
        "held": measure(model, parts["held"]),
        "suites injection and injection_clean": measure(model, suites),
    }
    return replace(model, made=made)


def _attacks(every: Sequence[Text], rows: Sequence[Judged], above: float) -> list[Glanced]:
    """Attacks by models that saw every honest text, but neither their technique nor their goal."""
    techniques = sorted({text.family for text in every if text.attack})
    goals = sorted({text.goal for text in every if text.goal})
    found: list[Glanced] = []
    for fold in range(FOLDS):
        out = set(techniques[fold::FOLDS])
        for part in range(FOLDS):
            unknown = set(goals[part::FOLDS])
            model = fit(
                [t for t in every if t.family not in out and t.goal not in unknown], "", above
            )
            for seen, score in rows:
                # Validation's techniques are new to every model: they are dealt out by goal alone.
                here = seen.row.family in out if seen.row.part == "fit" else fold == 0
                goal = seen.row.goal in unknown if seen.row.goal else part == 0
                if seen.row.attack and here and goal:
                    caught = seen.sure or score >= above
                    found.append(Glanced(_look(model, seen), caught, _unruled(seen)))
    return found


def _honest(
    every: Sequence[Text], parts: Mapping[str, Sequence[Judged]], base: Harmless
) -> tuple[list[float | None], list[float | None]]:
    """Honest rows, and questions of other seeds, by models that have not seen their family."""
    families = sorted({text.family for text in every if not text.attack})
    rows = [_look(base, seen) for seen, _ in parts["validation"] if not seen.row.attack]
    asked: list[float | None] = []
    for fold in range(FOLDS):
        out = set(families[fold::FOLDS])
        model = fit([text for text in every if text.family not in out], "", base.above)
        here = [s for s, _ in parts["fit"] if s.row.family in out and not s.row.attack]
        rows += [_look(model, seen) for seen in here]
        asked += [model.glance(q.text) for q in questions(FRESH) if q.family in out]
    return rows, asked


def _look(model: Harmless, seen: Seen) -> float | None:
    return model.glance(seen.row.text) if _unruled(seen) else None


def _unruled(seen: Seen) -> bool:
    """Whether no rule fires and nothing is decoded: only then the words are asked."""
    return len(seen.pieces) == 1 and not seen.pieces[0].features


def _level(scores: Sequence[float | None], least: float) -> float:
    """The highest threshold under which at most this share of the scores lies; at most 1/2."""
    ordered = sorted(score for score in scores if score is not None)
    allowed = int(least * len(scores))
    return min(0.5, ordered[allowed]) if len(ordered) > allowed else 0.5


def measure(model: Harmless, rows: Sequence[Judged]) -> dict[str, Any]:
    """What both stages find together and apart, and what the first lets through."""
    from denizen.serve.guard.rules import find

    let = [model.score(seen.row.text, find(seen.row.text)) is not None for seen, _ in rows]
    caught = [seen.sure or score >= model.above for seen, score in rows]
    pairs = list(zip(rows, caught, let, strict=True))
    attacks = [(hit, passed) for (seen, _), hit, passed in pairs if seen.row.attack]
    honest = [(hit, passed) for (seen, _), hit, passed in pairs if not seen.row.attack]
    return {
        "attacks": len(attacks),
        "honest": len(honest),
        "recall of the classifier alone": share([hit for hit, _ in attacks]),
        "recall of both stages": share([hit and not passed for hit, passed in attacks]),
        "caught attacks lost": share([passed for hit, passed in attacks if hit]),
        "false alarms of both stages": share([hit and not passed for hit, passed in honest]),
        "attacks let through": share([passed for _, passed in attacks]),
        "honest rows let through": share([passed for _, passed in honest]),
    }
