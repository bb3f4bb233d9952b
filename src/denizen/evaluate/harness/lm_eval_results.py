"""lm-eval's results into figures: `results_*.json` and the `samples_*.jsonl` beside it.

Contract: version 0.4.x, as many samples as were counted, no request without a response (lm-eval
scores a failed request as a wrong answer), no NaN; anything else raises HarnessError in one line.
Every metric of every task and filter becomes a figure; the first metric in [0, 1] of a task, of its
first filter, becomes its scores. Groups are their tasks and are left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from denizen.evaluate.harness.figures import (
    Figure,
    Imported,
    from_samples,
    from_stderr,
    real,
    refuse,
    same_value,
)
from denizen.evaluate.records import Score, SuiteResult

_VERSION = re.compile(r"0\.4\.\d+")
_STAMP = re.compile(r".*_(\d{4}-\d\d-\d\dT[\d.-]+)\.json")
_AGAIN = "run the evaluation again to its end"


class _Row(NamedTuple):
    score: Score
    values: Mapping[str, Any]
    filter: str


def read_lm_eval(path: Path, *, system: str = "", artefact: str = "") -> Imported:
    """Read one results file; `system` and `artefact` name what was served."""
    try:
        data = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise refuse(f"cannot read the lm-eval results: {error}", path, _AGAIN) from error
    if not isinstance(data, dict) or not {"results", "configs", "n-samples"} <= data.keys():
        raise refuse("this is not a results file of lm-eval", path, "give its results_*.json")
    version = str(data.get("lm_eval_version"))
    if not _VERSION.fullmatch(version):
        raise refuse(
            f"results of lm-eval {version} are unknown, 0.4.x is read",
            path,
            "use a version of lm_eval that writes them",
        )
    try:
        return _imported(data, path, version, system, artefact)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise refuse(
            f"the lm-eval results lack what they have ({error!r})", path, _AGAIN
        ) from error


def _imported(
    data: Mapping[str, Any], path: Path, version: str, system: str, artefact: str
) -> Imported:
    model = str(data.get("model_name") or (data.get("config") or {}).get("model", ""))
    stamp = _STAMP.fullmatch(path.name)
    figures: list[Figure] = []
    without: list[str] = []
    suites: dict[str, SuiteResult] = {}
    for task in data["configs"]:
        counted = data["n-samples"][task]
        n, limited = int(counted["effective"]), counted["effective"] != counted["original"]
        if n == 0:
            raise refuse(f"{task} was run on no sample", path, _AGAIN)
        rows: list[_Row] = []
        if stamp is not None:
            file = path.with_name(f"samples_{task}_{stamp.group(1)}.jsonl")
            rows = _samples(file, task, n) if file.exists() else []
        reported = data["results"][task]
        for key, raw in reported.items():
            metric, comma, name = key.partition(",")
            if not comma or metric.endswith("_stderr"):
                continue
            value = real(raw)
            if value is None:
                raise refuse(f"{task} reports {metric} as {raw!r}", path, _AGAIN)
            label = metric if name == "none" else f"{metric} ({name})"
            mine = [row for row in rows if row.filter == name and metric in row.values]
            values = [real(row.values[metric]) for row in mine]
            plain = [v for v in values if v is not None]
            stderr = real(reported.get(f"{metric}_stderr,{name}"))
            if plain and len(plain) == n and same_value(value, plain):
                clusters = [row.score.cluster for row in mine]
                figures.append(from_samples(task, label, plain, clusters, limited=limited))
                if task not in suites and all(0.0 <= v <= 1.0 for v in plain):
                    scores = tuple(
                        _scored(row.score, v) for row, v in zip(mine, plain, strict=True)
                    )
                    suites[task] = SuiteResult(system or model, scores, artefact)
            elif stderr is not None:
                figures.append(from_stderr(task, label, value, stderr, n, limited=limited))
            else:
                without.append(f"{task}/{label}")
    if not figures and not without:
        raise refuse("the results hold no task", path, _AGAIN)
    return Imported("lm-eval", version, model, tuple(figures), suites, tuple(without))


def _samples(path: Path, task: str, n: int) -> list[_Row]:
    rows = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        try:
            data = json.loads(line)
        except ValueError as error:
            raise refuse("a sample is cut", f"{path}:{number}", _AGAIN) from error
        if _unanswered(data["resps"]):
            raise refuse(
                f"the request of sample {data['doc_id']} of {task} got no response",
                f"{path}:{number}",
                "see the harness's log, then " + _AGAIN,
            )
        rows.append(_Row(_score(data, task), data, str(data.get("filter", "none"))))
    for name in {row.filter for row in rows}:
        found = len({row.score.item_id for row in rows if row.filter == name})
        if found != n:
            raise refuse(f"{found} samples for {n} counted in {task}", path, _AGAIN)
    return rows


def _unanswered(responses: Any) -> bool:
    if isinstance(responses, list):
        return not responses or any(_unanswered(one) for one in responses)
    return responses is None


def _score(data: Mapping[str, Any], task: str) -> Score:
    doc, key = data.get("doc") or {}, f"{task}/{data['doc_id']}"
    ours = {"id", "family", "cluster", "template", "version"} <= doc.keys()
    response = data["filtered_resps"]
    while isinstance(response, list) and len(response) == 1:
        response = response[0]
    return Score(
        item_id=str(doc["id"]) if ours else key,
        family=str(doc["family"]) if ours else task,
        cluster=str(doc["cluster"]) if ours else key,
        version=str(doc["version"]) if ours else "",
        difficulty=str(doc["difficulty"]) if ours else "",
        prompt=str(doc["prompt"]) if ours else _prompt(data.get("arguments")),
        output=response if isinstance(response, str) else json.dumps(response),
        answer=None,
        expected=None if data.get("target") is None else str(data["target"]),
        ok=False,
        score=0.0,
    )


def _prompt(arguments: Any) -> str:
    """The first string among the request's arguments (their shape differs by version)."""
    if isinstance(arguments, str):
        return arguments
    inside = arguments.values() if isinstance(arguments, dict) else arguments or ()
    if isinstance(inside, str):
        return inside
    return next((text for one in inside if (text := _prompt(one))), "")


def _scored(score: Score, value: float) -> Score:
    from dataclasses import replace

    return replace(score, ok=value >= 1.0, score=value)
