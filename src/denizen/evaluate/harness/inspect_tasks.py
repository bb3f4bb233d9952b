"""Denizen's task families as Inspect AI tasks: `inspect eval denizen/mechanics`.

Contract: loaded by Inspect through the entry point group `inspect_ai`, and by nothing of ours, so
only here does `inspect_ai` get imported.  One task a family and `denizen/families`, each with the
arguments split, count and catalogue (tell an untrained model about the calculator).  The scorer is
the exact verifier; accuracy travels with its standard error over clusters (template x version).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.scorer import CORRECT, INCORRECT, Score, accuracy, scorer, stderr
from inspect_ai.solver import generate, system_message

from denizen.evaluate.harness.scoring import documents, judge_document, system_prompt
from denizen.tasks import CORE, FAMILIES, Split


def _exact() -> Callable[..., Any]:
    async def score(state: Any, target: Any) -> Any:
        verdict = judge_document(state.metadata, state.output.completion)
        return Score(
            value=CORRECT if verdict.ok else INCORRECT,
            answer=str(verdict.answer),
            explanation=verdict.reason,
        )

    return score


exact = scorer(metrics=[accuracy(), stderr(cluster="cluster")], name="exact")(_exact)


def _made(names: tuple[str, ...], split: Split, count: int | None, catalogue: bool) -> Any:
    samples = [
        Sample(id=doc["id"], input=doc["prompt"], target=doc["gold"], metadata=doc)
        for doc in documents(names, split, count)
    ]
    told = [system_message(system_prompt(names))] if catalogue else []
    return Task(
        dataset=MemoryDataset(samples, name="+".join(names)),
        solver=[*told, generate()],
        scorer=exact(),
        metadata={"denizen_split": split},
    )


def _families(
    suite: str = ",".join(CORE),
    split: Split = "holdout",
    count: int | None = None,
    catalogue: bool = False,
) -> Any:
    """Several families at once: `-T suite=mechanics,v2_quote`."""
    from denizen.tasks import suite_of

    return _made(suite_of(suite).names, split, count, catalogue)


def _one(family: str) -> Callable[..., Any]:
    def build(split: Split = "holdout", count: int | None = None, catalogue: bool = False) -> Any:
        return _made((family,), split, count, catalogue)

    build.__doc__ = FAMILIES[family].doc
    return build


families = task(name="families")(_families)
TASKS = {name: task(name=name)(_one(name)) for name in FAMILIES}
