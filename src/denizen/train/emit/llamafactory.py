"""LLaMA-Factory: config.yaml, data.jsonl with dataset_info.json, and run.sh.

Contract: rows are rendered text in its alpaca form under `template: empty`, which adds nothing, so
that tokens and learnt tokens are Denizen's.  Checked against the arguments of llamafactory 0.9.5.
"""

from __future__ import annotations

import json
from typing import Any

from denizen.project.errors import DataError
from denizen.train.emit.plan import LORA, PROJECTED, Plan, document, json_lines, refuse
from denizen.train.emit.rows import Turns
from denizen.train.launch import deepspeed_settings

_STAGES = {
    "sft": "sft",
    "pretrain": "sft",
    "dpo": "dpo",
    "orpo": "dpo",
    "kto": "kto",
    "reward": "rm",
}
# Its loader reads these as pictures, films and sounds.
_MEDIA = ("<image>", "<video>", "<audio>")


def write(plan: Plan) -> tuple[dict[str, str], list[str]]:
    """File name -> text, and what differs in this tool alone."""
    notes = [
        "`template: empty` is for training on rendered rows only: to chat, name the model's own"
    ]
    settings = {
        "model_name_or_path": str(plan.base),
        **_method(plan, notes),
        **_adapter(plan, notes),
        **_data(plan),
        **_schedule(plan),
    }
    if plan.config.train.precision == "auto":
        notes.append(
            f"`bf16` suits the machine this was written on ({plan.precision}): for another one set "
            "train.precision"
        )
    scale = plan.config.scale
    files = {
        "data.jsonl": json_lines([_row(row) for row in plan.table.rows]),
        "dataset_info.json": json.dumps({"denizen": _columns(plan)}, indent=1),
        "run.sh": _script(plan),
    }
    if scale.processes > 1 and scale.backend == "fsdp2":
        refuse(
            "scale.backend",
            "LLaMA-Factory takes FSDP from accelerate's own file, for version 1",
            "set scale.backend to deepspeed or ddp",
        )
    if scale.processes > 1 and scale.backend == "deepspeed":
        settings["deepspeed"] = "./deepspeed.json"
        files["deepspeed.json"] = json_lines([deepspeed_settings(plan.config)])
    files["config.yaml"] = document(plan, settings, "LLaMA-Factory", notes)
    return files, notes


def _method(plan: Plan, notes: list[str]) -> dict[str, Any]:
    config, preference = plan.config, plan.config.preference
    objective = config.train.objective
    settings: dict[str, Any] = {"stage": _STAGES[objective], "do_train": True}
    if objective == "dpo":
        settings |= {"pref_loss": "sigmoid", "pref_beta": preference.beta, "pref_ftx": 0.0}
    if objective == "orpo":
        settings |= {"pref_loss": "orpo", "pref_beta": preference.orpo_weight}
        if preference.orpo_prompt:
            refuse(
                "preference.orpo_prompt",
                "LLaMA-Factory learns the answers alone",
                "set preference.orpo_prompt to false",
            )
        notes.append("orpo's likelihood is a mean over each answer, then over the pairs")
    if objective == "kto":
        settings |= {
            "pref_beta": preference.beta,
            "kto_chosen_weight": preference.desirable_weight,
            "kto_rejected_weight": preference.undesirable_weight,
        }
    return settings


def _adapter(plan: Plan, notes: list[str]) -> dict[str, Any]:
    adapter, targets = plan.config.adapter, plan.targets
    if not targets:
        return {"finetuning_type": "full"}
    for key, chosen in (("layers", targets.layers), ("ranks", targets.ranks)):
        if chosen:
            refuse(
                f"adapter.{key}",
                "LLaMA-Factory adapts the same modules of every layer with one rank",
                f"leave adapter.{key} as it is by default, or choose Axolotl or Denizen",
            )
    names = ",".join(targets.modules)
    if adapter.method in PROJECTED:
        notes.append(f"{adapter.method} is the package {adapter.method}-torch's, with its scale")
        return {
            "finetuning_type": "full",
            f"use_{adapter.method}": True,
            f"{adapter.method}_target": names,
            f"{adapter.method}_rank": adapter.rank,
            f"{adapter.method}_update_interval": adapter.projection_steps,
        }
    assert adapter.method in LORA
    settings: dict[str, Any] = {
        "finetuning_type": "lora",
        "lora_rank": adapter.rank,
        "lora_alpha": adapter.alpha,
        "lora_dropout": 0.0,
        "lora_target": names,
        "use_rslora": adapter.rslora,
        "use_dora": adapter.method == "dora",
    }
    if adapter.method == "qlora":
        settings |= {"quantization_method": "bnb", "quantization_bit": adapter.bits}
        if adapter.bits == 8:
            notes.append("the 8-bit base is bitsandbytes' LLM.int8, not Denizen's int8 rows")
        else:
            settings |= {"quantization_type": "nf4", "double_quantization": True}
    return settings


def _data(plan: Plan) -> dict[str, Any]:
    return {
        "template": "empty",
        "dataset": "denizen",
        "dataset_dir": ".",
        "cutoff_len": plan.config.train.max_length,
        "packing": False,
        "mask_history": False,
        "train_on_prompt": False,
    }


def _columns(plan: Plan) -> dict[str, Any]:
    objective = plan.config.train.objective
    columns = {"prompt": "instruction"}
    ranking = objective in ("dpo", "orpo", "reward")
    if ranking:
        columns |= {"chosen": "chosen", "rejected": "rejected"}
    else:
        columns["response"] = "output"
    if objective == "kto":
        columns["kto_tag"] = "good"
    if objective in ("sft", "pretrain"):
        columns["history"] = "history"
    return {
        "file_name": "data.jsonl",
        "formatting": "alpaca",
        "ranking": ranking,
        "columns": columns,
    }


def _row(row: Any) -> dict[str, Any]:
    if isinstance(row, Turns):
        pieces = [piece.text for piece in row.pieces]
        # Turns of question and answer: a row that begins with what is learnt has an empty question.
        if row.pieces[0].learnt:
            pieces.insert(0, "")
        *history, (question, answer) = zip(pieces[::2], pieces[1::2], strict=True)
        made = {
            "instruction": question,
            "output": answer,
            "history": [list(turn) for turn in history],
        }
    elif hasattr(row, "answer"):
        made = {"instruction": row.prompt, "output": row.answer, "good": row.good}
    else:
        made = {"instruction": row.prompt, "chosen": row.chosen, "rejected": row.rejected}
    held = [mark for mark in _MEDIA if mark in json.dumps(made)]
    if held:
        raise DataError(
            f"LLaMA-Factory reads {held[0]} in a text as a file",
            where=repr(str(made["instruction"])[:60]),
            fix="leave the row out, or choose another tool",
        )
    return made


def _schedule(plan: Plan) -> dict[str, Any]:
    train = plan.config.train
    settings: dict[str, Any] = {
        "output_dir": "./out",
        "per_device_train_batch_size": plan.rows_a_process,
        "num_train_epochs": float(train.epochs),
        "bf16": plan.precision == "bfloat16",
        "disable_gradient_checkpointing": train.checkpointing != "on",
        **plan.arguments,
        "plot_loss": False,
    }
    if train.max_steps:
        settings["max_steps"] = train.max_steps
    return settings


def _script(plan: Plan) -> str:
    many = plan.config.scale.processes
    environment = f"FORCE_TORCHRUN=1 NPROC_PER_NODE={many} " if many > 1 else ""
    return (
        "#!/bin/sh\n# pip install llamafactory (0.9.5), then:\n"
        f'set -eu\ncd "$(dirname "$0")"\n{environment}exec llamafactory-cli train config.yaml\n'
    )
