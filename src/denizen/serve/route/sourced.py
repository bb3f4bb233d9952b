"""Answers from documents put to the test: questions made of the index's own, judged by their place.

Contract: the questions are those of retrieve/questions.py for its calibration documents (never the
holdout's), asked by the server's own look-up; an answer is right if a citation of it lies in what
answers.  What the sources are said not to hold is no answer, and has no part in the promise.
Answers about one document fail together: the halves share no document, and the testing one has one
answer of each, since exact binomial tails are those of independent trials.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from denizen.project import Bar
from denizen.project.errors import DataError
from denizen.project.hashing import content_hash, sha256_bytes
from denizen.serve.answering.passages import Found, look_up
from denizen.serve.route import learn as learning
from denizen.serve.route.calibration import Sourced
from denizen.serve.route.fingerprint import DOCUMENTS
from denizen.serve.route.questions import SEED
from denizen.serve.route.risk import needed
from denizen.serve.route.scored import Journal, Scored
from denizen.serve.route.signals import NO_GROUP, signals_of

if TYPE_CHECKING:
    from denizen.project.config import Config
    from denizen.retrieve import Index
    from denizen.retrieve.questions import Asked

_ABSENT = "absent:"


def document_questions(index: Index, count: int) -> list[Asked]:
    """At most `count` questions about the documents that are in the index, the same each time."""
    from denizen.retrieve.formats import read
    from denizen.retrieve.questions import Paper, make_questions

    papers = []
    for key in sorted(index.store.known()):
        document = index.store.document(key)
        if document is None or document.kind == "pdf":
            continue
        try:
            parsed = read(document.kind, document.text.encode(), document.title)
        except DataError:
            continue
        if parsed.text == document.text:  # else its blocks are places of another text
            papers.append(Paper(document, parsed.blocks))
    # Nothing was left out of this index: what would ask for the absent asks for what is there.
    made = [a for a in make_questions(papers, "calibration", SEED) if _ABSENT not in a.kind]
    made.sort(key=lambda asked: sha256_bytes(asked.id.encode()))
    # One of each document before a second of any.
    seen: Counter[str] = Counter()
    turns = []
    for asked in made:
        turns.append((seen[asked.cluster], asked))
        seen[asked.cluster] += 1
    return [asked for _, asked in sorted(turns, key=lambda turn: turn[0])][:count]


def document_answers(
    workspace: Path, config: Config, index: Index, depends: str, *, quiet: bool
) -> tuple[list[Scored], int]:
    """(what the index answers, judged; how many questions it was asked); resumable."""
    questions = document_questions(index, config.route.items)
    generation = index.snapshot().generation
    key = content_hash([depends, generation, [asked.question for asked in questions]])
    journal = Journal.open(workspace / "work" / f"route-{key[:16]}" / "documents.jsonl", key)
    with Bar("document answers", len(questions), quiet).shown() as bar:
        for number, asked in enumerate(questions):
            if asked.id not in journal.done:
                journal.add(judged(asked, look_up(index, asked.question, config.serve.passages)))
            bar.update(number + 1)
    scored = [journal.done[asked.id] for asked in questions]
    return [one for one in scored if one.group == DOCUMENTS], len(questions)


def judged(asked: Asked, found: Found) -> Scored:
    """One answer with its signals and its verdict; its group tells whether it is one."""
    right = any(
        cited.document == target.document and cited.start < target.end and target.start < cited.end
        for cited in found.citations
        for target in asked.targets.values()
    )
    signals = signals_of(
        None, coverage=found.coverage, schema_ok=True, recompute_ok=True, distance=None
    )
    group = DOCUMENTS if found.answerable else NO_GROUP
    item = {"prompt": asked.question}
    return Scored(asked.id, DOCUMENTS, asked.cluster, group, right, signals, item, found.text)


def sourced_of(scored: list[Scored], asked: int, risk: float, delta: float) -> Sourced | None:
    """Fit and test, with a promise of their own; None where too few documents were asked about for
    any threshold to prove it."""
    fitting, testing = parted(scored)
    if len(testing) < needed(risk, delta):
        return None
    found = learning.learn(fitting, testing, risk=risk, delta=delta, budget=0.0)
    return Sourced(found.model, found.groups[0], asked)


def parted(scored: Sequence[Scored]) -> tuple[list[Scored], list[Scored]]:
    """All answers about half of the documents, and one about each of the others."""
    ordered = sorted(scored, key=lambda one: sha256_bytes(f"route|{one.id}".encode()))
    documents = sorted({s.cluster for s in scored}, key=lambda d: sha256_bytes(d.encode()))
    fitting = set(documents[::2])
    others = {one.cluster: one for one in reversed(ordered) if one.cluster not in fitting}
    return [one for one in ordered if one.cluster in fitting], list(others.values())
