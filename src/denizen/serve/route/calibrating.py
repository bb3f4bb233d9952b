"""`denizen route calibrate`: questions, answers of the shipped file, fit, test, one file.

Contract: `calibrate` is resumable (answers are kept by file and questions), leaves `route.json`
as it was until everything is known, and writes it whole; the GGUF is only read.  The promise is
tested on the very file that serves, under the grammar and prompt that serve.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from denizen.evaluate.stats import wilson
from denizen.project import Bar, content_hash
from denizen.project.errors import ArtefactError
from denizen.project.hashing import sha256_file
from denizen.serve.route import learn as learning
from denizen.serve.route.calibration import FOLDER, VERSION, Calibration, Settings, Sourced
from denizen.serve.route.domain import Domain
from denizen.serve.route.fingerprint import DOCUMENTS, PROMISE, depends_on
from denizen.serve.route.questions import calibration_split, halves, training_questions
from denizen.serve.route.scored import Journal, Scored, asking, score_all, write_scored
from denizen.serve.route.sourced import document_answers, sourced_of
from denizen.tasks import suite_of

if TYPE_CHECKING:
    from denizen.models.embedder import Embeds
    from denizen.project import Config
    from denizen.retrieve import Index
    from denizen.serve.exchange import Guiding
    from denizen.serve.route.questions import Split
    from denizen.tasks import Suite

Say = Callable[[str], None]


def calibrate(
    workspace: Path,
    config: Config,
    gguf: Path,
    open_backend: Callable[[], Guiding],
    *,
    embedder: Embeds | None = None,
    index: Index | None = None,
    quiet: bool = False,
    say: Say = lambda _: None,
) -> Calibration:
    """Calibrate the router of a workspace for one GGUF, which `open_backend` loads (if a question
    is still unanswered; it is closed again).

    Without an embedder the distance from the training questions is no signal; with an `index` its
    answers from documents are calibrated too.  Raises DataError, LeakError, ArtefactError or
    WorkspaceError; what was answered is kept.
    """
    suite = suite_of(config.data.families)
    depends = depends_on(config, suite, _hash_of(gguf), index)
    known = training_questions(workspace)
    if not known:
        say("no training rows in this workspace: likeness to them cannot be checked or measured")
    split = calibration_split(suite, config.route.items, known, embedder)
    say(f"{len(split.items)} questions, {split.left_out} left out as too like known ones")
    scored = answers(workspace, config, suite, split, depends, open_backend, quiet=quiet)
    told: list[Scored] = []
    asked = 0
    if index is not None:
        told, asked = document_answers(workspace, config, index, depends[DOCUMENTS], quiet=quiet)
    domain = ""
    if embedder is not None and known:
        sketch = Domain.of([one.prompt for one in known], embedder)
        domain = sketch.save(workspace / FOLDER)
        scored = _with_distances(scored, sketch, embedder)
        told = _with_distances(told, sketch, embedder)
    settings = settings_of(config, suite, len(split.items))
    documents = sourced_of(told, asked, settings.risk, settings.delta)
    if index is not None and documents is None:
        say(f"the index answers {len(told)} of {asked} questions: too few to calibrate documents")
    made = calibration_of(scored, settings, suite, depends, domain, documents)
    kept = f"answers-{content_hash([s.signals for s in scored])[:16]}.jsonl"
    write_scored(workspace / FOLDER / kept, scored)
    facts = {
        "left_out": split.left_out,
        "training_questions": split.training,
        "holdout_questions": split.holdout,
        "likeness": split.sentence,
        "gguf": gguf.name,
    }
    made = replace(made, answers=kept, facts=made.facts | facts)
    made.save(workspace)
    _sweep(workspace / FOLDER, {kept, domain})
    return made


def _hash_of(gguf: Path) -> str:
    try:
        return sha256_file(gguf)
    except OSError as error:
        raise ArtefactError(
            f"the model file cannot be read: {error.strerror or error}",
            where=str(gguf),
            fix="name a GGUF with --gguf, or leave it out for the release",
        ) from error


def answers(
    workspace: Path,
    config: Config,
    suite: Suite,
    split: Split,
    depends: Mapping[str, str],
    open_backend: Callable[[], Guiding],
    *,
    quiet: bool,
) -> list[Scored]:
    """The file's own answers to the split, judged; resumed where a killed run stopped."""
    key = content_hash(
        {
            "questions": split.hash,
            # Another promise is tested on the same answers.
            "depends": {n: v for n, v in depends.items() if n not in (DOCUMENTS, PROMISE)},
        }
    )
    journal = Journal.open(workspace / "work" / f"route-{key[:16]}" / "answers.jsonl", key)

    async def run(bar: Bar) -> list[Scored]:
        if all(item.id in journal.done for item in split.items):
            return [journal.done[item.id] for item in split.items]
        backend = open_backend()
        try:
            return await score_all(
                split.items,
                asking(backend, suite, config),
                suite,
                journal,
                parallel=config.serve.parallel,
                on_done=lambda done, _: bar.update(done),
            )
        finally:
            await backend.close()

    with Bar("calibration answers", len(split.items), quiet).shown() as bar:
        made = asyncio.run(run(bar))
        bar.update(bar.total, f"{sum(s.ok for s in made)}/{len(made)} right")
    return made


def calibration_of(
    scored: Sequence[Scored],
    settings: Settings,
    suite: Suite,
    depends: Mapping[str, str],
    domain: str = "",
    documents: Sourced | None = None,
) -> Calibration:
    """Fit and test on scored answers; nothing is written."""
    fitting, testing = halves(scored)
    found = learning.learn(
        fitting, testing, risk=settings.risk, delta=settings.delta, budget=settings.budget
    )
    rate = wilson(sum(s.ok for s in scored), len(scored))
    facts: dict[str, Any] = {
        "fitted_on": len(fitting),
        "tested_on": len(testing),
        "local_accuracy": round(rate.value, 4),
        "local_accuracy_interval": [round(rate.low, 4), round(rate.high, 4)],
        "sentence": learning.sentence(
            found.tradeoff, settings.risk, settings.delta, settings.budget
        ),
    }
    return Calibration(
        VERSION,
        depends["model"],
        datetime.now(UTC).isoformat("T", "seconds"),
        settings,
        found.model,
        found.groups,
        found.members,
        group_names(suite),
        found.tradeoff,
        found.curve,
        domain,
        "",
        facts,
        {n: v for n, v in depends.items() if n != DOCUMENTS or documents is not None},
        documents,
    )


def settings_of(config: Config, suite: Suite, items: int) -> Settings:
    """What the promise is about."""
    return Settings(
        config.route.risk,
        config.route.delta,
        config.route.budget,
        items,
        config.evaluate.max_new_tokens,
        config.serve.reasoning,
        suite.names,
    )


def group_names(suite: Suite) -> dict[str, str]:
    """The group of each tool and of each object of a suite."""
    names: dict[str, str] = {}
    for name, family in suite.families.items():
        for tool in family.tools:
            names.setdefault(tool, name)
        if family.schema is not None:
            names.setdefault(family.schema.name, name)
    return names


def _with_distances(scored: Sequence[Scored], sketch: Domain, embedder: Embeds) -> list[Scored]:
    distances = sketch.distances([str(s.item["prompt"]) for s in scored], embedder)
    return [
        replace(s, signals={**s.signals, "distance": d})
        for s, d in zip(scored, distances, strict=True)
    ]


def _sweep(folder: Path, kept: set[str]) -> None:
    """Earlier calibrations' files go; audits and the upstream's answers stay."""
    for pattern in ("answers-*.jsonl", "domain-*.safetensors"):
        for path in folder.glob(pattern):
            if path.name not in kept:
                path.unlink(missing_ok=True)
