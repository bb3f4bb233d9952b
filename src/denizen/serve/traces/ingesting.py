"""From what files hold to training candidates: JSON lines in the workspace, and the store.

Contract: `ingest` is idempotent by trace id and content: what is there already is counted, not
written twice; a trace that changed takes the old one's place. Everything is marked foreign and may
be trained on only with `consent`, a question, no error, no injection flag and no negative score.
Texts are redacted unless `traces.content` is full. The file appears whole or not at all.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from denizen.project.atomic import atomic_path
from denizen.project.errors import ArtefactError
from denizen.project.hashing import content_hash, sha256_bytes
from denizen.serve.traces import context, intake
from denizen.serve.traces.content import Policy
from denizen.serve.traces.langfuse_files import Draft
from denizen.serve.traces.meaning import describe
from denizen.serve.traces.reading import Place, Read, Reject
from denizen.serve.traces.spans import Feedback, Span, Trace
from denizen.serve.traces.store import TraceStore
from denizen.serve.traces.views import when

FILE = Path("traces") / "ingested.jsonl"
_CHUNK = 500  # traces of one transaction
_SCORES = ("userfeedback", "feedback", "thumbs")


@dataclass(slots=True)
class Ingested:
    """What became of the records."""

    out: str
    records: int = 0
    traces: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    known: int = 0  # served or received here: better known
    eligible: int = 0
    rejects: list[Reject] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """For --json."""
        counts = {k: getattr(self, k) for k in self.__slots__ if k != "rejects"}
        rejects = [
            {"file": r.place.file, "line": r.place.line, "reason": r.reason} for r in self.rejects
        ]
        return {**counts, "rejected": len(rejects), "rejects": rejects}


@dataclass(frozen=True, slots=True)
class _Candidate:
    trace: Trace
    spans: Sequence[Span]
    feedback: Sequence[Feedback]
    row: dict[str, Any]


def ingest(
    found: Read,
    store: TraceStore,
    workspace: Path,
    *,
    consent: bool,
    licence: str,
    policy: Policy,
    scores: Sequence[str] = _SCORES,
    said: Callable[[int], None] = lambda traces: None,
) -> Ingested:
    """Put what was read into the store and into `<workspace>/traces/ingested.jsonl`."""
    out = workspace / FILE
    result = Ingested(str(out), records=found.records, rejects=list(found.rejects))
    there, stored = _load(out), store.origins()
    batch: list[_Candidate] = []
    for candidate in _candidates(found, result, consent, licence, policy, scores):
        result.traces += 1
        row = candidate.row
        key = row["trace_id"], row["turn"]
        origins = stored.get(key[0], set())
        if key in there and _same(there[key], row):
            result.unchanged += 1
            if not origins:  # retention took it from the store alone
                batch.append(candidate)
        elif key not in there and origins - {"file"}:
            result.known += 1
            said(1)
            continue
        else:
            result.changed += key in there
            result.new += key not in there
            there[key] = row
            batch.append(candidate)
        result.eligible += row["eligible"]
        if len(batch) >= _CHUNK:
            _write(store, batch)
        said(1)
    _write(store, batch)
    # The store first: what a kill leaves out of the file is only new again.
    if result.new or result.changed:
        _save(out, there.values())
    return result


def forget(workspace: Path, gone: Collection[str]) -> None:
    """Take traces that were deleted out of the list of candidates, too."""
    out = workspace / FILE
    there = _load(out)
    if left := [row for (key, _), row in there.items() if key not in gone]:
        if len(left) < len(there):
            _save(out, left)
    elif there:
        out.unlink()


def _save(out: Path, rows: Iterable[dict[str, Any]]) -> None:
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    with atomic_path(out) as part:
        part.touch(0o600)
        part.write_text(text, "utf-8")


def _write(store: TraceStore, batch: list[_Candidate]) -> None:
    if batch:
        store.ingest([(one.trace, one.spans, one.feedback) for one in batch])
        batch.clear()


def _same(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Whether nothing changed but the file it stood in."""
    return all(old.get(key) == new[key] for key in new if key != "provenance")


def _load(path: Path) -> dict[tuple[str, str], dict[str, Any]]:
    found = {}
    try:
        # Not splitlines: U+2028 and its like may stand within a text.
        for line in filter(None, path.read_text("utf-8").split("\n")):
            row = json.loads(line)
            found[row["trace_id"], row["turn"]] = row
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtefactError(
            "the ingested traces cannot be read",
            where=str(path),
            fix="move the file away and ingest again",
        ) from error
    return found


def _candidates(
    found: Read,
    result: Ingested,
    consent: bool,
    licence: str,
    policy: Policy,
    scores: Sequence[str],
) -> Iterator[_Candidate]:
    wanted = {name.lower().replace("_", "").replace("-", "").replace(" ", "") for name in scores}
    for draft in found.drafts:
        place = Place(draft.file, draft.line)
        trace, feedback = _of_draft(draft, wanted, policy, result)
        yield from _made(trace, [], feedback, "langfuse", draft.id, place, result, consent, licence)
    groups: dict[str, list[Span]] = {}
    places: dict[str, Place] = {}
    for spans, place in found.spans:
        for span in spans:
            groups.setdefault(span.trace_id, []).append(intake.under(policy, span))
            places.setdefault(span.trace_id, place)
    for key, group in groups.items():
        trace = describe(group, policy.content, "file")[0]
        yield from _made(trace, group, [], "otlp", key, places[key], result, consent, licence)
    for trace, own, feedback, place in found.own:
        trace = replace(
            trace,
            question=policy.text(trace.question),
            answer=policy.text(trace.answer),
            content=policy.content,
            model=policy.label(trace.model),
            flags=tuple(policy.label(flag) for flag in trace.flags),
        )
        feedback = [replace(one, comment=policy.text(one.comment)) for one in feedback]
        kept = [intake.under(policy, span) for span in own]
        # Who did not consent there does not consent here.
        agreed = consent and trace.consent
        yield from _made(trace, kept, feedback, "denizen", trace.id, place, result, agreed, licence)


def _of_draft(
    draft: Draft, wanted: set[str], policy: Policy, result: Ingested
) -> tuple[Trace, list[Feedback]]:
    key = draft.id.lower()
    if not context.is_trace_id(key):
        key = sha256_bytes(f"langfuse:{draft.id}".encode("utf-8", "replace"))[:32]
    feedback = [
        Feedback(
            sha256_bytes(f"langfuse:{one}".encode("utf-8", "replace"))[:32],
            key,
            value,
            policy.text(comment[:4000]),
            "langfuse",
            time.time_ns(),
        )
        for name, group in draft.scores.items()
        if name in wanted
        for one, value, comment in group
        if -1 <= value <= 1
    ]
    result.rejects += [
        Reject(Place(draft.file, draft.line), f"score {name!r} is no number from -1 to 1")
        for name, group in draft.scores.items()
        for _, value, _ in group
        if name in wanted and not -1 <= value <= 1
    ]
    trace = Trace(
        id=key,
        started=draft.started or 1,
        ended=max(draft.started or 1, draft.ended),
        arrived="file",
        model=policy.label(draft.model),
        origin="foreign",
        error=draft.error,
        flags=tuple(policy.label(tag) for tag in draft.tags),
        content=policy.content,
        question=policy.text(draft.question),
        answer=policy.text(draft.answer),
    )
    return trace, feedback


def _made(
    trace: Trace,
    spans: Sequence[Span],
    feedback: Sequence[Feedback],
    form: str,
    source_id: str,
    place: Place,
    result: Ingested,
    consent: bool,
    licence: str,
) -> Iterator[_Candidate]:
    if not trace.question:
        result.rejects.append(Reject(place, f"trace {source_id[:64]!r} holds no question"))
        return
    provenance = {"format": form, "file": place.file, "line": place.line, "id": source_id}
    trace = replace(
        trace,
        arrived="file",
        consent=consent,
        licence=licence,
        provenance=json.dumps(provenance, ensure_ascii=False),
    )
    score = min((one.score for one in feedback), default=None)
    eligible = consent and not trace.error and not trace.injection
    row = {
        "trace_id": trace.id,
        "turn": trace.root,
        "question": trace.question,
        "answer": trace.answer,
        "model": trace.model,
        "flags": list(trace.flags),
        "error": trace.error,
        "score": score,
        "foreign": True,
        "generated": bool(trace.answer),
        "consent": consent,
        "eligible": eligible and (score is None or score > 0),
        "content": trace.content,
        "licence": licence,
        "provenance": provenance,
        "as_of": when(trace.started) if trace.started > 1 else "",
        "digest": content_hash([trace.question, trace.answer]),
    }
    row = json.loads(json.dumps(row, ensure_ascii=False).encode("utf-8", "replace"))
    yield _Candidate(trace, spans, feedback, row)
