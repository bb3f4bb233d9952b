"""Score public sets with any engine: likelihoods where a set defines them, else generated answers.

Contract: one `Score` an item, whose family is the set's name; likelihoods are kept in its output,
so every figure can be judged anew without the model.  Items go to the engine by length and come
back in order; a partial file (see `runner`) lets a killed run go on.  A set whose answers are
programs is refused unless `run_code` says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from denizen.evaluate.general.generation import JUDGES, cut
from denizen.evaluate.general.ifeval import judge_constraints
from denizen.evaluate.general.items import GeneralItem, Metric
from denizen.evaluate.general.loglikelihood import Scorer, judge, pack, right
from denizen.evaluate.general.sandbox import judge_code
from denizen.evaluate.records import Score, SuiteResult
from denizen.evaluate.runner import Output, Progress, run_suite
from denizen.evaluate.stats import Proportion, wilson
from denizen.evaluate.suites.base import Judgement
from denizen.project.errors import DataError

# (prompts, most tokens, strings that end an answer) to texts, in order.
Generate = Callable[[Sequence[str], int, Sequence[str]], Sequence[str | Output]]
# A question to the rendered prompt of a chat model.
Chat = Callable[[str], str]

_WITH_GENERATION = {**JUDGES, "constraints": judge_constraints, "code": judge_code}


def judge_item(item: GeneralItem, output: str) -> Judgement:
    """The verdict on one item's output."""
    return judge(item, output) if item.of.scored else _WITH_GENERATION[item.of.kind](item, output)


def score_sets(
    sets: Mapping[str, Sequence[GeneralItem]],
    scorer: Scorer | None,
    generate: Generate | None = None,
    *,
    system: str,
    artefact: str = "",
    chat: Chat | None = None,
    run_code: bool = False,
    batch: int = 64,
    partial: Path | None = None,
    progress: Progress | None = None,
) -> SuiteResult:
    """Score every item of `sets` (see `read_sets`, which takes the limit), sets in their order.

    `scorer` answers the sets of likelihoods, `generate` the others; `chat` renders the prompts of
    conversational sets.  `batch` items lie between two writes of `partial`.  Raises DataError where
    an engine or `run_code` is missing, and what `run_suite` raises.
    """
    items = [item for some in sets.values() for item in some]
    _check(items, scorer, generate, run_code)

    def answer(group: Sequence[GeneralItem]) -> list[str | Output]:
        found: dict[str, str | Output] = {}
        scored = [item for item in group if item.of.scored]
        if scored:
            assert scorer is not None
            likelihoods = scorer([item.branches for item in scored])
            found |= {i.id: pack(f) for i, f in zip(scored, likelihoods, strict=True)}
        for name in dict.fromkeys(item.family for item in group if not item.of.scored):
            assert generate is not None
            found |= _generated([i for i in group if i.family == name], generate, chat)
        return [found[item.id] for item in group]

    # Long items first, as they will not fit if any does not; generated sets stay together.
    order = sorted(items, key=lambda item: (not item.of.scored, -_length(item)))
    order.sort(key=lambda item: "" if item.of.scored else item.family)
    result = run_suite(
        order,
        answer,
        judge_item,
        system,
        artefact=artefact,
        batch=batch,
        partial=partial,
        progress=progress,
    )
    by_id = {score.item_id: score for score in result.scores}
    return SuiteResult(system, tuple(by_id[item.id] for item in items), artefact)


def accuracies(
    result: SuiteResult, sets: Mapping[str, Iterable[GeneralItem]], metric: Metric | None = None
) -> dict[str, Proportion]:
    """Accuracy of each set with its Wilson interval; `metric` instead of the sets' own.

    Sets whose answers are generated have one figure, whatever the metric.
    """
    outputs: dict[str, Score] = {score.item_id: score for score in result.scores}
    found = {}
    for name, items in sets.items():
        ok = [
            right(item, outputs[item.id].output, metric)
            if metric is not None and item.of.scored
            else outputs[item.id].ok
            for item in items
        ]
        found[name] = wilson(sum(ok), len(ok))
    return found


def _generated(
    items: Sequence[GeneralItem], generate: Generate, chat: Chat | None
) -> dict[str, str | Output]:
    of = items[0].of
    rendered = chat if chat is not None and of.conversational else str
    texts = generate([rendered(item.prompt) for item in items], of.max_tokens, of.stop)
    if len(texts) != len(items):
        raise ValueError(f"{len(texts)} answers to {len(items)} prompts of {of.name}")
    found: dict[str, str | Output] = {}
    for item, made in zip(items, texts, strict=True):
        # A program may begin with a fence that is no end: its judge cuts it.
        stop = () if of.kind == "code" else of.stop
        text = made.text if isinstance(made, Output) else made
        tokens = made.tokens if isinstance(made, Output) else 0
        found[item.id] = Output(cut(text, stop), tokens)
    return found


def _length(item: GeneralItem) -> int:
    return len(item.prompt) + sum(map(len, item.options))


def _check(
    items: Sequence[GeneralItem], scorer: Scorer | None, generate: Generate | None, run_code: bool
) -> None:
    if not items:
        raise DataError("no public set to score", where="general sets", fix="name one or more")
    for item in items:
        if item.of.kind == "code" and not run_code:
            raise DataError(
                f"{item.family} runs programs that the model wrote",
                where="general sets",
                fix="allow it explicitly (run_code), or leave the set out",
            )
        if (scorer if item.of.scored else generate) is None:
            need = "log-likelihoods" if item.of.scored else "generated answers"
            raise DataError(
                f"{item.family} needs {need}, which this system does not give",
                where="general sets",
                fix="choose an engine that does, or leave the set out",
            )
