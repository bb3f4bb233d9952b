"""TRL's public SFTTrainer as the shell of every objective: its loop, our batches and losses.

Contract: overridden are public methods only (compute_loss, get_train_dataloader).  A step is:
the objective's `before` without gradients, its loss, tripwires, guards.  A killed run resumes from
the newest whole checkpoint and walks the same batches.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from denizen.train.checkpoints import TrainingPoint, earlier_points
from denizen.train.guards import Guard
from denizen.train.methods.base import Example, Objective
from denizen.train.scale import agreed, part_of, part_weight, route_losses, share
from denizen.train.tripwires import check_gradients, check_loss

if TYPE_CHECKING:
    import torch

    from denizen.train.fused_lora import FusedLora


@dataclass
class Hooks:
    """What the recipe hangs on a run."""

    guards: Sequence[Guard] = ()
    on_step: Callable[[int, int, TrainingPoint], None] = lambda *_: None
    fused: FusedLora | None = None
    rounding: Callable[[str, torch.Tensor], torch.Tensor] | None = None
    rounded_from: int = 0
    optimiser: tuple[type, dict[str, Any]] | None = None
    stopped: str = ""


def make_trainer(
    model: Any,
    tokenizer: Any,
    objective: Objective,
    examples: Sequence[Example],
    batches: Sequence[list[int]],
    arguments: Any,
    hooks: Hooks,
) -> Any:
    """A trainer whose `points` is the curve; `train(resume_from_checkpoint=...)` runs it."""
    import torch
    from datasets import Dataset
    from transformers import PrinterCallback, ProgressCallback, TrainerCallback
    from trl import SFTTrainer

    class RecipeTrainer(SFTTrainer):  # type: ignore[misc]
        """The loop of TRL's trainer around an objective."""

        def compute_loss(
            self,
            model: Any,
            inputs: dict[str, Any],
            return_outputs: bool = False,
            num_items_in_batch: Any = None,
        ) -> Any:
            if hooks.fused is not None:
                hooks.fused.refresh()
            bare = self.accelerator.unwrap_model(model)
            with torch.no_grad():
                inputs = objective.before(bare, inputs, self.state.global_step)
            if hooks.fused is not None:
                # What sampling folded is of no more use, and as large as the model.
                hooks.fused.refresh()
            if processes == 1:
                loss, watch.metrics = objective.loss(bare, inputs, num_items_in_batch)
                watch.loss = float(loss.detach())
            else:
                rows = len(batches[self.state.global_step][rank::processes])
                weight = part_weight(objective, inputs, rows)
                step = model(recipe=(inputs, weight or None))
                loss, watch.loss, watch.metrics = share(self.accelerator, weight, *step)
            check_loss(watch.loss, self.state.global_step + 1)
            watch.tokens += sum(v.numel() for k, v in inputs.items() if k.endswith("input_ids"))
            return (loss, None) if return_outputs else loss

        def training_step(self, *arguments: Any, **options: Any) -> Any:
            loss = super().training_step(*arguments, **options)
            # Before the trainer clips them.
            if not self.is_deepspeed_enabled:
                idle = watch.reached or watch.metrics.get("zero_advantage") == 1
                step = self.state.global_step + 1
                watch.norm = check_gradients(model.parameters(), step, idle=idle)
                watch.reached = watch.reached or watch.norm > 0
            return loss

        def get_train_dataloader(self) -> Any:
            loader = torch.utils.data.DataLoader(
                examples,
                batch_sampler=part_of(batches, rank, processes),
                collate_fn=objective.collate,
            )
            # Of many processes each has its own part already; accelerate would deal it out again.
            return self.accelerator.prepare(loader) if processes == 1 else loader

    class Watch(TrainerCallback):  # type: ignore[misc]
        """Sees each step: tripwires, guards and the curve."""

        def __init__(self) -> None:
            self.loss, self.norm, self.tokens, self.began = 0.0, 0.0, 0, 0.0
            self.metrics: Mapping[str, float] = {}
            self.reached = False

        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.tokens, self.began = 0, time.monotonic()
            # At checkpoint steps only: a resumed run rounds the very weights it was saved with.
            step = state.global_step
            due = step >= hooks.rounded_from and step % args.save_steps == 0
            if hooks.fused and hooks.rounding and due:
                hooks.fused.round_to(hooks.rounding)

        def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if trainer.is_deepspeed_enabled:
                self.norm = float(trainer.deepspeed.get_global_grad_norm())

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            point = TrainingPoint(
                state.global_step,
                round(self.loss, 5),
                round(self.norm, 4),
                float(kwargs["lr_scheduler"].get_last_lr()[0]),
                round(self.tokens / max(time.monotonic() - self.began, 1e-9), 1),
                {k: round(float(v), 5) for k, v in self.metrics.items()},
            )
            trainer.points.append(point)
            if rank == 0:
                with curve.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(asdict(point)) + "\n")
            hooks.on_step(state.global_step, state.max_steps, point)
            self._ask(control, lambda guard: guard.after_step(point))

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            # Guards compare saves, and only the later ones are rounded.
            with hooks.fused.unrounded() if hooks.fused and hooks.guards else nullcontext():
                self._ask(control, lambda guard: guard.at_save(model, state.global_step))

        def _ask(self, control: Any, ask: Callable[[Guard], str | None]) -> None:
            # One process asks: guards may write.
            reasons = [ask(guard) for guard in hooks.guards] if rank == 0 else []
            reason = next(filter(None, reasons), None)
            if processes > 1 and hooks.guards:
                reason = agreed(reason)
            if reason:
                hooks.stopped = hooks.stopped or reason
                control.should_training_stop = True

    rank, processes = arguments.process_index, arguments.world_size
    if processes > 1:
        route_losses(model, objective)
    watch = Watch()
    trained = [(p, p.data) for p in model.parameters() if p.requires_grad]
    trainer = RecipeTrainer(
        model=model,
        args=arguments,
        # The trainer wants a dataset of its own; batches come from the examples above.
        train_dataset=Dataset.from_list([{"input_ids": [0], "labels": [0]}]),
        processing_class=tokenizer,
        callbacks=[watch],
        optimizer_cls_and_kwargs=hooks.optimiser,
    )
    # Over a 4-bit base TRL rounds the adapter to bf16: its start, and each small update after it.
    for parameter, value in trained:
        parameter.data = value.to(parameter.device)
    for noisy in (ProgressCallback, PrinterCallback):
        trainer.remove_callback(noisy)
    curve = Path(arguments.output_dir) / "curve.jsonl"
    curve.parent.mkdir(parents=True, exist_ok=True)
    trainer.points = earlier_points(curve) if rank == 0 else []
    watch.reached = any(point.gradient_norm > 0 for point in trainer.points)
    return trainer
