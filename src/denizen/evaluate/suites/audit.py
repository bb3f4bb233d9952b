"""Audit pairs: does the model tell a vulnerable contract from its fixed twin?

Contract: each side of a pair is one case that names the weakness and asks for a verdict; a pair
counts only if both verdicts are right, so "always vulnerable" and "always safe" both score 0.
`paired_result` folds a scored suite into one score a pair (what the gate should compare);
`audit_figures` gives paired accuracy with its interval beside the rate of each side. No model and
no compiler is needed to judge.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from denizen.evaluate.records import Score, SuiteResult
from denizen.evaluate.stats import Proportion, wilson
from denizen.evaluate.suites.audit_reading import ContractPair, carried_pairs
from denizen.evaluate.suites.base import Behaviour, Case, Judgement
from denizen.project.errors import DataError

NAME = "audit"
VULNERABLE, SAFE = "vulnerable", "safe"
_SIDES = {VULNERABLE: "/v", SAFE: "/f"}
# What is asked about each class we carry; other sets' classes are asked about by their name.
_ABOUT: Mapping[str, str] = {
    "reentrancy": "an external call lets the callee enter again before the state is updated",
    "tx-origin": "authorisation rests on tx.origin",
    "unchecked-call": "a call or transfer may fail without anyone noticing",
    "arithmetic": "a figure can wrap around or be cut off",
    "access-control": "someone who should not can call what changes funds or settings",
    "oracle-manipulation": "a price can be moved within one transaction",
    "oracle-staleness": "an outdated price is accepted",
    "timestamp-dependence": "whoever sets the block's time can choose the outcome",
    "weak-randomness": "the outcome of chance can be known in advance",
    "delegatecall": "foreign code runs on this contract's own storage",
    "storage-collision": "two variables of a proxy and its logic share a storage slot",
    "share-inflation": "a donation makes a later depositor's shares round to nothing",
    "rounding": "a division rounds against the contract",
    "signature-replay": "a signature can be used again, here or elsewhere",
    "signature-check": "an invalid signature can be accepted",
    "missing-slippage": "a trade has no effective limit on the price it accepts",
    "missing-deadline": "a transaction can be held back and carried out much later",
    "approval-race": "changing an allowance lets the spender take both amounts",
    "arbitrary-call": "a caller can use what others have approved to this contract",
    "denial-of-service": "one participant can stop the function for all",
    "forced-ether": "ether sent by force breaks a condition on the balance",
    "token-accounting": "more is credited than was received",
    "flash-loan-voting": "borrowed tokens can vote",
    "front-running": "someone who sees a pending transaction can take its gain",
}
_VERDICT = re.compile(
    r"(?P<no>\b(?:not|never|no longer|isn't|is not|aren't|cannot be considered|free of any|no)\s+"
    r"(?:\w+\s+){0,2}?)?\b(?P<word>vulnerable|vulnerabilit(?:y|ies)|unsafe|insecure|exploitable|"
    r"safe|secure)\b",
    re.IGNORECASE,
)
_LABEL = re.compile(r"(?:verdict|answer)\s*(?:is|:)?\s*[*_`\"]*(vulnerable|safe)\b", re.IGNORECASE)
# An echo of the two choices, or a verdict put as a question, is none.
_FIRST = re.compile(
    r"[^A-Za-z]*(vulnerable|safe)\b(?![-\w?]|\W*(?:or|/|and)\W*(?:vulnerable|safe)\b)",
    re.IGNORECASE,
)


class AuditFigures(NamedTuple):
    """`paired`: both sides right; `flagged`: vulnerable sides called so; `cleared`: fixed sides
    called safe. `cleared` and `paired` are None when no fixed side was asked about. `unread` counts
    answers without a verdict, `incomplete` pairs of which one side was not scored."""

    paired: Proportion | None
    flagged: Proportion | None
    cleared: Proportion | None
    unread: int
    incomplete: int


def audit_suite(
    pairs: Iterable[ContractPair] | None = None, *, count: int | None = None
) -> Behaviour:
    """The pairs (default: those carried) as a behaviour; `count` keeps the first pairs, whole."""
    chosen = list(carried_pairs() if pairs is None else pairs)[:count]
    if not chosen:
        raise DataError("no contract pairs", where=NAME, fix="give at least one pair")
    cases = tuple(case for pair in chosen for case in _cases(pair))
    return Behaviour(
        NAME,
        "Audit of contract pairs",
        cases,
        judge,
        "noninferior",
        margin=0.10,
        max_tokens=96,
        validate=lambda: _validate(cases),
        # Without a fixed side there are no pairs, and each contract counts by itself.
        fold=paired_result if any(pair.fixed for pair in chosen) else _as_they_are,
    )


def _as_they_are(result: SuiteResult) -> SuiteResult:
    return result


def suite() -> Behaviour:
    """The carried pairs."""
    return audit_suite()


def judge(case: Case, output: str) -> Judgement:
    """Right when the verdict read is this side's; no verdict is wrong on either side."""
    expected = str(case.facts["side"])
    found = read_verdict(output)
    if found is None:
        return Judgement(False, 0.0, "no verdict", expected)
    return Judgement(found == expected, float(found == expected), found, expected, found)


def read_verdict(text: str) -> str | None:
    """ "vulnerable", "safe", or None where the text gives no verdict or two.

    A labelled verdict counts first, then a verdict the text opens with, then agreement of all that
    is said ("not vulnerable" and "no reentrancy vulnerability" say safe).
    """
    text = text.replace("\u2019", "'")
    labels = {match.lower() for match in _LABEL.findall(text)}
    if labels:
        return labels.pop() if len(labels) == 1 else None
    first = _FIRST.match(text)
    if first is not None:
        return first.group(1).lower()
    said = set()
    for match in _VERDICT.finditer(text):
        bad = match.group("word").lower() not in ("safe", "secure")
        said.add(VULNERABLE if bad != bool(match.group("no")) else SAFE)
    return said.pop() if len(said) == 1 else None


def paired_result(result: SuiteResult) -> SuiteResult:
    """One score a pair: ok when both sides are; what gate and McNemar should be given.

    Pairs without both sides are left out. Raises DataError when none is whole.
    """
    made = []
    for key, sides in _by_pair(result.scores).items():
        if sides.keys() != _SIDES.keys():
            continue
        vulnerable, fixed = sides[VULNERABLE], sides[SAFE]
        ok = vulnerable.ok and fixed.ok
        said = f"{vulnerable.answer} / {fixed.answer}"
        made.append(
            replace(
                vulnerable,
                item_id=key,
                output=f"{vulnerable.output}\n---\n{fixed.output}",
                answer=said,
                expected=f"{VULNERABLE} / {SAFE}",
                ok=ok,
                score=float(ok),
                reason=said,
                tokens=vulnerable.tokens + fixed.tokens,
                seconds=vulnerable.seconds + fixed.seconds,
            )
        )
    if not made:
        raise DataError(
            "no pair was scored on both sides", where=result.system, fix="score whole pairs"
        )
    return SuiteResult(result.system, tuple(made), result.artefact)


def audit_figures(scores: Iterable[Score], *, confidence: float = 0.95) -> AuditFigures:
    """Paired accuracy and each side's rate, with Wilson intervals (pairs are independent)."""
    groups = _by_pair(scores)
    whole = [sides for sides in groups.values() if sides.keys() == _SIDES.keys()]
    rates = [
        _rate([g[side].ok for g in groups.values() if side in g], confidence) for side in _SIDES
    ]
    both = _rate([all(score.ok for score in sides.values()) for sides in whole], confidence)
    every = [score for sides in groups.values() for score in sides.values()]
    unread = sum(score.answer is None for score in every)
    return AuditFigures(both, rates[0], rates[1], unread, len(groups) - len(whole))


def audit_categories(
    scores: Iterable[Score], *, confidence: float = 0.95
) -> dict[str, AuditFigures]:
    """`audit_figures` of each category, in alphabetical order."""
    groups: dict[str, list[Score]] = {}
    for score in scores:
        groups.setdefault(score.family, []).append(score)
    return {name: audit_figures(groups[name], confidence=confidence) for name in sorted(groups)}


def _rate(outcomes: list[bool], confidence: float) -> Proportion | None:
    return wilson(sum(outcomes), len(outcomes), confidence) if outcomes else None


def _by_pair(scores: Iterable[Score]) -> dict[str, dict[str, Score]]:
    groups: dict[str, dict[str, Score]] = {}
    for score in scores:
        for side, ending in _SIDES.items():
            if score.item_id.endswith(ending):
                groups.setdefault(score.item_id.removesuffix(ending), {})[side] = score
    return groups


def _cases(pair: ContractPair) -> list[Case]:
    words = pair.category.replace("-", " ")
    about = _ABOUT.get(pair.category)
    sides = [(VULNERABLE, pair.vulnerable)]
    if pair.fixed is not None:
        sides.append((SAFE, pair.fixed))
    return [
        Case(
            id=f"{pair.id}{_SIDES[side]}",
            family=f"{NAME}/{pair.category}",
            prompt=(
                f"Audit this Solidity code for one weakness only: {words}"
                f"{f' ({about})' if about else ''}. Begin your answer with VULNERABLE or SAFE, "
                f"then give the reason in one sentence.\n\n```solidity\n{code.strip()}\n```"
            ),
            # Both sides depend on each other: one cluster.
            template=pair.id,
            version=pair.source,
            difficulty="pair" if pair.fixed is not None else "single",
            facts={"side": side, "pair": pair.id},
        )
        for side, code in sides
    ]


def _validate(cases: tuple[Case, ...]) -> None:
    for case in cases:
        side = case.facts["side"]
        other = SAFE if side == VULNERABLE else VULNERABLE
        assert judge(case, f"{side.upper()}. Because of line 3.").ok, case.id
        for bad in (other.upper(), "", "Perhaps.", f"Verdict: {side}\nVerdict: {other}"):
            assert not judge(case, bad).ok, (case.id, bad)
