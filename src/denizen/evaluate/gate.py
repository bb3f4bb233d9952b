"""The release gate: PASS, FAIL, or an honest INCONCLUSIVE with the n that would settle it.

Contract: `gate` compares suite results item by item on one frozen holdout and returns a
JSON-serialisable `GateVerdict`. A candidate passes when EVERY check passes; each check is tested
at alpha on its own, which keeps the chance of a false PASS at or below alpha (all must reject).
Families are corrected with Holm, because each one is also reported as a claim of its own.
Exit codes: 0 PASS, 1 FAIL, 3 INCONCLUSIVE. Raises PairingError on mismatched or doubled items.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from denizen.evaluate.forgetting import GeneralScores
from denizen.evaluate.margin import noninferiority
from denizen.evaluate.power import n_for_difference, n_for_noninferiority
from denizen.evaluate.records import PairingError, Score, SuiteResult, pair
from denizen.evaluate.stats import (
    RESAMPLES,
    SEED,
    Difference,
    McNemar,
    discordant,
    holm,
    mcnemar,
    paired_bootstrap,
)

QUANT_MARGIN = 0.03
FORGETTING_MARGIN = 0.10
POWER = 0.8


class Status(StrEnum):
    PASS = "PASS"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"


EXIT_CODES = {Status.PASS: 0, Status.FAIL: 1, Status.INCONCLUSIVE: 3}


@dataclass(frozen=True, slots=True)
class Check:
    """One question the gate asked, with the figures that answered it.

    `figure`, `low`, `high`: the paired difference (candidate - `against`) and its interval at
    `confidence` (for non-inferiority: two one-sided bounds). `threshold` is what `low` must
    exceed. `p` is what was compared with alpha (after Holm for families). `first_rate` and
    `second_rate` are the accuracies of `against` and of the candidate, in [0, 1].
    """

    name: str
    kind: str
    subject: str
    against: str
    status: Status
    figure: float
    low: float
    high: float
    confidence: float
    p: float
    threshold: float
    n: int
    wins: int
    losses: int
    first_rate: float
    second_rate: float
    n_needed: int | None
    sentence: str


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """The verdict and every check behind it; hashes name the exact score files compared."""

    status: Status
    sentence: str
    candidate: str
    base: str
    alpha: float
    n: int
    checks: tuple[Check, ...]
    candidate_hash: str
    base_hash: str
    n_needed: int | None = None

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.status]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"exit_code": self.exit_code}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> GateVerdict:
        """Raises pydantic.ValidationError for anything `to_dict` would not write."""
        from pydantic import TypeAdapter

        plain = {key: value for key, value in data.items() if key != "exit_code"}
        return TypeAdapter(cls).validate_python(plain)


@dataclass(frozen=True, slots=True)
class _Settings:
    alpha: float
    resamples: int
    seed: int


def gate(
    base: SuiteResult,
    candidate: SuiteResult,
    *,
    alpha: float = 0.05,
    previous: SuiteResult | None = None,
    reference: SuiteResult | None = None,
    quant_margin: float = QUANT_MARGIN,
    forgetting: tuple[GeneralScores, GeneralScores] | None = None,
    forgetting_margin: float = FORGETTING_MARGIN,
    every_family: bool = True,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> GateVerdict:
    """Judge `candidate`, the artefact that ships.

    base, previous   it must be significantly better than each, overall (two-sided exact McNemar
                     at alpha, and the 1 - alpha cluster bootstrap interval above zero).
    every_family     and, against base, in every family (Holm over families).
    reference        the merged model before quantisation: not worse by `quant_margin`.
    forgetting       (before, after) scores on the general questions: not worse by
                     `forgetting_margin`.
    """
    if not 0 < alpha < 0.5:
        raise ValueError(f"need 0 < alpha < 0.5, got {alpha}")
    settings = _Settings(alpha, resamples, seed)
    pairs = pair(base, candidate)
    checks = [_superior(pairs, base.system, "overall", settings)]
    if every_family:
        checks += _families(pairs, base.system, settings)
    if previous is not None:
        checks.append(
            _superior(pair(previous, candidate), previous.system, "previous release", settings)
        )
    if reference is not None:
        matched = pair(reference, candidate)
        checks.append(
            _noninferior(
                "quantisation",
                [a.ok for a, _ in matched],
                [b.ok for _, b in matched],
                [a.cluster for a, _ in matched],
                against=reference.system,
                margin=quant_margin,
                settings=settings,
            )
        )
    if forgetting is not None:
        before, after = forgetting
        if before.ids != after.ids:
            raise PairingError(
                "the two systems answered different general questions",
                where="gate",
                fix="score both with the same version of Denizen",
            )
        checks.append(
            _noninferior(
                "forgetting",
                before.ok,
                after.ok,
                None,
                against=f"{base.system} on general questions",
                margin=forgetting_margin,
                settings=settings,
            )
        )
    return _verdict(checks, base, candidate, alpha)


def _verdict(
    checks: list[Check], base: SuiteResult, candidate: SuiteResult, alpha: float
) -> GateVerdict:
    failed = [check.name for check in checks if check.status is Status.FAIL]
    open_ = [check for check in checks if check.status is Status.INCONCLUSIVE]
    needed = None
    if failed:
        status = Status.FAIL
        sentence = f"{candidate.system} must not be released: {_names(failed)} failed."
    elif open_:
        status = Status.INCONCLUSIVE
        known = [check.n_needed for check in open_]
        needed = max((n for n in known if n is not None), default=None)
        sentence = (
            f"Not proven either way: {_names([check.name for check in open_])} "
            f"{'is' if len(open_) == 1 else 'are'} undecided at n = {base.n}."
        )
    else:
        status = Status.PASS
        sentence = (
            f"{candidate.system} may be released: all {len(checks)} checks passed "
            f"on {base.n} paired items."
        )
    return GateVerdict(
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


def _families(pairs: list[tuple[Score, Score]], against: str, settings: _Settings) -> list[Check]:
    groups: dict[str, list[tuple[Score, Score]]] = {}
    for one, other in pairs:
        groups.setdefault(one.family, []).append((one, other))
    p_values = {
        family: mcnemar(*discordant([a.ok for a, _ in group], [b.ok for _, b in group])).p
        for family, group in groups.items()
    }
    adjusted = holm(p_values, settings.alpha)
    return [
        _superior(
            groups[family],
            against,
            family,
            settings,
            p_adjusted=adjusted[family].adjusted,
            # The n needed is for the strictest Holm step, since the order may change.
            tests=len(groups),
        )
        for family in sorted(groups)
    ]


def _superior(
    pairs: list[tuple[Score, Score]],
    against: str,
    subject: str,
    settings: _Settings,
    *,
    p_adjusted: float | None = None,
    tests: int = 1,
) -> Check:
    first = [a.ok for a, _ in pairs]
    second = [b.ok for _, b in pairs]
    clusters: list[Hashable] = [a.cluster for a, _ in pairs]
    test = mcnemar(*discordant(first, second))
    boot = _interval(first, second, clusters, settings, family=p_adjusted is not None)
    p = test.p if p_adjusted is None else p_adjusted
    if p <= settings.alpha and test.wins > test.losses and boot.low > 0:
        status = Status.PASS
    elif p <= settings.alpha and test.losses > test.wins and boot.high < 0:
        status = Status.FAIL
    else:
        status = Status.INCONCLUSIVE
    needed = None
    if status is Status.INCONCLUSIVE:
        needed = _needed(test, boot, first, second, settings, tests)
    return Check(
        name=subject if p_adjusted is None else f"family {subject}",
        kind="superiority",
        subject=subject,
        against=against,
        status=status,
        figure=boot.value,
        low=boot.low,
        high=boot.high,
        confidence=boot.confidence,
        p=p,
        threshold=0.0,
        n=len(pairs),
        wins=test.wins,
        losses=test.losses,
        first_rate=sum(first) / len(first),
        second_rate=sum(second) / len(second),
        n_needed=needed,
        sentence=_superior_sentence(status, test, boot, p, needed),
    )


def _interval(
    first: list[bool],
    second: list[bool],
    clusters: list[Hashable],
    settings: _Settings,
    *,
    family: bool,
) -> Difference:
    """Cluster bootstrap; inside a family with very few templates it has too few units to
    resample (under five), so there the plain paired interval stands and says so by its method."""
    grouped = len(set(clusters)) >= (5 if family else 2)
    return paired_bootstrap(
        first,
        second,
        clusters=clusters if grouped else None,
        confidence=1 - settings.alpha,
        resamples=settings.resamples,
        seed=settings.seed,
    )


def _needed(
    test: McNemar,
    boot: Difference,
    first: list[bool],
    second: list[bool],
    settings: _Settings,
    tests: int,
) -> int | None:
    n = len(first)
    if test.wins <= test.losses:
        return None
    needed = n_for_difference(
        boot.value, (test.wins + test.losses) / n, settings.alpha / tests, POWER
    )
    if boot.method.startswith("cluster"):
        # Items that share a template carry less information than independent ones.
        plain = paired_bootstrap(
            first,
            second,
            confidence=boot.confidence,
            resamples=settings.resamples,
            seed=settings.seed,
        )
        width = plain.high - plain.low
        if width > 0:
            needed = round(needed * max(1.0, ((boot.high - boot.low) / width) ** 2))
    return max(needed, n + 1)


def _noninferior(
    name: str,
    first: Sequence[bool],
    second: Sequence[bool],
    clusters: Sequence[Hashable] | None,
    *,
    against: str,
    margin: float,
    settings: _Settings,
) -> Check:
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
            needed = max(plan, result.n + 1)
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
        sentence=_noninferior_sentence(status, result.value, result.low, margin, needed),
    )


def points(value: float) -> str:
    """A difference of rates in percentage points, signed: 0.123 -> '+12.3'."""
    return f"{100 * value:+.1f}"


def p_text(p: float) -> str:
    return "p < 0.0001" if p < 1e-4 else f"p = {p:.4f}"


def _names(names: list[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def _superior_sentence(
    status: Status, test: McNemar, boot: Difference, p: float, needed: int | None
) -> str:
    figures = (
        f"{points(boot.value)} points [{points(boot.low)}, {points(boot.high)}], "
        f"{test.wins} won, {test.losses} lost, {p_text(p)}"
    )
    if status is Status.PASS:
        return f"Significantly better: {figures}."
    if status is Status.FAIL:
        return f"Significantly worse: {figures}."
    if needed is None:
        return f"Undecided: {figures}; no number of items would help without a better candidate."
    return f"Undecided: {figures}; about {needed:,} paired items would settle it."


def _noninferior_sentence(
    status: Status, value: float, low: float, margin: float, needed: int | None
) -> str:
    figures = f"{points(value)} points, lower bound {points(low)}, margin {points(-margin)}"
    if status is Status.PASS:
        return f"Not worse beyond the margin: {figures}."
    if status is Status.FAIL:
        return f"Worse by more than the margin: {figures}."
    if needed is None:
        return f"Undecided: {figures}; the loss observed already reaches the margin."
    return f"Undecided: {figures}; about {needed:,} paired items would settle it."
