"""What a tool must be told, in Denizen's terms: the recipe with its tool-independent numbers.

Contract: `make_plan` refuses (ConfigError, naming the key) whatever no other tool expresses; each
tool refuses what it alone cannot.  What is expressed but differs in kind is a note, which the
tool's files carry as comments: nothing is dropped in silence.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from denizen.models import choose_precision
from denizen.project.config import Config
from denizen.project.errors import ConfigError
from denizen.train.emit.rows import Table, table_of
from denizen.train.methods import find_adapter, find_objective
from denizen.train.recipe import learning_rate
from denizen.train.refusals import ONLINE
from denizen.train.targets import Targets, find_targets

if TYPE_CHECKING:
    from denizen.train.examples import Cut

LORA = ("lora", "qlora", "dora")
PROJECTED = ("galore", "apollo")


@dataclass(frozen=True)
class Plan:
    """A run as other tools count it; `steps` are optimiser steps, `rows_a_step` those of all
    processes together."""

    config: Config
    base: Path
    table: Table
    targets: Targets | None
    rate: float
    precision: str
    rows_a_step: int
    steps: int
    notes: tuple[str, ...]

    @property
    def rows_a_process(self) -> int:
        """Rows a step in each of `scale.processes`."""
        return self.rows_a_step // self.config.scale.processes

    @property
    def schedule(self) -> dict[str, Any]:
        """Arguments of the warmup_stable_decay schedule."""
        return {"num_decay_steps": max(1, round(self.steps * 0.5)), "min_lr_ratio": 0.02}

    @property
    def arguments(self) -> dict[str, Any]:
        """What transformers' TrainingArguments calls the same in every tool built on them."""
        train = self.config.train
        return {
            "gradient_accumulation_steps": 1,
            "learning_rate": self.rate,
            "lr_scheduler_type": "warmup_stable_decay",
            "lr_scheduler_kwargs": self.schedule,
            "warmup_steps": train.warmup_steps,
            "weight_decay": train.weight_decay,
            "adam_beta2": 0.99,
            "max_grad_norm": 1.0,
            "seed": self.config.data.seed,
            "logging_steps": 1,
            "save_steps": train.save_steps,
            "save_total_limit": 2,
            "report_to": "none",
        }

    @property
    def alphas(self) -> dict[str, int]:
        """PEFT's alpha_pattern; raises ConfigError where it is no whole number."""
        adapter = self.config.adapter
        if adapter.rslora or not self.targets:
            return {}
        found = {p: r * adapter.alpha / adapter.rank for p, r in self.targets.ranks.items()}
        if any(alpha != int(alpha) for alpha in found.values()):
            refuse("adapter.ranks", "its alphas are no whole numbers", "choose other ranks")
        return {pattern: int(alpha) for pattern, alpha in found.items()}


def make_plan(
    config: Config, base: Path, tokenizer: Any, rows: Sequence[Any], cut: Cut | None = None
) -> Plan:
    """Everything a tool's writer needs; raises ConfigError, DataError, TrainingError."""
    refuse_own(config)
    table = table_of(config, tokenizer, rows, *([cut] if cut else []))
    adapter, objective = find_adapter(config.adapter.method), find_objective(config)
    epochs, limit = config.train.epochs, config.train.max_steps
    batches = len(objective.batches(table.examples, config))
    processes = config.scale.processes
    # Whole rows in each process: what a step really takes.
    rows_a_step = processes * max(1, round(len(table.rows) * epochs / batches / processes))
    steps = -(-len(table.rows) // rows_a_step) * epochs
    adapted = config.adapter.method in (*LORA, *PROJECTED)
    return Plan(
        config,
        base.resolve(),
        table,
        find_targets(_skeleton(base), config.adapter) if adapted else None,
        learning_rate(config, adapter, objective),
        choose_precision(config.train.precision),
        rows_a_step,
        min(steps, limit) if limit else steps,
        tuple(_notes(config, table, rows_a_step)),
    )


def refuse(key: str, why: str, fix: str) -> NoReturn:
    """A ConfigError about a key of denizen.yaml."""
    raise ConfigError(why, where=key, fix=fix)


def document(plan: Plan, settings: dict[str, Any], tool: str, notes: Sequence[str]) -> str:
    """A YAML file of settings under comments: where it is from, and how it differs."""
    import yaml

    lines = [f"# {plan.config.name}: written by `denizen train --emit` for {tool}.", "#"]
    lines += ["# What differs from Denizen's own run:"]
    lines += [f"# - {note}" for note in (*plan.notes, *notes)]
    return "\n".join(lines) + "\n\n" + yaml.safe_dump(settings, sort_keys=False, width=100)


def json_lines(rows: Sequence[dict[str, Any]]) -> str:
    """One JSON object a line."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def refuse_own(config: Config) -> None:
    """Refuse what only Denizen does (before rows are built for nothing)."""
    train, guard, adapter = config.train, config.guard, config.adapter
    if train.objective in ONLINE:
        refuse(
            "train.objective",
            f"the reward of {train.objective} is Denizen's exact verifier, which other tools lack",
            "train it with Denizen; sft, pretrain, dpo, orpo, kto and reward can be written",
        )
    if adapter.method in ("mora", "prefix", "prompt"):
        refuse(
            "adapter.method",
            f"{adapter.method} has no counterpart in these tools",
            "choose lora, qlora, dora, full, galore or apollo, or train it with Denizen",
        )
    if train.start:
        refuse(
            "train.start",
            "an adapter of this workspace to go on from",
            "merge it into a base first, or train with Denizen",
        )
    for key, value in (("probe", guard.probe), ("replay", guard.replay)):
        if value:
            refuse(f"guard.{key}", "only Denizen's trainer does this", "switch it off")
    if guard.patience:
        refuse("guard.patience", "only Denizen stops on its own development split", "set it to 0")


def _notes(config: Config, table: Table, rows_a_step: int) -> list[str]:
    train, ledger = config.train, table.ledger
    notes = [
        f"a step takes {rows_a_step} rows, the mean of Denizen's, which are made by tokens "
        f"(train.batch_tokens {train.batch_tokens}) of rows of like length",
        "rows come in the tool's own order, and an adapter starts from its own random numbers",
    ]
    if config.adapter.method in LORA and train.rounded_from < 1:
        notes.append("no step sees weights as the quantised file will hold them (rounded_from)")
    if ledger.rows_dropped:
        notes.append(f"{ledger.rows_dropped} rows over {train.max_length} tokens are left out")
    if table.retokenised:
        notes.append(
            f"{table.retokenised} rows of {len(table.rows)} tokenise otherwise here: their text "
            "is the same"
        )
    return notes


def _skeleton(base: Path) -> Any:
    """The model's modules without their weights."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(str(base)))
