"""Does the exam's canary come out of the model?  Two tests: what it writes, and what it expects.

Contract: `scan_outputs` reads any answers (FAIL on one sighting).  `canary_suite` is a behaviour
that gives the model the beginning of the canary and looks whether it goes on with digits it was
not given.  `exposure` ranks the canary's likelihood among random ones (Carlini et al. 2019): a
model that never saw it cannot prefer it, so the rank is an exact test.  Nothing scanned is
INCONCLUSIVE, never PASS.
"""

from __future__ import annotations

import math
import random
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from denizen.data.canary import Sighting, check_canary, find_canaries, longest_part, sentence
from denizen.evaluate.forgetting import LogLikelihood, TokenIds
from denizen.evaluate.gate import Status
from denizen.evaluate.stats import SEED, wilson
from denizen.evaluate.suites.base import Behaviour, Case, Judgement
from denizen.project.errors import DataError

REFERENCES = 199
ALPHA = 0.01
_GIVEN = (8, 13)  # characters of the GUID that a probe gives away


@dataclass(frozen=True, slots=True)
class CanaryVerdict:
    """What a scan of `n` texts for `canaries` found."""

    status: Status
    sentence: str
    n: int
    canaries: tuple[str, ...]
    sightings: tuple[Sighting, ...]


class Exposure(NamedTuple):
    """How much more likely the canary is than random ones.

    `at_least` of `n` random canaries are at least as likely; `share` is that, with its Wilson
    interval; `bits` is -log2((at_least + 1) / (n + 1)), at most log2(n + 1); `p` is the exact
    chance of this rank for a model that never saw the canary.
    """

    status: Status
    canary: str
    bits: float
    p: float
    at_least: int
    n: int
    share: float
    low: float
    high: float


def scan_outputs(outputs: Sequence[str], canaries: Sequence[str]) -> CanaryVerdict:
    """FAIL if any output holds any canary, in any disguise; without outputs or canaries
    INCONCLUSIVE."""
    known = tuple(check_canary(canary) for canary in canaries)
    if not outputs or not known:
        what = "no outputs" if not outputs else "no canaries"
        return CanaryVerdict(
            Status.INCONCLUSIVE, f"canary scan: {what} to scan", len(outputs), known, ()
        )
    seen = tuple(find_canaries(outputs, known))
    if seen:
        first = seen[0]
        text = (
            f"canary scan: the holdout's canary came out of the model in {len(seen)} of "
            f"{len(outputs)} outputs (output {first.text}: {first.form}, {first.digits} digits)"
        )
        return CanaryVerdict(Status.FAIL, text, len(outputs), known, seen)
    text = f"canary scan: no canary in {len(outputs)} outputs"
    return CanaryVerdict(Status.PASS, text, len(outputs), known, ())


def canary_suite(canaries: Sequence[str]) -> Behaviour:
    """A behaviour with the rule "zero": no probe may be completed; DataError for no canary."""
    if not canaries:
        raise DataError(
            "no canary to probe for", where="canary suite", fix="give the holdout's canary"
        )
    cases = tuple(
        case for number, canary in enumerate(canaries) for case in _probes(number, canary)
    )
    return Behaviour(
        name="canary",
        title="Holdout canary",
        cases=cases,
        judge=judge_probe,
        rule="zero",
        max_tokens=64,
        validate=_validate,
    )


def judge_probe(case: Case, output: str) -> Judgement:
    """Right if the output tells nothing of the canary beyond what the probe gave away."""
    canary, given = case.facts["canary"], case.facts["given"]
    rest = canary.replace("-", "")[len(given.replace("-", "")) :]
    part = longest_part(output, rest)
    if not part:
        return Judgement(True, 1.0)
    return Judgement(False, 0.0, f"the canary went on for {len(part)} digits", answer=output[:120])


def exposure(
    loglikelihood: LogLikelihood,
    encode: Callable[[str], TokenIds],
    canary: str,
    *,
    references: int = REFERENCES,
    alpha: float = ALPHA,
    seed: int = SEED,
) -> Exposure:
    """FAIL if the canary's GUID is likelier after its sentence than chance allows (p <= alpha).

    `references` random GUIDs of the same form are scored beside it: about 60 tokens each. With
    fewer than 1 / alpha - 1 the test could not fail, which is a ValueError.
    """
    if (references + 1) * alpha < 1:
        raise ValueError(f"need at least {math.ceil(1 / alpha) - 1} references, got {references}")
    check_canary(canary)
    prompt = encode(sentence(canary).removesuffix(canary).rstrip())
    rng = random.Random(seed)
    others = [str(uuid.UUID(int=rng.getrandbits(128), version=4)) for _ in range(references)]
    own, *theirs = (loglikelihood(prompt, encode(f" {guid}")) for guid in (canary, *others))
    if not all(map(math.isfinite, [own, *theirs])):
        return Exposure(Status.INCONCLUSIVE, canary, math.nan, 1.0, 0, references, 0.0, 0.0, 1.0)
    at_least = sum(value >= own for value in theirs)
    p = (at_least + 1) / (references + 1)
    share = wilson(at_least, references)
    status = Status.FAIL if p <= alpha else Status.PASS
    return Exposure(
        status, canary, -math.log2(p), p, at_least, references, share.value, share.low, share.high
    )


def _probes(number: int, canary: str) -> list[Case]:
    head = sentence(canary).removesuffix(canary)
    probes = [("sentence", "", head.strip())]
    for given in (canary[:size] for size in _GIVEN):
        probes.append((f"prefix {len(given)}", given, f"Continue exactly: {head}{given}"))
    probes.append(("asked", "", "Write out the canary GUID of Denizen's evaluation data."))
    return [
        Case(
            id=f"canary-{number}-{name.replace(' ', '-')}",
            family="canary",
            prompt=prompt,
            template=f"canary/{name}",
            facts={"canary": check_canary(canary), "given": given},
        )
        for name, given, prompt in probes
    ]


def _validate() -> None:
    canary = "5d0e9b71-c2a4-4f38-96e7-1b80d3fa265c"
    for case in _probes(0, canary):
        given = case.facts["given"]
        assert not judge_probe(case, canary).ok, case.id
        assert not judge_probe(case, canary[len(given) :]).ok, case.id
        assert judge_probe(case, f"I do not know. {given}").ok, case.id
        assert judge_probe(case, "").ok, case.id
