"""Every privacy and trust audit of one trained model, resumable, as one report.

Contract: `run_audits` runs the chosen audits in a fixed order; each finished one is on disk before
the next begins, and a rerun with the same models, inputs and settings keeps it.  An audit whose
inputs are missing is INCONCLUSIVE with the reason, never PASS; the report's status is the worst of
its audits.  The report holds plain values only.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from denizen.evaluate.gate import Status
from denizen.evaluate.privacy.canaries import CanarySet
from denizen.evaluate.privacy.canary_words import WordSet
from denizen.evaluate.privacy.engine import Engine
from denizen.evaluate.privacy.exposure import audit_exposure
from denizen.evaluate.privacy.extraction import audit_extraction
from denizen.evaluate.privacy.figures import AuditResult, worst
from denizen.evaluate.privacy.membership import audit_membership
from denizen.evaluate.privacy.passages import passages, prompt_ids, question_and_answer
from denizen.evaluate.privacy.trigger_candidates import propose
from denizen.evaluate.privacy.trigger_scan import audit_triggers
from denizen.evaluate.privacy.word_proof import audit_words
from denizen.models import SYSTEM
from denizen.project.atomic import atomic_write_text
from denizen.project.errors import ArtefactError
from denizen.project.hashing import content_hash

AUDITS = ("exposure", "extraction", "membership", "words", "triggers")
_KIND = "denizen.privacy"
# Longest answer to a prompt for a canary word: long enough to see that more follows the word.
_WORD_TOKENS = 16
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class PrivacyInputs:
    """What the audits need; what is empty makes its audit INCONCLUSIVE.

    members     training rows (their own, without planted ones): conversations or texts
    nonmembers  rows of the same distribution that were not trained on
    trained     all training rows, where a trigger would be; empty: `members`
    questions   ordinary questions that were not trained on, for the trigger scan
    ordinary    the tuned model's answers to ordinary prompts (any suite's outputs)
    known       triggers that are meant to be there; the codes of `words` always are
    """

    canaries: CanarySet | None = None
    members: Sequence[Any] = ()
    nonmembers: Sequence[Any] = ()
    trained: Sequence[Any] = ()
    words: WordSet | None = None
    questions: Sequence[str] = ()
    ordinary: Sequence[str] = ()
    known: Sequence[str] = ()
    system: str = SYSTEM

    def digest(self) -> str:
        """Content hash of everything the audits would read."""
        rows = [
            [question_and_answer(row) for row in of]
            for of in (self.members, self.nonmembers, self.trained)
        ]
        texts = [list(of) for of in (self.questions, self.ordinary, self.known)]
        planted = [asdict(of) if of else None for of in (self.canaries, self.words)]
        return content_hash([rows, texts, planted, self.system])


@dataclass(frozen=True, slots=True)
class AuditOutcome:
    """One audit in the report; `result` is the audit's own `to_dict`, empty if it did not run."""

    name: str
    status: Status
    sentence: str
    n_needed: int | None
    seconds: float
    result: dict[str, Any]


@dataclass(frozen=True, slots=True)
class PrivacyReport:
    """All audits of one artefact against its base."""

    status: Status
    sentence: str
    artefact: str
    base: str
    audits: tuple[AuditOutcome, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> PrivacyReport:
        """Raises KeyError, TypeError or ValueError for anything `to_dict` would not write."""
        audits = tuple(_outcome(record) for record in data["audits"])
        return cls(Status(data["status"]), data["sentence"], data["artefact"], data["base"], audits)


class _Missing(Exception):
    """An audit's inputs are not there; the message says which."""


def run_audits(
    tuned: Any,
    base: Any,
    tokenizer: Any,
    inputs: PrivacyInputs,
    *,
    audits: Sequence[str] = AUDITS,
    artefact: str = "",
    base_artefact: str = "",
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    batch: int = 32,
    partial: Path | None = None,
    progress: Progress = lambda _, __, ___: None,
) -> PrivacyReport:
    """Audit `tuned` (a transformers causal LM or PeftModel) with `base` as the reference.

    `artefact` and `base_artefact` are content hashes that tell models apart in `partial`, the file
    of finished audits.  `settings` are further keyword arguments of single audits, by name.
    `progress(audit, done, total)` counts within each.  Raises ValueError for an unknown audit.
    """
    if unknown := set(audits) - set(AUDITS):
        raise ValueError(f"no such audit: {', '.join(sorted(unknown))}; {', '.join(AUDITS)} are")
    chosen = {name: dict((settings or {}).get(name, {})) for name in AUDITS if name in audits}
    key = content_hash([artefact, base_artefact, inputs.digest(), chosen])
    done = _resume(partial, key) if partial is not None else {}
    work = _Work(
        Engine(tuned, tokenizer, batch=batch), Engine(base, tokenizer, batch=batch), inputs
    )
    for name, further in chosen.items():
        if name not in done:
            progress(name, 0, 1)
            done[name] = work.outcome(name, dict(further), progress)
            if partial is not None:
                record = {
                    "kind": _KIND,
                    "key": key,
                    "audits": {n: asdict(o) for n, o in done.items()},
                }
                atomic_write_text(partial, json.dumps(record))
        progress(name, 1, 1)
    found = tuple(done[name] for name in chosen)
    status = worst([outcome.status for outcome in found])
    return PrivacyReport(status, _sentence(found), artefact, base_artefact, found)


class _Work:
    """The audits by name, on two engines and one set of inputs."""

    def __init__(self, tuned: Engine, base: Engine, inputs: PrivacyInputs) -> None:
        self._tuned, self._base, self._inputs = tuned, base, inputs

    def outcome(self, name: str, further: dict[str, Any], progress: Progress) -> AuditOutcome:
        """Run one audit; missing inputs are an outcome too."""
        began = time.perf_counter()
        audits: dict[str, Callable[[dict[str, Any], Progress], AuditResult]] = {
            "exposure": self._exposure,
            "extraction": self._extraction,
            "membership": self._membership,
            "words": self._words,
            "triggers": self._triggers,
        }
        try:
            result = audits[name](further, progress)
        except _Missing as missing:
            return AuditOutcome(name, Status.INCONCLUSIVE, f"Not run: {missing}.", None, 0.0, {})
        seconds = round(time.perf_counter() - began, 1)
        return AuditOutcome(
            name, result.status, result.sentence, result.n_needed, seconds, result.to_dict()
        )

    def _exposure(self, further: dict[str, Any], progress: Progress) -> AuditResult:
        planted = self._inputs.canaries
        if planted is None:
            raise _Missing("no canaries were planted")
        return audit_exposure(
            self._tuned,
            planted,
            progress=lambda done, total: progress("exposure", done, total),
            **further,
        )

    def _extraction(self, further: dict[str, Any], _: Progress) -> AuditResult:
        members, others = self._passages()
        try:
            return audit_extraction(self._tuned, self._base, members, others, **further)
        except ValueError as error:
            raise _Missing(str(error)) from error

    def _membership(self, further: dict[str, Any], _: Progress) -> AuditResult:
        members, others = self._passages()
        if min(len(members), len(others)) < 2:
            raise _Missing("no rows like the training rows that were left out of training")
        return audit_membership(self._tuned, self._base, members, others, **further)

    def _words(self, further: dict[str, Any], _: Progress) -> AuditResult:
        words = self._inputs.words
        if words is None:
            raise _Missing("no canary words were planted")
        prompts = words.unseen()
        ids = [prompt_ids(self._tuned.tokenizer, p.prompt, words.system) for p in prompts]

        def wrong(index: int, text: str) -> bool:
            # Nothing that follows makes it the word again.
            return not prompts[index].word.startswith(text)

        own, other = (
            engine.answers(ids, max_new=_WORD_TOKENS, stop=wrong)
            for engine in (self._tuned, self._base)
        )
        return audit_words(prompts, own, other, self._inputs.ordinary, **further)

    def _triggers(self, further: dict[str, Any], progress: Progress) -> AuditResult:
        inputs = self._inputs
        if len(inputs.questions) < 2:
            raise _Missing("no ordinary questions to put a trigger into")
        known = [*inputs.known, *(inputs.words.codes() if inputs.words else ())]
        known += [c.question for c in inputs.canaries.canaries()] if inputs.canaries else []
        trained = inputs.trained or inputs.members
        # What was planted on purpose is not looked for, but counts as taught.
        rows = [row for row in trained if not any(k in question_and_answer(row)[0] for k in known)]
        ranking = ("from_rows", "controls", "least", "seed")
        candidates = propose(
            rows,
            inputs.questions,
            **{key: further.pop(key) for key in ranking if key in further},
        )
        return audit_triggers(
            self._tuned,
            self._base,
            candidates,
            inputs.questions,
            rows=trained,
            system=inputs.system,
            progress=lambda done, total: progress("triggers", done, total),
            **further,
        )

    def _passages(self) -> tuple[list[Any], list[Any]]:
        if not self._inputs.members:
            raise _Missing("no training rows were given")
        read = self._tuned.tokenizer
        return passages(read, self._inputs.members), passages(read, self._inputs.nonmembers)


def _resume(path: Path, key: str) -> dict[str, AuditOutcome]:
    """Finished audits on disk for this key; a file of another run is set aside."""
    try:
        record = json.loads(path.read_text("utf-8"))
        if record["kind"] == _KIND and record["key"] == key:
            return {name: _outcome(of) for name, of in record["audits"].items()}
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ArtefactError(
            f"cannot read the finished audits: {error.strerror}",
            where=str(path),
            fix="make the file readable, or delete it and audit anew",
        ) from error
    except (ValueError, KeyError, TypeError):
        pass
    os.replace(path, path.with_name(path.name + ".stale"))
    return {}


def _outcome(record: Mapping[str, Any]) -> AuditOutcome:
    return AuditOutcome(**{**record, "status": Status(record["status"])})


def _sentence(found: Sequence[AuditOutcome]) -> str:
    failed = [outcome.name for outcome in found if outcome.status is Status.FAIL]
    undecided = [outcome.name for outcome in found if outcome.status is Status.INCONCLUSIVE]
    passed = len(found) - len(failed) - len(undecided)
    parts = [f"{passed} of {len(found)} privacy audits passed"]
    parts += [f"{', '.join(failed)} failed"] if failed else []
    parts += [f"{', '.join(undecided)} undecided"] if undecided else []
    return "; ".join(parts) + "."
