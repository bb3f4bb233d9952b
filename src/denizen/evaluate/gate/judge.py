"""Ask every question, then say one word: the gate itself.

Contract: see the package. Checks come in a fixed order (overall, families, slices, floors,
behaviours, previous release, quantisation, ladder, forgetting, what was judged elsewhere), so that
equal scores give equal verdicts. FAIL outweighs INCONCLUSIVE, which outweighs PASS.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from denizen.evaluate.forgetting import GeneralScores
from denizen.evaluate.gate.behaviours import BehaviourScores, behaviour
from denizen.evaluate.gate.floors import above_floor
from denizen.evaluate.gate.noninferiority import forgotten, ladder, not_worse, previous_release
from denizen.evaluate.gate.settings import (
    FORGETTING_MARGIN,
    PREVIOUS_MARGIN,
    QUANT_MARGIN,
    SLICES,
    Settings,
)
from denizen.evaluate.gate.slices import harmless
from denizen.evaluate.gate.superiority import families, superior
from denizen.evaluate.gate.verdict import Check, GateVerdict, Status, unfinished
from denizen.evaluate.gate.wording import look_sentence, names
from denizen.evaluate.looks import Look
from denizen.evaluate.records import PairingError, SuiteResult, pair
from denizen.evaluate.stats import RESAMPLES, SEED


def gate(
    base: SuiteResult,
    candidate: SuiteResult,
    *,
    alpha: float = 0.05,
    previous: SuiteResult | None = None,
    previous_margin: float = PREVIOUS_MARGIN,
    reference: SuiteResult | None = None,
    quants: Mapping[str, SuiteResult] | None = None,
    quant_margin: float = QUANT_MARGIN,
    forgetting: tuple[GeneralScores, GeneralScores] | None = None,
    forgetting_margin: float = FORGETTING_MARGIN,
    every_family: bool = True,
    slices: Sequence[str] = SLICES,
    floors: Mapping[str, float] | None = None,
    behaviours: Sequence[BehaviourScores] = (),
    further: Sequence[Check] = (),
    incomplete: Mapping[str, str] | None = None,
    look: Look | None = None,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> GateVerdict:
    """Judge `candidate`, the artefact that ships.

    base          it must be significantly better, overall (two-sided exact McNemar at alpha, and
                  the 1 - alpha cluster interval above zero).
    every_family  and in every family (Holm over families); without it, families must not be
                  significantly worse.
    slices        nor may any slice by these dimensions (Holm over slices; () for none).
    floors        family (or "overall") -> accuracy its Wilson lower bound must exceed.
    behaviours    suites judged by their own rule.
    previous      not worse by `previous_margin`, superiority told besides; a margin of 0 asks for
                  superiority. See `noninferiority.py` for why.
    reference     the merged model before quantisation: not worse by `quant_margin`.
    quants        and neither is any of these files, name -> scores (needs `reference`).
    forgetting    (before, after) scores on the general questions: not worse by
                  `forgetting_margin`.
    further       checks that were judged elsewhere (see `outside.py`).
    incomplete    check (name or subject) -> why its figure is unfinished: INCONCLUSIVE. A key
                  that names no check becomes one.
    look          a counted look at this holdout: its share of `alpha` is the level of every check
                  on the holdout. Behaviour suites and general questions are other items, which no
                  ledger counts, and keep the whole of `alpha`.
    """
    if not 0 < alpha < 0.5:
        raise ValueError(f"need 0 < alpha < 0.5, got {alpha}")
    beside = Settings(alpha, resamples, seed)
    if look is not None:
        _same_look(look, candidate, alpha)
        alpha = look.alpha
    if quants and reference is None:
        raise ValueError("a ladder of quants needs the merged model's scores as `reference`")
    settings = Settings(alpha, resamples, seed)
    pairs = pair(base, candidate)
    checks = [superior(pairs, base.system, "overall", settings)]
    if every_family:
        checks += families(pairs, base.system, settings)
    dimensions = tuple(slices) if every_family else ("family", *slices)
    checks += harmless(pairs, base.system, dimensions, settings)
    for subject, floor in (floors or {}).items():
        scores = [s for s in candidate.scores if subject in ("overall", s.family)]
        checks.append(above_floor(f"floor {subject}", subject, scores, floor, settings))
    checks += [behaviour(suite, beside) for suite in behaviours]
    if previous is not None:
        checks.append(previous_release(previous, candidate, previous_margin, settings))
    if reference is not None:
        checks.append(not_worse("quantisation", reference, candidate, quant_margin, settings))
        checks += ladder(reference, quants or {}, quant_margin, settings)
    if forgetting is not None:
        checks.append(forgotten(forgetting, base.system, forgetting_margin, beside))
    checks = _reopened([*checks, *further], incomplete or {})
    return _verdict(checks, base, candidate, alpha, look)


def _same_look(look: Look, candidate: SuiteResult, alpha: float) -> None:
    if abs(look.total - alpha) > 1e-12:
        raise ValueError(f"the looks at this holdout share alpha = {look.total}, not {alpha}")
    if candidate.artefact and look.candidate != candidate.artefact:
        raise PairingError(
            f"look {look.number} was counted for another candidate than {candidate.system!r}",
            where="gate",
            fix="count a look for the file that is judged, before it is scored",
        )


def _reopened(checks: list[Check], incomplete: Mapping[str, str]) -> list[Check]:
    """Figures that something unfinished feeds are undecided, good or bad.

    The zero rule's failures stand: no further case can undo them.
    """
    used: set[str] = set()
    found = []
    for check in checks:
        key = next((k for k in (check.name, check.subject) if k in incomplete), None)
        if key is not None:
            used.add(key)
            if not (check.kind == "zero" and check.status is Status.FAIL):
                check = unfinished(
                    check.name,
                    check.subject,
                    incomplete[key],
                    against=check.against,
                    threshold=check.threshold,
                    n=check.n,
                    n_needed=check.n_needed,
                )
        found.append(check)
    return found + [unfinished(k, k, why) for k, why in incomplete.items() if k not in used]


def _verdict(
    checks: list[Check],
    base: SuiteResult,
    candidate: SuiteResult,
    alpha: float,
    look: Look | None,
) -> GateVerdict:
    failed = [check.name for check in checks if check.status is Status.FAIL]
    open_ = [check for check in checks if check.status is Status.INCONCLUSIVE]
    needed = None
    if failed:
        status = Status.FAIL
        sentence = f"{candidate.system} must not be released: {names(failed)} failed."
    elif open_:
        status = Status.INCONCLUSIVE
        known = [check.n_needed for check in open_]
        needed = max((n for n in known if n is not None), default=None)
        sentence = (
            f"Not proven either way: {names([check.name for check in open_])} "
            f"{'is' if len(open_) == 1 else 'are'} undecided at n = {base.n}."
        )
    else:
        status = Status.PASS
        sentence = (
            f"{candidate.system} may be released: all {len(checks)} checks passed "
            f"on {base.n} paired items."
        )
    verdict = GateVerdict(
        status,
        sentence,
        candidate.system,
        base.system,
        alpha,
        base.n,
        tuple(checks),
        candidate.hash(),
        base.hash(),
        needed,
    )
    return verdict if look is None else _counted(verdict, look)


def _counted(verdict: GateVerdict, look: Look) -> GateVerdict:
    """The verdict with its look shown."""
    told = look_sentence(look.number, look.alpha, look.total, look.left)
    return replace(
        verdict,
        sentence=f"{verdict.sentence} {told}",
        look=look.number,
        alpha_total=look.total,
        alpha_spent=look.spent,
        alpha_left=look.left,
        look_hash=look.entry,
    )
