"""Denizen's task families as lm-eval tasks: YAML, documents and the few lines that judge them.

Contract: `write_lm_eval(folder)` writes a folder for `lm_eval run --include_path FOLDER --tasks
denizen`: a YAML and a JSONL a family, a group, and `utils.py`, which calls Denizen's verifier and
so needs denizen in that environment.  All tasks are generate_until: a chat endpoint suffices.
The folder holds no absolute path and appears whole or not at all.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from denizen.evaluate.harness.scoring import documents, system_prompt
from denizen.project.atomic import atomic_path
from denizen.tasks import CORE, Split, suite_of

GROUP = "denizen"
PREFIX = "denizen_"
METRIC = "exact"
_UTILS = '''"""Written by `denizen eval --emit lm-eval`: judged by Denizen's verifier."""

import json
from pathlib import Path

import datasets

try:
    from denizen.evaluate.harness.scoring import judge_document
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "these tasks are judged by denizen: install it beside lm_eval (pip install denizen)"
    ) from error


def load(file, **_):
    """The documents of one task, as lm-eval's test split."""
    lines = Path(__file__).with_name(file).read_text("utf-8").splitlines()
    return {"test": datasets.Dataset.from_list([json.loads(line) for line in lines])}


def process_results(doc, results):
    """1 if Denizen's exact verifier accepts the answer, else 0."""
    return {"exact": float(judge_document(doc, results[0]).ok)}
'''


class _Function(str):
    """A `!function module.name` of lm-eval's YAML."""


def write_lm_eval(
    folder: Path,
    families: Iterable[str] = CORE,
    *,
    split: Split = "holdout",
    count: int | None = None,
    catalogue: bool = False,
    max_tokens: int = 256,
) -> list[str]:
    """Write the task folder; returns the names of its tasks.

    `catalogue` tells a model that was not trained here about the calculator. Raises ConfigError
    for an unknown family; an existing folder is replaced.
    """
    names = suite_of(",".join(families)).names
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        for name in names:
            rows = documents([name], split, count)
            lines = (json.dumps(row, sort_keys=True, ensure_ascii=False) for row in rows)
            (temporary / f"{name}.jsonl").write_text("".join(f"{x}\n" for x in lines), "utf-8")
            config = _task(name, catalogue, max_tokens)
            (temporary / f"{PREFIX}{name}.yaml").write_text(_yaml(config), "utf-8")
        group = {
            "group": GROUP,
            "task": [f"{PREFIX}{name}" for name in names],
            "aggregate_metric_list": [
                {"metric": METRIC, "aggregation": "mean", "weight_by_size": True}
            ],
            "metadata": {"version": 1},
        }
        (temporary / f"{GROUP}.yaml").write_text(_yaml(group), "utf-8")
        (temporary / "utils.py").write_text(_UTILS, "utf-8")
    return [f"{PREFIX}{name}" for name in names]


def _task(name: str, catalogue: bool, max_tokens: int) -> dict[str, Any]:
    config: dict[str, Any] = {
        "task": f"{PREFIX}{name}",
        "custom_dataset": _Function("utils.load"),
        "dataset_kwargs": {"file": f"{name}.jsonl"},
        "test_split": "test",
        "output_type": "generate_until",
        "doc_to_text": "{{prompt}}",
        "doc_to_target": "{{gold}}",
        "process_results": _Function("utils.process_results"),
        "generation_kwargs": {"until": [], "max_gen_toks": max_tokens, "do_sample": False},
        "metric_list": [{"metric": METRIC, "aggregation": "mean", "higher_is_better": True}],
        "metadata": {"version": 1},
    }
    if catalogue:
        config["description"] = system_prompt([name]) + "\n"
    return config


def _yaml(value: dict[str, Any]) -> str:
    import yaml

    class Dumper(yaml.SafeDumper):
        pass

    Dumper.add_representer(
        _Function, lambda dumper, data: dumper.represent_scalar("!function", str(data))
    )
    text: str = yaml.dump(value, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=100)
    return text
