"""Every training method on the same data with the same budget: one JSON each, and a plot.

Contract: methods that learn from answers start at the base and see the same rows once; those that
learn from preferences or rewards start at the LoRA adapter those rows gave, and get the seconds it
took, as does that adapter's own second pass over the rows (sft); the reward model starts at the
base and reads its pairs once.  What asks a reference about its rows first takes the steps that
`denizen forecast` says those seconds pay for.  Quality is exact answers on the dev split (never the
holdout), forgetting the change on the general questions and sentences; time, peak memory and size
are of the very run.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import child
from benchmarks.answering import answered
from benchmarks.deadline import Deadline

ROWS, ITEMS = 480, 96
ADAPTERS = (
    "lora",
    "rslora",
    "qlora",
    "dora",
    "mora",
    "full",
    "galore",
    "apollo",
    "prefix",
    "prompt",
)
OBJECTIVES = ("pretrain", "sft", "dpo", "orpo", "kto", "reward", "rloo", "ppo", "grpo")
# RLHF: the reward model of this comparison judges, instead of the verifier.
CHAINED = {"rlhf": ("rloo", "reward")}
# Pixels that a name takes in the plot.
_WIDE, _HIGH = 55, 13
FOLDER = Path(__file__).with_name("results") / "methods"


def measure(workspace: Path) -> dict[str, Any]:
    """Run all that are not in `workspace` yet; the summary has one line a method."""
    place = workspace / "methods"
    place.mkdir(parents=True, exist_ok=True)
    found: dict[str, dict[str, Any]] = {}
    for name in ("base", *ADAPTERS, *OBJECTIVES, *CHAINED):
        record = place / f"{name}.json"
        found[name] = child.recorded(record, "benchmarks.methods", name, place)
        FOLDER.mkdir(parents=True, exist_ok=True)
        (FOLDER / record.name).write_text(json.dumps(found[name], indent=1) + "\n", "utf-8")
    draw(found, FOLDER / "methods.png")
    keys = ("quality", "general", "drift", "seconds", "peak_memory_gib", "size_mib")
    return {
        "rows": ROWS,
        "items": ITEMS,
        "methods": {name: {k: found[name].get(k) for k in keys} for name in found},
    }


def _settings(name: str) -> Any:
    """The configuration of a method; everything not named here is the default of all."""
    from denizen.project.config import parse_config

    adapter = {"rslora": "{method: lora, rslora: true}"}.get(name, f"{{method: {name}}}")
    if name in ADAPTERS:
        return parse_config(f"adapter: {adapter}\ndata: {{rows: {ROWS}}}")
    objective = CHAINED.get(name, (name,))[0]
    return parse_config(f"train: {{objective: {objective}}}\ndata: {{rows: {ROWS}}}")


def _child(name: str, place: Path) -> dict[str, Any]:
    """Train one method and score it."""
    from denizen.data import load_holdout
    from denizen.improve import lessons
    from denizen.models import SYSTEM, checkpoint, ensure, find_model, load_tokenizer
    from denizen.project.machine import facts, peak_rss_bytes
    from denizen.tasks import CORE, suite_of
    from denizen.train import Job, fine_tune
    from denizen.train.refusals import REFERRED

    child.prepare()
    files = ensure(find_model("smollm2-135m-instruct"))
    base, suite = checkpoint(files), suite_of("core")
    record: dict[str, Any] = {"method": name, "rows": ROWS, "items": ITEMS, "machine": facts()}
    folder = place / name
    if name != "base":
        config = _settings(name)
        tokenizer = load_tokenizer(base)
        rows = lessons.collect(config, suite, load_holdout(CORE)).rows
        examples, ledger = lessons.examples(tokenizer, suite, rows, config)
        from_base = name in ADAPTERS or name in ("pretrain", "reward")
        job = Job(
            base=base,
            base_hash=files.hash,
            examples=examples,
            config=config,
            work=place / f"{name}-work",
            adapter=folder,
            supervised_share=ledger.supervised_share,
            start=None if from_base else place / "lora",
            reward_model=place / CHAINED[name][1] if name in CHAINED else None,
        )
        # A run that goes on where a killed one stopped would show a part of its time.
        shutil.rmtree(job.work, ignore_errors=True)
        if not from_base:
            spent = json.loads((place / "lora.json").read_text("utf-8"))["seconds"]
            if name in REFERRED:
                job = _affordable(job, spent, place / f"{name}-probe")
            job = replace(job, guards=[Deadline(spent)])
        began, used = time.monotonic(), time.process_time()
        result = fine_tune(job)
        record |= {
            "seconds": round(time.monotonic() - began, 1),
            "cpu_seconds": round(time.process_time() - used, 1),
            "steps": len(result.points),
            "trainable": result.trainable,
            "peak_memory_gib": round(peak_rss_bytes() / 2**30, 2),
            "size_mib": round(sum(f.stat().st_size for f in folder.iterdir()) / 2**20, 1),
            "first_loss": result.points[0].loss,
            "last_loss": result.points[-1].loss,
            "stopped": result.stopped,
            "curve": [[p.step, p.loss, p.metrics.get("reward")] for p in result.points],
        }
    if name == "reward":
        record |= _ranking(base, folder, suite, SYSTEM)
    else:
        record |= _score(base, None if name == "base" else folder, suite, place)
    return record


def _affordable(job: Any, seconds: float, scratch: Path) -> Any:
    """The job, with as many steps as these seconds pay for by its forecast."""
    from denizen.train.forecast.plan import make_forecast

    try:
        found = make_forecast(job, {}, scratch, tariff=0.2)["local"]
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    once = found["parts"]["loading"] + found["parts"]["last save"]
    each = (found["seconds"] - once) / found["steps"]
    steps = max(1, int((seconds - once) / each))
    train = job.config.train.model_copy(update={"max_steps": steps})
    return replace(job, config=job.config.model_copy(update={"train": train}))


def _ranking(base: Path, folder: Path, suite: Any, system: str) -> dict[str, Any]:
    """How often a reward model puts the right answer of a dev item above a near miss."""
    from denizen.data import load_holdout
    from denizen.data.preferences import build_pairs
    from denizen.tasks import CORE
    from denizen.train.methods.reward import load_reward

    model = load_reward(base, folder)
    pairs, _ = build_pairs(ITEMS, 5, load_holdout(CORE), suite=suite, split="dev", system=system)
    right = model([[*p.prompt, *p.chosen] for p in pairs])
    wrong = model([[*p.prompt, *p.rejected] for p in pairs])
    share = sum(a > b for a, b in zip(right, wrong, strict=True)) / len(pairs)
    return {"quality": round(share, 4), "quality_is": "pairs ranked rightly"}


def _score(base: Path, folder: Path | None, suite: Any, place: Path) -> dict[str, Any]:
    """Exact answers on dev items and the general questions, with the adapter in place."""
    from denizen.data import load_holdout
    from denizen.data.build import draw_items
    from denizen.evaluate import GeneralScores, compare_general, score_general
    from denizen.evaluate.forgetting import score_with
    from denizen.models import load_tokenizer
    from denizen.models.adapters import load_trained
    from denizen.models.prompt_learning import is_prompt_learning
    from denizen.tasks import CORE

    tokenizer = load_tokenizer(base)
    model = load_trained(base, folder)
    items, _ = draw_items(ITEMS, 5, load_holdout(CORE), suite=suite, split="dev")
    ok = answered(model, tokenizer, items)
    if is_prompt_learning(model):
        # Its forward takes no cache of ours: one option at a time, through the training loss.
        general = score_with(lambda p, c: _loglikelihood(model, p, c), tokenizer)
    else:
        general = score_general(model, tokenizer)
    found = {
        "quality": round(sum(ok) / len(ok), 4),
        "right": ok,
        "general": round(sum(general.ok) / len(general.ok), 4),
        "general_scores": general.to_dict(),
    }
    if folder is not None:
        before = json.loads((place / "base.json").read_text("utf-8"))["general_scores"]
        change = compare_general(GeneralScores.from_dict(before), general)
        found["drift"] = round(change.drift.value, 4)
    return found


def _loglikelihood(model: Any, prompt: Any, continuation: Any) -> float:
    import torch

    from denizen.train.loss import supervised_logps

    ids = torch.tensor([[*prompt, *continuation]])
    labels = ids.clone()
    labels[:, : len(prompt)] = -100
    with torch.inference_mode():
        return float(supervised_logps(model, ids, labels).values.sum())


def draw(found: dict[str, dict[str, Any]], path: Path) -> None:
    """Quality against forgetting, a point a method: colour is time, area peak memory."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    shown = {n: r for n, r in found.items() if "drift" in r}
    figure, axes = plt.subplots(figsize=(9, 6), dpi=110, constrained_layout=True)
    points = axes.scatter(
        [r["drift"] for r in shown.values()],
        [100 * r["quality"] for r in shown.values()],
        s=[60 * r["peak_memory_gib"] for r in shown.values()],
        c=[r["seconds"] for r in shown.values()],
        cmap="viridis_r",
        alpha=0.85,
    )
    axes.axhline(100 * found["base"]["quality"], linestyle=":", color="grey", label="base")
    axes.set_xlabel("change of general text's log-probability, nats a token (0: nothing forgotten)")
    axes.set_ylabel(f"exact answers on {ITEMS} dev items, %")
    axes.legend(loc="lower right")
    figure.colorbar(points, label="seconds of training")
    figure.canvas.draw()  # until then nothing has its place
    taken: list[tuple[float, float]] = []
    for name, record in sorted(shown.items(), key=lambda of: -of[1]["quality"]):
        place = record["drift"], 100 * record["quality"]
        x, point = axes.transData.transform(place)
        y = point
        # Below the names that are there already.
        while any(abs(x - a) < _WIDE and abs(y - b) < _HIGH for a, b in taken):
            y -= 1
        taken.append((x, y))
        below = (y - point) * 72 / figure.dpi
        axes.annotate(name, place, (8, below - 3), textcoords="offset points")
    figure.savefig(path)
    plt.close(figure)


if __name__ == "__main__":
    print(json.dumps(_child(sys.argv[1], Path(sys.argv[2]))))
