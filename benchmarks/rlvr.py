"""Reinforcement with verifiable rewards: does GRPO after SFT beat SFT alone in equal wall time?

Contract: all arms start at one adapter, the recipe's SFT on the default rows.  SFT goes on with the
same rows once more (no new answers are known, as GRPO is told none), or with as many fresh ones, of
all core families or of the hard ones alone; GRPO has as many seconds as the start took, asks
questions of the hard ones and sees verdicts, never answers.  Which families are hard, and each
arm's learning rate, is chosen on the dev split; then the chosen arms answer the hard families'
holdout, once, greedily, under the grammars.  McNemar's test is exact and one-sided.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks import child
from benchmarks.answering import answered
from benchmarks.deadline import Deadline

# How many families count as hard: those the start gets wrong most.
HARD = 4
# Peak learning rates of each arm.
ARMS: dict[str, tuple[float, ...]] = {
    "sft": (1e-3, 3e-4),
    "sft hard": (1e-3, 3e-4),
    "sft again": (1e-3, 3e-4),
    "grpo": (1e-4, 3e-4, 1e-3),
}
# Dev items of a family.
DEV, SEED = 40, 7
ALPHA = 0.05


def measure(workspace: Path) -> dict[str, Any]:
    """Train the arms that are not in `workspace`, choose on dev, score those on the holdout."""
    place = workspace / "rlvr"
    place.mkdir(parents=True, exist_ok=True)
    start = _run(place, "train", "start", 0.0)
    trained = {
        arm: {rate: _run(place, "train", arm, rate) for rate in rates}
        for arm, rates in ARMS.items()
    }
    chosen = {arm: max(of, key=lambda r: of[r]["dev"]) for arm, of in trained.items()}
    exams = {"start": _run(place, "exam", "start", 0.0)}
    exams |= {arm: _run(place, "exam", arm, rate) for arm, rate in chosen.items()}
    against = {arm: _compared(exams[arm], exams["grpo"]) for arm in exams if arm != "grpo"}
    seconds = {arm: trained[arm][rate]["seconds"] for arm, rate in chosen.items()}
    return {
        "hard": _hard(place),
        "start": start,
        "arms": {arm: {str(rate): run for rate, run in of.items()} for arm, of in trained.items()},
        "chosen": chosen,
        "holdout": {arm: _summary(exam) for arm, exam in exams.items()},
        "grpo_against": against,
        "target": f"p < {ALPHA} against SFT alone",
        "seconds": seconds,
        "reached": {
            arm: against[arm]["p"] < ALPHA and seconds["grpo"] <= 1.05 * seconds[arm]
            for arm in against
            if arm != "start"
        },
    }


def _summary(exam: dict[str, Any]) -> dict[str, Any]:
    right, asked = Counter[str](), Counter[str]()
    for family, ok in zip(exam["families"], exam["ok"], strict=True):
        right[family] += ok
        asked[family] += 1
    families = {name: round(right[name] / asked[name], 4) for name in asked}
    return {
        "accuracy": round(sum(exam["ok"]) / len(exam["ok"]), 4),
        "n": len(exam["ok"]),
    } | families


def _compared(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    from denizen.evaluate.stats import discordant, mcnemar

    wins, losses = discordant(before["ok"], after["ok"])
    return {"wins": wins, "losses": losses, "p": mcnemar(wins, losses, "greater").p}


def _run(place: Path, what: str, arm: str, rate: float) -> dict[str, Any]:
    """A child's record, from the workspace where it is there."""
    record = place / f"{what}-{_name(arm, rate)}.json"
    return child.recorded(record, "benchmarks.rlvr", place, what, arm, rate)


def _hard(place: Path) -> list[str]:
    """The families the start gets wrong most on dev."""
    found = json.loads((place / "train-start-0.json").read_text("utf-8"))["dev_families"]
    return sorted(found, key=lambda name: float(found[name]))[:HARD]


def _name(arm: str, rate: float) -> str:
    return f"{arm.replace(' ', '-')}-{rate:g}"


def _train(place: Path, arm: str, rate: float) -> dict[str, Any]:
    """One arm, trained and scored on dev items."""
    from denizen.data import load_holdout
    from denizen.improve import lessons
    from denizen.models import checkpoint, ensure, find_model, load_tokenizer
    from denizen.project.config import parse_config
    from denizen.project.machine import peak_rss_bytes
    from denizen.tasks import CORE, suite_of
    from denizen.train import Job, fine_tune

    files = ensure(find_model("smollm2-135m-instruct"))
    base, core, holdout = checkpoint(files), suite_of("core"), load_holdout(CORE)
    hard = None if arm == "start" else suite_of(",".join(_hard(place)))
    asked = hard if hard and arm not in ("sft", "sft again") else core
    objective = "grpo" if arm == "grpo" else "sft"
    seed = 0 if arm in ("start", "sft again") else SEED
    settings = f"{{objective: {objective}, learning_rate: {rate}}}"
    config = parse_config(f"train: {settings}\ndata: {{seed: {seed}}}")
    tokenizer, guards = load_tokenizer(base), []
    if arm == "grpo":
        spent = json.loads((place / "train-start-0.json").read_text("utf-8"))["seconds"]
        guards.append(Deadline(spent))
    rows = lessons.collect(config, asked, holdout).rows
    examples, ledger = lessons.examples(tokenizer, core, rows, config)
    work = place / f"work-{_name(arm, rate)}"
    # A run that goes on where a killed one stopped would have had more than its seconds.
    shutil.rmtree(work, ignore_errors=True)
    began = time.monotonic()
    result = fine_tune(
        Job(
            base=base,
            base_hash=files.hash,
            examples=examples,
            config=config,
            work=work,
            adapter=place / _name(arm, rate),
            supervised_share=ledger.supervised_share,
            start=None if arm == "start" else place / _name("start", 0.0),
            guards=guards,
        )
    )
    seconds = time.monotonic() - began
    dev = [i for name in (hard or core).names for i in _drawn(name, holdout)]
    ok = _answered(base, place / _name(arm, rate), dev)
    by_family = {
        name: [o for i, o in zip(dev, ok, strict=True) if i.family == name]
        for name in (hard or core).names
    }
    return {
        "seconds": round(seconds, 1),
        "steps": len(result.points),
        "stopped": result.stopped,
        "dev": round(sum(ok) / len(ok), 4),
        "dev_families": {name: round(sum(of) / len(of), 4) for name, of in by_family.items()},
        "peak_memory_gib": round(peak_rss_bytes() / 2**30, 2),
        "curve": [[p.step, p.loss, p.metrics.get("reward")] for p in result.points],
    }


def _drawn(family: str, holdout: list[Any]) -> list[Any]:
    from denizen.data.build import draw_items
    from denizen.tasks import suite_of

    return draw_items(DEV, 5, holdout, suite=suite_of(family), split="dev")[0]


def _exam(place: Path, arm: str, rate: float) -> dict[str, Any]:
    """The hard families' holdout."""
    from denizen.data import load_holdout
    from denizen.models import checkpoint, ensure, find_model

    items = load_holdout(_hard(place))
    base = checkpoint(ensure(find_model("smollm2-135m-instruct")))
    ok = _answered(base, place / _name(arm, rate), items)
    return {"families": [item.family for item in items], "ok": ok}


def _answered(base: Path, adapter: Path, items: list[Any]) -> list[bool]:
    from denizen.models import load_tokenizer
    from denizen.models.adapters import load_trained

    return answered(load_trained(base, adapter), load_tokenizer(base), items)


def _child(place: Path, what: str, arm: str, rate: float) -> dict[str, Any]:
    child.prepare()
    return (_train if what == "train" else _exam)(place, arm, rate)


if __name__ == "__main__":
    place, what, arm, rate = sys.argv[1:]
    print(json.dumps(_child(Path(place), what, arm, float(rate))))
