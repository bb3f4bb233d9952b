"""A DPO step of ours against TRL 1.16's DPOTrainer at its best CPU settings.

Contract: the same base model, verified pairs, adapter with the same start, learning rates and
reference (the base), each in a process of its own, one after another on an otherwise idle machine.
A step is the whole of Trainer's step; `seconds_with_reference` adds what the reference costs where
every pair is seen once.  The first step is warm-up for the clock; losses are compared at every
step.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import child

PAIRS, STEPS, RATE = 8, 4, 1e-4
TARGET, MEMORY = 2.0, 0.7
# bf16 is emulated here and checkpointing computes everything twice; the reference either within
# each step or once before the first.
TRL_MODES: dict[str, tuple[int, dict[str, Any]]] = {
    "trl_in_step": (STEPS, {"bf16": False, "gradient_checkpointing": False}),
    "trl_precomputed": (
        STEPS,
        {"bf16": False, "gradient_checkpointing": False, "precompute_ref_log_probs": True},
    ),
}


def measure() -> dict[str, Any]:
    """Seconds a step, peak memory and the ratios."""
    ours = _run("ours")
    theirs = {mode: _run(mode) for mode in TRL_MODES}
    best = min(theirs.values(), key=lambda t: float(t["seconds_with_reference"]))
    precomputed = theirs["trl_precomputed"]
    difference = max(abs(a - b) for a, b in zip(ours["losses"], best["losses"], strict=True))
    result: dict[str, Any] = {
        "pairs": PAIRS,
        "ours": ours,
        **theirs,
        "best": best["mode"],
        "ratio_step": round(precomputed["seconds"] / ours["seconds"], 2),
        "ratio_with_reference": round(
            best["seconds_with_reference"] / ours["seconds_with_reference"], 2
        ),
        "memory_share": round(ours["peak_memory_gib"] / best["peak_memory_gib"], 2),
        "largest_loss_difference": difference,
        "target": TARGET,
    }
    result["reached"] = {
        "ratio_step": result["ratio_step"] >= TARGET,
        "ratio_with_reference": result["ratio_with_reference"] >= TARGET,
        "memory": result["memory_share"] <= MEMORY,
        "loss_to_4_decimals": difference < 5e-5,
    }
    return result


def _run(mode: str) -> dict[str, Any]:
    found = child.measured("benchmarks.preferences", mode)
    print(f"  {mode}: {found['seconds']:.2f} s a step", file=sys.stderr)
    return found


def _child(mode: str) -> dict[str, Any]:
    """Run one system and report its steps."""
    import tempfile

    from denizen.data import load_holdout
    from denizen.data.preferences import build_pairs
    from denizen.models import SYSTEM, checkpoint, ensure, find_model
    from denizen.project.machine import peak_rss_bytes
    from denizen.tasks import CORE

    child.prepare()
    base = checkpoint(ensure(find_model("smollm2-135m-instruct")))
    pairs, _ = build_pairs(96, 11, load_holdout(CORE), system=SYSTEM)
    steps = STEPS if mode == "ours" else TRL_MODES[mode][0]
    with tempfile.TemporaryDirectory() as scratch:
        system = _ours if mode == "ours" else _trl
        clock = system(mode, base, pairs[:: 96 // PAIRS], Path(scratch), steps)
    seconds = statistics.median(clock.steps[1:])
    return {
        "mode": mode,
        "seconds": round(seconds, 3),
        "reference_seconds": round(clock.reference, 3),
        "seconds_with_reference": round(seconds + clock.reference, 3),
        "steps": [round(t, 3) for t in clock.steps],
        "losses": [round(x, 6) for x in clock.losses],
        "peak_memory_gib": round(peak_rss_bytes() / 2**30, 2),
    }


class _Clock:
    """Seconds of each step, and those of the reference outside the steps."""

    def __init__(self) -> None:
        self.steps: list[float] = []
        self.losses: list[float] = []
        self.reference = 0.0
        self.began = 0.0


def _settings(scratch: Path, steps: int) -> dict[str, Any]:
    """What both trainers are told alike."""
    return {
        "output_dir": str(scratch),
        "max_steps": steps,
        "learning_rate": RATE,
        "lr_scheduler_type": "warmup_stable_decay",
        "lr_scheduler_kwargs": {
            "num_decay_steps": max(1, round(steps * 0.5)),
            "min_lr_ratio": 0.02,
        },
        "warmup_steps": 0,
        "adam_beta2": 0.99,
    }


def _ours(mode: str, base: Path, pairs: list[Any], scratch: Path, steps: int) -> _Clock:
    from denizen.models import load_tokenizer
    from denizen.project.config import Config, TrainConfig
    from denizen.train import Job, fine_tune
    from denizen.train.examples import examples_of
    from denizen.train.methods.dpo import DirectPreference

    clock = _Clock()
    # An epoch is one batch of all pairs.
    config = Config(
        train=TrainConfig(
            objective="dpo",
            learning_rate=RATE,
            epochs=steps,
            warmup_steps=0,
            batch_tokens=10**6,
            checkpointing="off",
        )
    )
    examples, _ = examples_of("dpo", load_tokenizer(base), pairs, config)
    prepare, before = DirectPreference.prepare, DirectPreference.before

    def timed_prepare(*given: Any) -> None:
        began = time.perf_counter()
        prepare(*given)
        clock.reference = time.perf_counter() - began

    def timed_before(*given: Any) -> Any:
        clock.began = time.perf_counter()
        return before(*given)

    def on_step(step: int, total: int, point: Any) -> None:
        clock.steps.append(time.perf_counter() - clock.began)
        clock.losses.append(point.loss)

    DirectPreference.prepare, DirectPreference.before = timed_prepare, timed_before  # type: ignore
    fine_tune(Job(base, "", examples, config, scratch / "work", scratch / "adapter"), on_step)
    return clock


def _trl(mode: str, base: Path, pairs: list[Any], scratch: Path, steps: int) -> _Clock:
    import torch
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import DPOConfig, DPOTrainer

    from denizen.models import load_model, load_tokenizer, render, render_prompt
    from denizen.project.config import AdapterConfig
    from denizen.train.methods import find_adapter
    from denizen.train.methods.lora import lora_config

    clock = _Clock()
    tokenizer = load_tokenizer(base)
    rows = []
    for pair in pairs:
        prompt = render_prompt(tokenizer, pair.prompt)
        chosen, rejected = (
            render(tokenizer, [*pair.prompt, *answer]).text.rstrip("\n")[len(prompt) :]
            for answer in (pair.chosen, pair.rejected)
        )
        rows.append({"prompt": prompt, "chosen": chosen, "rejected": rejected})

    class Timed(DPOTrainer):  # type: ignore[misc]
        """Times the reference where it is computed before the steps."""

        def compute_ref_log_probs(self, *given: Any, **named: Any) -> Any:
            began = time.perf_counter()
            found = super().compute_ref_log_probs(*given, **named)
            clock.reference += time.perf_counter() - began
            return found

    class Watch(TrainerCallback):  # type: ignore[misc]
        """Times steps and keeps logged losses."""

        def on_step_begin(self, *_: Any, **__: Any) -> None:
            clock.began = time.perf_counter()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            clock.steps.append(time.perf_counter() - clock.began)

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if "loss" in logs:
                clock.losses.append(float(logs["loss"]))

    model = load_model(base)
    torch.manual_seed(0)
    wrapped = find_adapter("lora").wrap(model, AdapterConfig())
    start = {n: p.detach().clone() for n, p in wrapped.named_parameters() if p.requires_grad}
    model = wrapped.unload()
    trainer = Timed(
        model=model,
        args=DPOConfig(
            **_settings(scratch, steps),
            beta=0.1,
            max_length=None,
            per_device_train_batch_size=len(rows),
            logging_steps=1,
            report_to=[],
            save_strategy="no",
            disable_tqdm=True,
            use_cpu=True,
            **TRL_MODES[mode][1],
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        # A configuration, not a wrapped model: the reference is then the disabled adapter.
        peft_config=lora_config(model, AdapterConfig()),
        callbacks=[Watch()],
    )
    for name, parameter in trainer.model.named_parameters():
        if parameter.requires_grad:
            parameter.data.copy_(start[name])
    trainer.train()
    return clock


if __name__ == "__main__":
    print(json.dumps(_child(sys.argv[1])))
