"""Supervised fine-tuning with LoRA: TRL's public trainer with our loss and our batches.

Contract: `fine_tune` trains an adapter on rendered rows, saves it with its base's hash, and can
be killed at any step: the next call resumes from the newest whole checkpoint and walks the same
batches.  Overridden are public methods only (compute_loss, get_train_dataloader).
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from denizen.models import Rendered, choose_precision, load_model, load_tokenizer
from denizen.project.atomic import atomic_write_text
from denizen.project.config import TrainConfig
from denizen.train.buckets import TokenBuckets
from denizen.train.ledger import Ledger
from denizen.train.loss import IGNORED, supervised_loss
from denizen.train.memory import forecast, need_checkpointing
from denizen.train.tripwires import check_gradients, check_loss

if TYPE_CHECKING:
    import torch

TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
_WHOLE = ("adapter_model.safetensors", "optimizer.pt", "scheduler.pt", "trainer_state.json")


@dataclass(frozen=True)
class TrainingPoint:
    """One step as it was seen."""

    step: int
    loss: float
    gradient_norm: float
    learning_rate: float
    tokens_per_second: float


@dataclass(frozen=True)
class TrainingResult:
    """The curve and the facts of a finished run."""

    points: tuple[TrainingPoint, ...]
    steps: int
    trainable: int
    padded_tokens: int
    precision: str
    checkpointing: bool
    memory_forecast: int
    seconds: float


def fine_tune(
    base: Path,
    rows: Sequence[Rendered],
    ledger: Ledger,
    config: TrainConfig,
    *,
    work: Path,
    adapter: Path,
    base_hash: str,
    seed: int = 0,
    rounding: Callable[[str, torch.Tensor], torch.Tensor] | None = None,
    on_step: Callable[[int, int, TrainingPoint], None] = lambda *_: None,
) -> TrainingResult:
    """Train and save an adapter to `adapter`; checkpoints go to `work`.

    With `rounding(name, weight)` the last part of the steps (`config.rounded_from`) sees weights
    as the quantised file will hold them, where the layers are folded (float32 without
    checkpointing).
    """
    import torch
    from peft import LoraConfig, get_peft_model

    from denizen.project.errors import TrainingError

    started = time.monotonic()
    precision = choose_precision(config.precision)
    model = load_model(base, precision)
    torch.manual_seed(seed)
    peft_model = get_peft_model(
        model,
        LoraConfig(
            r=config.rank,
            lora_alpha=config.alpha,
            target_modules=list(TARGETS),
            lora_dropout=0.0,
            task_type="CAUSAL_LM",
        ),
    )
    trainable = sum(p.numel() for p in peft_model.parameters() if p.requires_grad)
    if trainable == 0:
        raise TrainingError("the adapter has no weights", where="train.rank")
    need = forecast(
        model.config,
        model.num_parameters(),
        trainable,
        config.batch_tokens,
        ledger.supervised_share,
    )
    checkpointing = need_checkpointing(config.checkpointing, need)
    buckets = TokenBuckets(
        [len(r.input_ids) for r in rows], config.batch_tokens, epochs=config.epochs, seed=seed
    )
    trainer = _make_trainer(
        peft_model,
        load_tokenizer(base),
        rows,
        buckets,
        _arguments(config, work, len(buckets), precision, checkpointing, seed),
        fuse=precision == "float32" and not checkpointing,
        rounding=rounding,
        rounded_from=math.ceil(config.rounded_from * len(buckets)),
        on_step=on_step,
    )
    resume = newest_checkpoint(work)
    trainer.train(resume_from_checkpoint=str(resume) if resume else None)
    adapter.mkdir(parents=True, exist_ok=True)
    peft_model.save_pretrained(str(adapter))
    origin = {"denizen_base_hash": base_hash, "system": "LoRA", "rank": config.rank}
    (adapter / "denizen.json").write_text(json.dumps(origin, indent=1), "utf-8")
    return TrainingResult(
        tuple(trainer.points),
        len(buckets),
        trainable,
        buckets.padded_tokens,
        precision,
        checkpointing,
        need.total,
        time.monotonic() - started,
    )


def newest_checkpoint(work: Path) -> Path | None:
    """The newest checkpoint that a kill did not cut short."""
    found = sorted(work.glob("checkpoint-*"), key=lambda p: int(p.name.rsplit("-", 1)[1]))
    for path in reversed(found):
        if all((path / name).exists() for name in _WHOLE):
            try:
                json.loads((path / "trainer_state.json").read_text("utf-8"))
            except ValueError:
                continue
            return path
    return None


def _arguments(
    config: TrainConfig, work: Path, steps: int, precision: str, checkpointing: bool, seed: int
) -> Any:
    from trl import SFTConfig

    return SFTConfig(
        output_dir=str(work),
        max_steps=steps,
        per_device_train_batch_size=1,
        learning_rate=config.learning_rate,
        lr_scheduler_type="warmup_stable_decay",
        lr_scheduler_kwargs={"num_decay_steps": max(1, round(steps * 0.5)), "min_lr_ratio": 0.02},
        warmup_steps=config.warmup_steps,
        weight_decay=config.weight_decay,
        adam_beta2=0.99,
        max_grad_norm=1.0,
        bf16=precision == "bfloat16",
        gradient_checkpointing=checkpointing,
        max_length=None,
        packing=False,
        dataset_kwargs={"skip_prepare_dataset": True},
        remove_unused_columns=False,
        logging_strategy="no",
        save_strategy="steps",
        save_steps=config.save_steps,
        save_total_limit=2,
        report_to=[],
        disable_tqdm=True,
        seed=seed,
        data_seed=seed,
        use_cpu=_no_gpu(),
    )


def _no_gpu() -> bool:
    import torch

    return not torch.cuda.is_available()


def _make_trainer(
    model: Any,
    tokenizer: Any,
    rows: Sequence[Rendered],
    buckets: TokenBuckets,
    arguments: Any,
    *,
    fuse: bool,
    rounding: Callable[[str, torch.Tensor], torch.Tensor] | None,
    rounded_from: int,
    on_step: Callable[[int, int, TrainingPoint], None],
) -> Any:
    import torch
    from datasets import Dataset
    from transformers import PrinterCallback, ProgressCallback, TrainerCallback
    from trl import SFTTrainer

    from denizen.train.fused_lora import FusedLora

    class SupervisedTrainer(SFTTrainer):  # type: ignore[misc]
        """TRL's SFTTrainer with the supervised-positions-only loss and token buckets."""

        def compute_loss(
            self,
            model: Any,
            inputs: dict[str, torch.Tensor],
            return_outputs: bool = False,
            num_items_in_batch: Any = None,
        ) -> Any:
            if fused is not None:
                fused.refresh()
            loss = supervised_loss(
                self.accelerator.unwrap_model(model).get_base_model(),
                inputs["input_ids"],
                inputs["labels"],
                num_items_in_batch,
            )
            check_loss(float(loss.detach()), self.state.global_step + 1)
            watch.loss = float(loss.detach())
            watch.tokens += inputs["input_ids"].numel()
            return (loss, None) if return_outputs else loss

        def get_train_dataloader(self) -> Any:
            loader = torch.utils.data.DataLoader(
                self.train_dataset, batch_sampler=buckets, collate_fn=collate
            )
            return self.accelerator.prepare(loader)

    class Watch(TrainerCallback):  # type: ignore[misc]
        """Sees each step: tripwires and the curve."""

        loss, norm, tokens, began = 0.0, 0.0, 0, 0.0

        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.tokens, self.began = 0, time.monotonic()
            # At checkpoint steps only: a resumed run rounds the very weights it was saved with.
            step = state.global_step
            if fused and rounding and step >= rounded_from and step % args.save_steps == 0:
                fused.round_to(rounding)

        def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.norm = check_gradients(trainable, state.global_step + 1)

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            point = TrainingPoint(
                state.global_step,
                round(self.loss, 5),
                round(self.norm, 4),
                float(kwargs["lr_scheduler"].get_last_lr()[0]),
                round(self.tokens / max(time.monotonic() - self.began, 1e-9), 1),
            )
            trainer.points.append(point)
            with curve.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(point)) + "\n")
            on_step(state.global_step, state.max_steps, point)

    trainable = [p for p in model.parameters() if p.requires_grad]
    fused = FusedLora(model) if fuse else None
    watch = Watch()
    data = Dataset.from_list(
        [
            {
                "input_ids": list(r.input_ids),
                "labels": [
                    t if s else IGNORED for t, s in zip(r.input_ids, r.supervised, strict=True)
                ],
            }
            for r in rows
        ]
    )
    trainer = SupervisedTrainer(
        model=model,
        args=arguments,
        train_dataset=data,
        processing_class=tokenizer,
        callbacks=[watch],
    )
    for noisy in (ProgressCallback, PrinterCallback):
        trainer.remove_callback(noisy)
    curve = Path(arguments.output_dir) / "curve.jsonl"
    curve.parent.mkdir(parents=True, exist_ok=True)
    trainer.points = _earlier_points(curve)
    return trainer


def collate(rows: Sequence[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
    """Right-pad a batch; padding is never supervised."""
    import torch

    width = max(len(row["input_ids"]) for row in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    labels = torch.full((len(rows), width), IGNORED)
    for number, row in enumerate(rows):
        ids[number, : len(row["input_ids"])] = torch.tensor(row["input_ids"])
        labels[number, : len(row["labels"])] = torch.tensor(row["labels"])
    return {"input_ids": ids, "labels": labels}


def _earlier_points(curve: Path) -> list[TrainingPoint]:
    """The curve up to the checkpoint a resumed run starts from; later points are taken back."""
    checkpoint = newest_checkpoint(curve.parent)
    reached = int(checkpoint.name.rsplit("-", 1)[1]) if checkpoint else 0
    lines = curve.read_text("utf-8").splitlines() if curve.exists() and reached else []
    points = [TrainingPoint(**json.loads(line)) for line in lines if line.endswith("}")]
    kept = [point for point in points if point.step <= reached]
    atomic_write_text(curve, "".join(json.dumps(asdict(p)) + "\n" for p in kept))
    return kept
