"""One system's training steps in a process of its own, for `benchmarks/training.py`.

Contract: `python -m benchmarks.training_run JSON` (the fields of `Run`) prints one JSON line:
seconds and processor seconds of each step, losses, peak resident memory of the process, and for
ours the useful operations as a share of this process's own best float32 GEMM.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import child
from denizen.train.batch import IGNORED
from denizen.train.methods import Example

ROWS = 8
BATCHES = 4
RANK = 16
RATE = 1e-4
MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class Run(NamedTuple):
    """What is run: `system` is ours or trl, `order` drawn or grouped, `settings` TRL's own."""

    model: str
    system: str
    order: str
    settings: dict[str, Any]
    batches: int = BATCHES


def draw(tokenizer: Any, count: int, seed: int = 5) -> list[Example]:
    """Rows of the verified tasks with none, one or two others ahead as context.

    Only the last answer is learnt.  The context's length is drawn until a fifth of all tokens is
    supervised, so the share is met by how the rows are made, not by leaving rows out.
    """
    from denizen.data import build_rows, load_holdout
    from denizen.models import SYSTEM, render
    from denizen.tasks import CORE

    drawn, _ = build_rows(count * 3, 11, load_holdout(CORE), system=SYSTEM)
    random.Random(seed).shuffle(drawn)
    turns = [list(row.messages[1:]) for row in drawn]
    rows: list[Example] = []
    learnt = tokens = spare = 0
    for number in range(count):
        ahead = 0 if number % 3 == 0 else 1
        if tokens and learnt / tokens > 0.2:
            ahead += 1
        context = [turn for k in range(ahead) for turn in turns[count + spare + k]]
        spare += ahead
        rendered = render(tokenizer, [drawn[0].messages[0], *context, *turns[number]])
        labels = [
            t if s else IGNORED
            for t, s in zip(rendered.input_ids, rendered.supervised, strict=True)
        ]
        last = max(i for i, s in enumerate(rendered.supervised) if s)
        first = max((i for i in range(last) if labels[i] == IGNORED), default=-1) + 1
        labels = [label if i >= first else IGNORED for i, label in enumerate(labels)]
        rows.append(Example(len(labels), {"input_ids": rendered.input_ids, "labels": labels}))
        learnt, tokens = learnt + last + 1 - first, tokens + len(labels)
    return rows


def ordered(rows: list[Example], order: str) -> list[list[Example]]:
    """Batches of ROWS, and one more in front (the first again) to warm up."""
    if order == "grouped":
        rows = sorted(rows, key=lambda row: row.length)
    batches = [rows[i : i + ROWS] for i in range(0, len(rows), ROWS)]
    return [batches[0], *batches]


def run(what: Run) -> dict[str, Any]:
    """Train and report."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import TrainerCallback

    from benchmarks.flops import gemm_peak, lora_step
    from denizen.models import checkpoint, ensure, find_model, load_model, load_tokenizer
    from denizen.project.machine import peak_rss_bytes

    child.prepare()
    base = checkpoint(ensure(find_model(what.model)))
    tokenizer = load_tokenizer(base)
    rows = draw(tokenizer, ROWS * BATCHES)[: ROWS * what.batches]
    batches = ordered(rows, what.order)
    torch.manual_seed(0)
    lora = LoraConfig(
        r=RANK, lora_alpha=2 * RANK, target_modules=list(MODULES), task_type="CAUSAL_LM"
    )
    model = get_peft_model(load_model(base), lora)
    peaks = [gemm_peak()]
    wall: list[float] = []
    busy: list[float] = []

    class Clock(TrainerCallback):  # type: ignore[misc]
        """Times steps."""

        began = (0.0, 0.0)

        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.began = (time.perf_counter(), time.process_time())

        def on_step_end(self, *_: Any, **__: Any) -> None:
            wall.append(time.perf_counter() - self.began[0])
            busy.append(time.process_time() - self.began[1])

    with tempfile.TemporaryDirectory() as scratch:
        make = _ours if what.system == "ours" else _trl
        losses = make(what, model, tokenizer, batches, Path(scratch), Clock())
    peaks.append(gemm_peak())
    seconds = sum(wall[1:]) / len(wall[1:])
    tokens = sum(row.length for row in rows)
    report: dict[str, Any] = {
        **what._asdict(),
        "seconds": round(seconds, 3),
        "steps": [round(t, 3) for t in wall[1:]],
        "processor_seconds": [round(t, 3) for t in busy[1:]],
        "losses": [round(x, 6) for x in losses],
        "tokens": tokens,
        "lengths": [min(r.length for r in rows), max(r.length for r in rows)],
        "supervised_share": round(
            sum(x != IGNORED for r in rows for x in r.fields["labels"]) / tokens, 3
        ),
        "peak_memory_gib": round(peak_rss_bytes() / 2**30, 2),
        "gemm_peak_gflops": [round(p / 1e9, 1) for p in peaks],
    }
    if what.system == "ours":
        work = [lora_step(model.config, RANK, batch) for batch in batches[1:]]
        useful = sum(w.total for w in work)
        report |= {
            "useful_gflop": {
                kind: round(sum(getattr(w, kind) for w in work) / 1e9 / len(work), 1)
                for kind in work[0]._fields
            },
            "useful_gflops": round(useful / sum(wall[1:]) / 1e9, 1),
            "share_of_peak": round(useful / sum(wall[1:]) / max(peaks), 3),
        }
    return report


def _ours(
    what: Run, model: Any, tokenizer: Any, batches: list[list[Example]], folder: Path, clock: Any
) -> list[float]:
    """Our recipe's arguments and trainer; the schedule and optimiser are TRL's defaults."""
    from denizen.project.config import Config
    from denizen.train import recipe
    from denizen.train.allocator import kept_pages
    from denizen.train.fused_lora import FusedLora
    from denizen.train.methods import find_objective
    from denizen.train.trainer import Hooks, make_trainer

    config, losses = Config(), list[float]()
    objective = find_objective(config)
    arguments = recipe._arguments(config, folder, len(batches), "float32", False, RATE)
    arguments.lr_scheduler_type = "constant"
    arguments.lr_scheduler_kwargs, arguments.save_strategy = {}, "no"
    arguments.warmup_steps, arguments.adam_beta2 = 0, 0.999
    hooks = Hooks(fused=FusedLora(model), on_step=lambda _, __, point: losses.append(point.loss))
    examples = [row for batch in batches for row in batch]
    places = [list(range(i, i + ROWS)) for i in range(0, len(examples), ROWS)]
    trainer = make_trainer(model, tokenizer, objective, examples, places, arguments, hooks)
    trainer.add_callback(clock)
    with kept_pages():
        trainer.train()
    return losses


def _trl(
    what: Run, model: Any, tokenizer: Any, batches: list[list[Example]], folder: Path, clock: Any
) -> list[float]:
    """TRL's SFTTrainer on the same batches."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    arguments = SFTConfig(
        output_dir=str(folder),
        max_steps=len(batches),
        per_device_train_batch_size=ROWS,
        train_sampling_strategy="sequential",
        max_length=None,
        learning_rate=RATE,
        lr_scheduler_type="constant",
        logging_steps=1,
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
        use_cpu=True,
        dataset_kwargs={"skip_prepare_dataset": True},
        **what.settings,
    )
    rows = [{k: list(v) for k, v in row.fields.items()} for batch in batches for row in batch]
    trainer = SFTTrainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        callbacks=[clock],
    )
    trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


if __name__ == "__main__":
    print(json.dumps(run(Run(**json.loads(sys.argv[1])))))
