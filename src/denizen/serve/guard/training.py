"""Makes the injection classifier and its first look: `python -m denizen.serve.guard.training`.

Contract: fitted on the "fit" rows of attacks.py, penalty chosen on "validation", the threshold on
honest rows of that and, cross-fitted by family, of fit; figures taken on "held" (techniques and
honest families of which neither has seen any) and on the suites `injection` and `injection_clean`,
which are measured and nothing else. The same code and embedder give the same two files, in the
package's assets or in the folder that is named; harmless_training.py makes the second.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from denizen.project.hashing import content_hash
from denizen.serve.guard import attacks, harmless, harmless_training, injection
from denizen.serve.guard.attacks import Row
from denizen.serve.guard.harmless import Harmless
from denizen.serve.guard.injection import InjectionModel, Piece, pieces
from denizen.serve.guard.measuring import figures
from denizen.serve.guard.rules import everything, find

if TYPE_CHECKING:
    from denizen.models.embedder import Embeds, Vectors

COMMAND = "python -m denizen.serve.guard.training"
PENALTIES = (0.1, 0.3, 1.0, 3.0)
FOLDS = 4
# Share of honest rows of unseen families that the threshold may flag. These rows are written to be
# hard (orders to people, wishes for a form): what it comes to elsewhere is in the held figures.
FALSE_ALARMS = 0.01


@cache
def digest() -> str:
    """What a classifier belongs to: every row, and every rule that is a feature of it."""
    rules = [[r.name, r.certain, r.pattern, list(r.needs)] for r in everything()]
    return content_hash([attacks.digest(), rules])


class Seen(NamedTuple):
    """A row with its pieces, their vectors, and whether a rule was certain."""

    row: Row
    pieces: tuple[Piece, ...]
    vectors: Vectors
    sure: bool


class Judged(NamedTuple):
    """A row and the classifier's score of it."""

    seen: Seen
    score: float


def look(rows: Sequence[Row], embedder: Embeds) -> list[Seen]:
    """Embed every piece of every row once."""
    hits = [find(row.text) for row in rows]
    groups = [tuple(pieces(row.text, found)) for row, found in zip(rows, hits, strict=True)]
    flat = list(dict.fromkeys(piece.text for group in groups for piece in group))
    place = {text: i for i, text in enumerate(flat)}
    vectors = embedder.embed(flat)
    return [
        Seen(row, group, vectors[[place[p.text] for p in group]], any(h.certain for h in found))
        for row, group, found in zip(rows, groups, hits, strict=True)
    ]


def fit(
    rows: Sequence[Seen], validation: Sequence[Seen], embedder: str, data: str
) -> InjectionModel:
    """The model with the penalty that loses least on validation, and its threshold.

    The threshold is the least at which 1% of honest rows are flagged by a model that has not seen
    their family: those of validation, and those of fit by a model fitted on the other folds.
    """
    import numpy as np

    made = {p: _fitted(rows, p, embedder, data) for p in PENALTIES}
    penalty = min(PENALTIES, key=lambda p: _loss(made[p], validation))
    model = made[penalty]
    honest = [
        score
        for seen, score in (*judge(model, validation), *crossed(rows, penalty))
        if not seen.row.attack
    ]
    level = float(np.quantile(honest, 1 - FALSE_ALARMS, method="higher"))
    threshold = round(min(0.999, max(0.001, level + 1e-4)), 4)
    return replace(model, threshold=threshold, made={"penalty": penalty, "honest": len(honest)})


def judge(model: InjectionModel, rows: Sequence[Seen]) -> list[Judged]:
    """The rows with their scores."""
    return [Judged(seen, model.of_pieces(seen.pieces, seen.vectors)) for seen in rows]


def crossed(rows: Sequence[Seen], penalty: float) -> list[Judged]:
    """The same, each by a model that has not seen its family."""
    families = sorted({s.row.family for s in rows})
    found: list[Judged] = []
    for fold in range(FOLDS):
        out = set(families[fold::FOLDS])
        other = _fitted([s for s in rows if s.row.family not in out], penalty, "", "")
        found += judge(other, [s for s in rows if s.row.family in out])
    return found


def _fitted(rows: Sequence[Seen], penalty: float, embedder: str, data: str) -> InjectionModel:
    names = sorted({name for seen in rows for piece in seen.pieces for name in piece.features})
    x, y = _design(rows, names)
    beta = _solve(x, y, penalty)
    size = x.shape[1] - len(names)
    return InjectionModel(
        embedder,
        data,
        tuple(float(f"{w:.5g}") for w in beta[1 : 1 + size]),
        {n: float(f"{w:.5g}") for n, w in zip(names, beta[1 + size :], strict=True)},
        float(f"{beta[0]:.5g}"),
        0.5,
        {},
    )


def _design(rows: Sequence[Seen], names: Sequence[str]) -> tuple[Any, Any]:
    """[windows, vector + rules] and labels; of a document only the windows that are the attack."""
    import numpy as np

    x, y = [], []
    for seen in rows:
        for piece, vector in zip(seen.pieces, seen.vectors, strict=True):
            if seen.row.attack and not piece.touches(seen.row.payload):
                continue
            by_rule = np.array([piece.features.get(name, 0.0) for name in names])
            x.append(np.concatenate([vector, by_rule]))
            y.append(float(seen.row.attack))
    return np.array(x), np.array(y)


def _solve(x: Any, y: Any, penalty: float) -> Any:
    """[bias, weights...] of the balanced, L2-penalised logistic regression (L-BFGS)."""
    import numpy as np
    from scipy.optimize import minimize

    share = y.mean()
    w = np.where(y > 0.5, 0.5 / share, 0.5 / (1 - share))
    design = np.column_stack([np.ones(len(x)), x])

    def loss(beta: Any) -> tuple[float, Any]:
        z = design @ beta
        p = 1 / (1 + np.exp(-np.clip(z, -40, 40)))
        value = (w * (np.logaddexp(0, z) - y * z)).sum() + penalty / 2 * (beta[1:] ** 2).sum()
        slope = design.T @ (w * (p - y))
        slope[1:] += penalty * beta[1:]
        return float(value), slope

    return minimize(loss, np.zeros(design.shape[1]), jac=True, method="L-BFGS-B").x


def _loss(model: InjectionModel, rows: Sequence[Seen]) -> float:
    """Mean log loss, both kinds weighted alike."""
    import numpy as np

    y = np.array([seen.row.attack for seen in rows])
    p = np.clip([model.of_pieces(s.pieces, s.vectors) for s in rows], 1e-6, 1 - 1e-6)
    losses = -np.where(y, np.log(p), np.log(1 - p))
    return float((losses[y].mean() + losses[~y].mean()) / 2)


def suite_rows() -> list[Row]:
    """The two suites of evaluate, to be measured on; never fitted on."""
    from denizen.evaluate.suites.injection import clean_suite, suite

    attacked = [Row(c.prompt, True, c.family, c.template, "held") for c in suite().cases]
    clean = [Row(c.prompt, False, c.family, c.template, "held") for c in clean_suite().cases]
    return attacked + clean


def measure(model: InjectionModel, seen: Sequence[Seen]) -> dict[str, Any]:
    """Figures of the model, of the rules alone, and of both as the shield uses them."""
    labels = [s.row.attack for s in seen]
    groups = [s.row.group for s in seen]
    scores = [model.of_pieces(s.pieces, s.vectors) for s in seen]
    sure = [float(s.sure) for s in seen]
    both = [max(a, b) for a, b in zip(scores, sure, strict=True)]
    return {
        "model": figures(scores, labels, groups, model.threshold),
        "certain rules": figures(sure, labels, groups, 0.5),
        "both": figures(both, labels, groups, model.threshold),
        "recall by family": _by_family(both, seen, model.threshold, attack=True),
        "false alarms by family": _by_family(both, seen, model.threshold, attack=False),
    }


def _by_family(
    scores: Sequence[float], seen: Sequence[Seen], threshold: float, *, attack: bool
) -> Mapping[str, str]:
    counts: dict[str, list[int]] = {}
    for score, one in zip(scores, seen, strict=True):
        if one.row.attack == attack:
            count = counts.setdefault(one.row.family, [0, 0])
            count[0] += score >= threshold
            count[1] += 1
    return {family: f"{hit} of {n}" for family, (hit, n) in counts.items()}


def train(embedder: Embeds) -> tuple[InjectionModel, Harmless]:
    """The whole of it: rows, fit, threshold, figures, and the first look that fits it."""
    seen = {part: look(attacks.rows(part), embedder) for part in attacks.PARTS}
    suites = look(suite_rows(), embedder)
    model = fit(seen["fit"], seen["validation"], embedder.id, digest())
    made = {
        "command": COMMAND,
        "rows": {part: len(seen[part]) for part in attacks.PARTS},
        "attacks": {part: sum(s.row.attack for s in seen[part]) for part in attacks.PARTS},
        **model.made,
        "threshold": f"flags {FALSE_ALARMS:.0%} of honest rows of families not seen (not held)",
        "held": measure(model, seen["held"]),
        "suites injection and injection_clean": measure(model, suites),
    }
    judged = {part: judge(model, seen[part]) for part in ("validation", "held")}
    judged["fit"] = crossed(seen["fit"], model.made["penalty"])
    first = harmless_training.train(
        judged, judge(model, suites), model.threshold, harmless_training.digest(digest())
    )
    return replace(model, made=made), replace(first, made={"command": COMMAND, **first.made})


def main(arguments: Sequence[str]) -> int:
    """Train and write the carried files, or those of the folder that is named."""
    from denizen.models.embedder import Embedder

    folder = Path(arguments[0]) if arguments else Path(__file__).with_name("assets")
    model, first = train(Embedder.load())
    model.save(folder / injection.FILE)
    first.save(folder / harmless.FILE)
    print(folder, file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
