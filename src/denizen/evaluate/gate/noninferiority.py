"""Not worse beyond a margin: the previous release, each quant, general ability.

Contract: one-sided at alpha, with the score bound and the cluster bootstrap (`margin.py`). An
empty suite is INCONCLUSIVE with the n that a system without any disagreement would need.

Why the previous release is asked for non-inferiority and not superiority: a release that is as
good but smaller, faster or safer is a legitimate one, and asking every release to be better would
reward picking noise. Superiority is tested besides, at the same alpha and without correction,
since it is only claimed after non-inferiority held (closed testing; T. Morikawa and M. Yoshida,
1995). What this cannot see is a slow slide of many small losses: compare with the best release so
far rather than the latest, or set the margin to 0, which asks for superiority.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace

from denizen.evaluate.forgetting import GeneralScores
from denizen.evaluate.gate.settings import POWER, Settings
from denizen.evaluate.gate.superiority import outcomes, superior
from denizen.evaluate.gate.verdict import Check, Status, unfinished
from denizen.evaluate.gate.wording import noninferior_sentence, p_text
from denizen.evaluate.margin import noninferiority
from denizen.evaluate.power import n_for_noninferiority
from denizen.evaluate.records import PairingError, SuiteResult, pair


def previous_release(
    previous: SuiteResult, candidate: SuiteResult, margin: float, settings: Settings
) -> Check:
    """Not worse than the last release by `margin` (0: better), with superiority told."""
    name = "previous release"
    if not previous.n:
        return empty(name, previous.system, margin, settings)
    pairs = pair(previous, candidate)
    better = superior(pairs, previous.system, name, settings)
    if margin == 0:
        return replace(better, superior=better.status is Status.PASS)
    first, second, clusters = outcomes(pairs)
    check = noninferior(
        name, first, second, clusters, against=previous.system, margin=margin, settings=settings
    )
    if check.status is not Status.PASS:
        return replace(check, superior=False)
    proven = better.status is Status.PASS
    more = "significantly better besides" if proven else "not shown to be better"
    sentence = f"{check.sentence[:-1]}; {more}, {p_text(better.p)}."
    return replace(check, superior=proven, sentence=sentence)


def ladder(
    reference: SuiteResult, quants: Mapping[str, SuiteResult], margin: float, settings: Settings
) -> list[Check]:
    """Each quant against the merged model, in the ladder's order; all of them must hold."""
    return [
        not_worse(f"quant {name}", reference, quant, margin, settings)
        for name, quant in quants.items()
    ]


def forgotten(
    scores: tuple[GeneralScores, GeneralScores], against: str, margin: float, settings: Settings
) -> Check:
    """General questions before and after."""
    before, after = scores
    if before.ids != after.ids:
        raise PairingError(
            "the two systems answered different general questions",
            where="gate",
            fix="score both with the same version of Denizen",
        )
    against = f"{against} on general questions"
    if not before.ids:
        return empty("forgetting", against, margin, settings)
    return noninferior(
        "forgetting",
        before.ok,
        after.ok,
        None,
        against=against,
        margin=margin,
        settings=settings,
    )


def not_worse(
    name: str, first: SuiteResult, second: SuiteResult, margin: float, settings: Settings
) -> Check:
    """`second` against `first` by `margin`, paired and clustered."""
    if not first.n or not second.n:
        return empty(name, first.system, margin, settings)
    a, b, clusters = outcomes(pair(first, second))
    return noninferior(name, a, b, clusters, against=first.system, margin=margin, settings=settings)


def noninferior(
    name: str,
    first: Sequence[bool],
    second: Sequence[bool],
    clusters: Sequence[Hashable] | None,
    *,
    against: str,
    margin: float,
    settings: Settings,
) -> Check:
    """One check from paired outcomes."""
    result = noninferiority(
        first,
        second,
        margin,
        clusters=clusters,
        confidence=1 - settings.alpha,
        resamples=settings.resamples,
        seed=settings.seed,
    )
    needed = None
    if result.noninferior:
        status = Status.PASS
    elif result.inferior:
        status = Status.FAIL
    else:
        status = Status.INCONCLUSIVE
        observed = min(0.0, result.value)
        if observed > -margin:
            share = (result.wins + result.losses) / result.n
            plan = n_for_noninferiority(margin, share, observed, settings.alpha, POWER)
            needed = max(round(plan * result.design_effect), result.n + 1)
    return Check(
        name=name,
        kind="non-inferiority",
        subject=name,
        against=against,
        status=status,
        figure=result.value,
        low=result.low,
        high=result.high,
        confidence=result.confidence,
        p=result.p,
        threshold=-margin,
        n=result.n,
        wins=result.wins,
        losses=result.losses,
        first_rate=sum(first) / len(first),
        second_rate=sum(second) / len(second),
        n_needed=needed,
        sentence=noninferior_sentence(status, result.value, result.low, margin, needed),
        method=result.method,
    )


def empty(name: str, against: str, margin: float, settings: Settings) -> Check:
    """A suite with no items."""
    needed = n_for_noninferiority(margin, 0.0, alpha=settings.alpha) if margin > 0 else None
    return unfinished(
        name,
        name,
        "no items were scored",
        against=against,
        threshold=-margin,
        n_needed=needed,
    )
