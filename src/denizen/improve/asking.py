"""Asking: one system, one suite without a grammar, and the scores as a stage.

Contract: a GGUF is answered by llama.cpp from the very file, a transformers folder by transformers;
greedily, under the base's own chat template.  The stage's key is the file's hash and the cases', so
nothing is asked twice; a killed one goes on from its partial file.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from denizen.evaluate import SuiteResult, run_suite, write_scores
from denizen.evaluate.general import (
    GeneralItem,
    Generate,
    LlamaScorer,
    Scorer,
    TransformersScorer,
    score_sets,
    transformers_generate,
)
from denizen.evaluate.suites import Behaviour
from denizen.improve.stages import Stages
from denizen.models import (
    SYSTEM,
    BatchedLlama,
    Generator,
    conversation,
    load_model,
    load_tokenizer,
    render_prompt,
)
from denizen.project import Bar, content_hash, source_hash
from denizen.project.store import StageRecord

# Questions that a GGUF answers side by side.
ROWS = 16

Answer = Callable[[Sequence[str], int, Callable[[int], None]], Sequence[str]]


@dataclass(frozen=True)
class Asked:
    """A system: its name among the scores, its file or folder, and the hash of its weights."""

    name: str
    path: Path
    hash: str


@dataclass(frozen=True)
class Setting:
    """What all systems are asked with: the tokenizer's folder, longest context, rows a batch,
    and whether programs that they write may be run."""

    tokenizer: Path
    context: int
    batch: int
    run_code: bool = False


def ask_suite(
    stages: Stages, stage: str, system: Asked, suite: Behaviour, setting: Setting
) -> StageRecord:
    """The stage that puts a behaviour suite to a system; its output `scores`."""
    inputs = {
        "model": system.hash,
        "cases": content_hash([[c.id, c.prompt, c.system, _key(c)] for c in suite.cases]),
        "tokens": str(suite.max_tokens),
        "code": source_hash("evaluate/suites", "models"),
    }

    def score(bar: Bar, partial: Path) -> SuiteResult:
        tokenizer = load_tokenizer(setting.tokenizer)
        with _answering(system, setting) as answer:

            def reply(cases: Sequence[Any]) -> Sequence[str]:
                talks = [conversation(c.prompt, system=c.system or SYSTEM) for c in cases]
                prompts = [render_prompt(tokenizer, talk) for talk in talks]
                return answer(prompts, suite.max_tokens, bar.advance)

            return run_suite(
                suite.cases,
                reply,
                suite.judge,
                system.name,
                artefact=system.hash,
                batch=4 * ROWS,
                partial=partial,
            )

    return _stage(stages, stage, inputs, len(suite.cases), suite.name, score)


def _key(case: Any) -> str:
    """What the judge holds an answer against: a file whose key was mended is another suite."""
    return json.dumps(case.facts, sort_keys=True, default=repr)


def ask_sets(
    stages: Stages,
    stage: str,
    system: Asked,
    sets: Mapping[str, Sequence[GeneralItem]],
    setting: Setting,
) -> StageRecord:
    """The stage that puts public general sets to a system."""
    inputs = {
        "model": system.hash,
        "items": content_hash({name: [i.id for i in items] for name, items in sets.items()}),
        "code": source_hash("evaluate/general", "models"),
    }
    count = sum(map(len, sets.values()))

    def score(bar: Bar, partial: Path) -> SuiteResult:
        tokenizer = load_tokenizer(setting.tokenizer)
        with _engines(system, setting) as (scorer, generate):
            return score_sets(
                sets,
                scorer,
                generate,
                system=system.name,
                artefact=system.hash,
                chat=lambda text: render_prompt(tokenizer, conversation(text)),
                run_code=setting.run_code,
                partial=partial,
                progress=lambda done, _: bar.update(done),
            )

    return _stage(stages, stage, inputs, count, "public", score)


def _stage(
    stages: Stages,
    stage: str,
    inputs: Mapping[str, str],
    total: int,
    name: str,
    score: Callable[[Bar, Path], SuiteResult],
) -> StageRecord:
    def body(bar: Bar) -> Any:
        result = score(bar, stages.work_dir(stage, inputs) / "partial.jsonl")
        with stages.store.making("scores", f"{name}.jsonl", inputs) as (path, made):
            write_scores(path, result)
        bar.update(bar.total, f"{result.passed}/{result.n}")
        return {"scores": made[0]}, {"passed": result.passed, "n": result.n}

    return stages.do(stage, inputs, total, body)


@contextmanager
def _answering(system: Asked, setting: Setting) -> Iterator[Answer]:
    if system.path.is_dir():
        generator = Generator(load_model(system.path), load_tokenizer(system.path))

        def slowly(prompts: Sequence[str], limit: int, on_done: Any) -> Sequence[str]:
            return generator.answer(
                prompts, max_new_tokens=limit, batch=setting.batch, on_done=on_done
            )

        yield slowly
        return
    engine = BatchedLlama(system.path, context=setting.context, rows=ROWS)
    try:
        yield lambda prompts, limit, on_done: engine.answer(
            prompts, max_new_tokens=limit, on_done=on_done
        )
    finally:
        engine.close()


@contextmanager
def _engines(system: Asked, setting: Setting) -> Iterator[tuple[Scorer, Generate]]:
    if system.path.is_dir():
        model, tokenizer = load_model(system.path), load_tokenizer(system.path)
        yield (
            TransformersScorer(model, tokenizer),
            transformers_generate(model, tokenizer, batch=setting.batch),
        )
        return
    engine = BatchedLlama(system.path, context=setting.context, rows=ROWS)
    # What the tokenizer puts before any text: the beginning-of-text token of models that have one.
    start = load_tokenizer(setting.tokenizer)("")["input_ids"]
    scorer = LlamaScorer(system.path, start=start, context=setting.context)
    try:
        yield (
            scorer,
            lambda prompts, most, stop: engine.answer(prompts, max_new_tokens=most, stop=stop),
        )
    finally:
        scorer.close()
        engine.close()
