"""A training step of ours against TRL 1.16, at its best CPU settings and at its defaults.

Contract: the same base model, rows, batch, adapter and learning rate, each in a process of its
own, one after another on an otherwise idle machine.  A step is the whole of Trainer's step
(forward, backward, clipping, optimiser).  The first step of each is warm-up for the clock; losses
are compared at every step.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from typing import Any

ROWS = 12
STEPS = 4
TARGETS = {"best": 1.9, "defaults": 5.0}


def measure() -> dict[str, Any]:
    """Seconds a step and the ratios."""
    ours = _run("ours", STEPS)
    best = _run("best", STEPS)
    defaults = _run("defaults", 2)
    difference = max(abs(a - b) for a, b in zip(ours["losses"], best["losses"], strict=True))
    result: dict[str, Any] = {
        "rows": ROWS,
        "tokens": ours["tokens"],
        "supervised_share": ours["supervised_share"],
        "ours": ours,
        "trl_best": best,
        "trl_defaults": defaults,
        "ratio_best": round(best["seconds"] / ours["seconds"], 2),
        "ratio_defaults": round(defaults["seconds"] / ours["seconds"], 2),
        "largest_loss_difference": difference,
        "targets": TARGETS,
    }
    result["reached"] = {
        "best": result["ratio_best"] >= TARGETS["best"],
        "defaults": result["ratio_defaults"] >= TARGETS["defaults"],
        "loss_to_4_decimals": difference < 5e-5,
    }
    return result


def _run(mode: str, steps: int) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.training", mode, str(steps)],
        capture_output=True,
        text=True,
        env={**os.environ, "TOKENIZERS_PARALLELISM": "false"},
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    print(f"  {mode}: {found['seconds']:.2f} s a step", file=sys.stderr)
    return found


def _child(mode: str, steps: int) -> dict[str, Any]:
    """Run one system and report its steps."""
    import tempfile
    import time

    import torch
    import transformers
    from datasets import Dataset
    from peft import LoraConfig, get_peft_model
    from transformers import TrainerCallback
    from trl import SFTConfig, SFTTrainer

    from denizen.data import build_rows, load_holdout
    from denizen.models import SYSTEM, checkpoint, ensure, find_model, load_model, load_tokenizer
    from denizen.project.config import Config
    from denizen.project.machine import cores, peak_rss_bytes
    from denizen.tasks import CORE
    from denizen.train import recipe, rendered_example, tabulate
    from denizen.train.batch import IGNORED
    from denizen.train.methods import find_adapter, find_objective
    from denizen.train.methods.lora import TARGETS as MODULES
    from denizen.train.trainer import Hooks, make_trainer

    transformers.logging.set_verbosity_error()
    torch.set_num_threads(cores())
    base = checkpoint(ensure(find_model("smollm2-135m-instruct")))
    rows, _ = build_rows(96, 11, load_holdout(CORE), system=SYSTEM)
    tokenizer = load_tokenizer(base)
    rendered, _ = tabulate(
        tokenizer, [r.messages for r in rows[:: 96 // ROWS]], max_length=512, drop_budget=0.0
    )
    torch.manual_seed(0)
    lora = LoraConfig(r=16, lora_alpha=32, target_modules=list(MODULES), task_type="CAUSAL_LM")
    model = get_peft_model(load_model(base), lora)
    times: list[float] = []
    losses: list[float] = []

    class Clock(TrainerCallback):  # type: ignore[misc]
        """Times steps and keeps logged losses."""

        began = 0.0

        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.began = time.perf_counter()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            times.append(time.perf_counter() - self.began)

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if "loss" in logs:
                losses.append(float(logs["loss"]))

    with tempfile.TemporaryDirectory() as scratch:
        common: dict[str, Any] = {
            "output_dir": scratch,
            "max_steps": steps,
            "per_device_train_batch_size": len(rendered),
            "learning_rate": 1e-4,
            "lr_scheduler_type": "constant",
            "logging_steps": 1,
            "report_to": [],
            "save_strategy": "no",
            "disable_tqdm": True,
            "use_cpu": True,
        }
        if mode == "ours":
            from pathlib import Path

            config = Config()
            lora = find_adapter("lora")
            objective = find_objective(config)
            arguments = recipe._arguments(
                config, Path(scratch), steps, "float32", False, lora, objective
            )
            arguments.learning_rate, arguments.lr_scheduler_type = 1e-4, "constant"
            arguments.lr_scheduler_kwargs, arguments.save_strategy = {}, "no"
            arguments.warmup_steps, arguments.adam_beta2 = 0, 0.999
            examples = [rendered_example(row) for row in rendered]
            hooks = Hooks(
                fused=recipe._fused(model, True, "float32", False),
                on_step=lambda _, __, point: losses.append(point.loss),
            )
            batches = [list(range(len(examples)))] * steps
            trainer = make_trainer(model, tokenizer, objective, examples, batches, arguments, hooks)
            trainer.add_callback(Clock())
        else:
            if mode == "best":
                common |= {"bf16": False, "gradient_checkpointing": False}
            data = Dataset.from_list(
                [
                    {
                        "input_ids": list(r.input_ids),
                        "labels": [
                            t if s else IGNORED
                            for t, s in zip(r.input_ids, r.supervised, strict=True)
                        ],
                    }
                    for r in rendered
                ]
            )
            trainer = SFTTrainer(
                model=model,
                args=SFTConfig(dataset_kwargs={"skip_prepare_dataset": True}, **common),
                train_dataset=data,
                processing_class=tokenizer,
                callbacks=[Clock()],
            )
        trainer.train()
    tokens = sum(len(r.input_ids) for r in rendered)
    supervised = sum(sum(r.supervised) for r in rendered)
    return {
        "mode": mode,
        "seconds": round(statistics.median(times[1:]), 3),
        "steps": [round(t, 3) for t in times],
        "losses": [round(x, 6) for x in losses],
        "tokens": tokens,
        "supervised_share": round(supervised / tokens, 3),
        "peak_memory_gib": round(peak_rss_bytes() / 2**30, 2),
    }


if __name__ == "__main__":
    print(json.dumps(_child(sys.argv[1], int(sys.argv[2]))))
