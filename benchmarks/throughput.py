"""Items scored a second: our transformers scorer beside lm-eval's `hf` backend, in the same run.

Contract: the same checkpoint, float32, items and requests (local tasks written from our items, so
that context, options and delimiter are the same strings).  lm-eval lives in its own environment
(DENIZEN_PEER_LM_EVAL, a folder of a virtual environment); the public sets lie where
DENIZEN_PUBLIC_SETS says.  Loading and the first forward are not counted.  The systems take turns,
each in a process of its own; the best of the peer's settings is compared, its default shown.
Accuracies must be equal and log-likelihoods agree, or the ratio is void.  A batch size of `auto`
is left out unless DENIZEN_BENCH_AUTO is set: it first tries 64 rows of the longest request, five
times a set, which takes a CPU minutes.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

BASE = "smollm2-135m-instruct"
LIMIT = int(os.environ.get("DENIZEN_BENCH_ITEMS", "12"))
ROUNDS = int(os.environ.get("DENIZEN_BENCH_ROUNDS", "3"))
DEFAULT = "1"
BEST: tuple[str, ...] = ("8", "16", "32")
if os.environ.get("DENIZEN_BENCH_AUTO"):
    BEST = (*BEST, "auto")
# Nats, or of a long answer's nats: lm-eval's float32 log-softmax over all positions is itself
# 6e-4 off float64 on an answer of 140 nats, ours 3e-6.
AGREE, AGREE_SHARE = 1e-3, 1e-5
TARGET = 3.0


def measure() -> dict[str, Any]:
    """Items a second of each system over all scored sets, by set, and how far scores differ."""
    home, public = (os.environ.get(f"DENIZEN_{key}") for key in ("PEER_LM_EVAL", "PUBLIC_SETS"))
    if not home or not public:
        raise SystemExit("set DENIZEN_PEER_LM_EVAL and DENIZEN_PUBLIC_SETS")
    with tempfile.TemporaryDirectory(prefix="denizen-throughput-") as place:
        return _compare(Path(home), Path(public), Path(place))


def _compare(home: Path, public: Path, place: Path) -> dict[str, Any]:
    from denizen.models import checkpoint, ensure, find_model

    base = checkpoint(ensure(find_model(BASE)))
    items = _write_tasks(public, place)
    python = {"denizen": Path(sys.executable)}
    python |= {f"lm-eval {batch}": home / "bin" / "python" for batch in (DEFAULT, *BEST)}
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in python}
    for turn in range(ROUNDS):
        for name, program in python.items():
            if turn and name == f"lm-eval {DEFAULT}":
                continue  # the slowest by far, and not what the ratio is taken of
            rounds[name].append(_run(program, name, base, place, public))
    return _figures(rounds, items)


def _run(program: Path, name: str, base: Path, place: Path, public: Path) -> dict[str, Any]:
    quiet = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(
        [str(program), str(Path(__file__)), name, str(base), str(place), str(public)],
        capture_output=True,
        text=True,
        env={**os.environ, **quiet, "HF_DATASETS_CACHE": str(place / "cache")},
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{name}: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    print(f"  {name}: {found['seconds']:.1f} s", file=sys.stderr)
    return found


def _figures(rounds: dict[str, list[dict[str, Any]]], items: int) -> dict[str, Any]:
    ours, systems = rounds["denizen"][0], {}
    for name, found in rounds.items():
        seconds = statistics.median(one["seconds"] for one in found)
        systems[name] = {
            "seconds": round(seconds, 2),
            "rounds": [round(one["seconds"], 2) for one in found],
            "items_per_second": round(items / seconds, 3),
            "seconds_by_set": {
                key: round(statistics.median(one["by_set"][key] for one in found), 2)
                for key in found[0]["by_set"]
            },
            "peak_memory_gib": max(one["peak_memory_gib"] for one in found),
            **_gaps(ours["nats"], found[0]["nats"]),
            "same_accuracies": found[0]["accuracies"] == ours["accuracies"],
        }
    rivals = [f"lm-eval {batch}" for batch in BEST]
    best = min(rivals, key=lambda name: systems[name]["seconds"])
    mine, theirs = systems["denizen"], systems[best]
    equal = theirs["same_accuracies"] and theirs["agree"]
    ratio = round(theirs["seconds"] / mine["seconds"], 2)
    default = systems[f"lm-eval {DEFAULT}"]["seconds"] / mine["seconds"]
    return {
        "base": BASE,
        "items": items,
        "accuracies": ours["accuracies"],
        "systems": systems,
        "best_peer": best,
        "equal": equal,
        "ratio": ratio if equal else None,
        "ratio_default": round(default, 2),
        "ratio_by_set": {
            key: round(theirs["seconds_by_set"][key] / seconds, 2)
            for key, seconds in mine["seconds_by_set"].items()
        },
        "target": TARGET,
        "reached": equal and ratio >= TARGET,
    }


def _gaps(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    if ours.keys() != theirs.keys():
        raise SystemExit("the systems scored different items")
    pairs = [pair for key in ours for pair in zip(ours[key], theirs[key], strict=True)]
    return {
        "largest_gap_nats": round(max(abs(a - b) for a, b in pairs), 6),
        "agree": all(abs(a - b) <= max(AGREE, AGREE_SHARE * abs(a)) for a, b in pairs),
    }


def _items(public: Path) -> dict[str, Any]:
    from denizen.evaluate.general import SETS, read_sets

    return read_sets([one for one in SETS.values() if one.scored], public, limit=LIMIT)


def _write_tasks(public: Path, place: Path) -> int:
    """One lm-eval task a set: its records as JSONL and its description as YAML."""
    count = 0
    for name, items in _items(public).items():
        lines = [json.dumps(_record(item)) for item in items]
        (place / f"{name}.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
        (place / f"denizen_{name}.yaml").write_text(_task(name, items[0].of.kind, place), "utf-8")
        count += len(items)
    return count


def _record(item: Any) -> dict[str, Any]:
    choices = item.contexts if item.of.kind == "schema" else item.options
    asked = item.options[0] if item.of.kind in ("schema", "cloze") else item.prompt
    return {
        "id": item.id,
        "query": item.prompt,
        "choices": choices,
        "rest": asked,
        "gold": item.gold,
    }


def _task(name: str, kind: str, place: Path) -> str:
    """What lm-eval's own tasks of these kinds say: ARC's, WinoGrande's and LAMBADA's."""
    text = {"choice": "query", "schema": "gold", "cloze": "query"}[kind]
    target = {"choice": "gold", "schema": "rest", "cloze": "rest"}[kind]
    metrics = ["acc"] if kind == "cloze" else ["acc", "acc_norm", "acc_bytes"]
    told: dict[str, Any] = {
        "task": f"denizen_{name}",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(place / f"{name}.jsonl")}},
        "test_split": "test",
        "output_type": "loglikelihood" if kind == "cloze" else "multiple_choice",
        "doc_to_text": text,
        # A cloze has no delimiter in lm-eval: LAMBADA's own task puts the space there as well.
        "doc_to_target": target if kind != "cloze" else "{{' ' + rest}}",
        "target_delimiter": " ",
        "metric_list": [
            {"metric": metric, "aggregation": "mean", "higher_is_better": True}
            for metric in metrics
        ],
    }
    if kind != "cloze":
        told["doc_to_choice"] = "choices"
    return json.dumps(told)  # JSON is YAML


def _ours(base: Path, public: Path) -> dict[str, Any]:
    from benchmarks import child
    from denizen.evaluate.general import TransformersScorer, right, score_sets
    from denizen.evaluate.general.items import Metric
    from denizen.models import load_model, load_tokenizer

    child.prepare()
    sets = _items(public)
    scorer = TransformersScorer(load_model(base), load_tokenizer(base))
    scorer([item.branches for item in next(iter(sets.values()))[:1]])
    by_set: dict[str, float] = {}
    nats: dict[str, list[float]] = {}
    accuracies: dict[str, dict[str, int]] = {}
    for name, items in sets.items():
        began = time.perf_counter()
        result = score_sets({name: items}, scorer, system="bench")
        by_set[name] = time.perf_counter() - began
        outputs = {score.item_id: score.output for score in result.scores}
        nats |= {key: json.loads(output)["nats"] for key, output in outputs.items()}
        every: tuple[Metric, ...] = ("acc", "acc_norm", "acc_bytes")
        metrics = every[:1] if items[0].of.kind == "cloze" else every
        accuracies[name] = {
            metric: sum(right(item, outputs[item.id], metric) for item in items)
            for metric in metrics
        }
    return {"by_set": by_set, "nats": nats, "accuracies": accuracies}


def _theirs(batch: str, base: Path, place: Path) -> dict[str, Any]:
    """Runs in lm-eval's environment, where nothing of Denizen is."""
    import torch
    from lm_eval import simple_evaluate  # type: ignore[import-not-found]
    from lm_eval.models.huggingface import HFLM  # type: ignore[import-not-found]
    from lm_eval.tasks import TaskManager  # type: ignore[import-not-found]

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    manager = TaskManager(include_path=str(place), include_defaults=False)
    model = HFLM(pretrained=str(base), device="cpu", dtype="float32", batch_size=batch)
    model._model_call(torch.ones(1, 8, dtype=torch.long))
    by_set: dict[str, float] = {}
    nats: dict[str, list[float]] = {}
    accuracies: dict[str, dict[str, int]] = {}
    for path in sorted(place.glob("*.jsonl"), key=lambda p: p.stat().st_mtime_ns):
        name, task = path.stem, f"denizen_{path.stem}"
        seconds, found = _timed(simple_evaluate, model, task, manager)
        by_set[name] = seconds
        samples = found["samples"][task]
        nats |= {s["doc"]["id"]: [r[0] for r in s["filtered_resps"]] for s in samples}
        metrics = [key for key in ("acc", "acc_norm", "acc_bytes") if key in samples[0]]
        accuracies[name] = {key: round(sum(s[key] for s in samples)) for key in metrics}
    return {"by_set": by_set, "nats": nats, "accuracies": accuracies}


def _timed(evaluate: Any, model: Any, task: str, manager: Any) -> tuple[float, Any]:
    """Seconds between the model's first request and its last answer: only the scoring itself."""
    spent = 0.0
    score = model.loglikelihood

    def clocked(*arguments: Any, **named: Any) -> Any:
        nonlocal spent
        began = time.perf_counter()
        found = score(*arguments, **named)
        spent += time.perf_counter() - began
        return found

    model.loglikelihood = clocked
    try:
        found = evaluate(
            model=model, tasks=[task], task_manager=manager, bootstrap_iters=0, log_samples=True
        )
    finally:
        del model.loglikelihood
    return spent, found


def _child(name: str, base: Path, place: Path, public: Path) -> dict[str, Any]:
    import resource

    system, _, batch = name.partition(" ")
    found = _ours(base, public) if system == "denizen" else _theirs(batch, base, place)
    found["seconds"] = sum(found["by_set"].values())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {**found, "peak_memory_gib": round(peak, 2)}


if __name__ == "__main__":
    # Started by path, so that another environment's Python can: our own imports need the root.
    sys.path[0] = str(Path(__file__).parents[1])
    print(json.dumps(_child(sys.argv[1], *map(Path, sys.argv[2:5]))))
