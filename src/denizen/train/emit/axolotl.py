"""Axolotl: config.yaml, data.jsonl and run.sh.  Checked against the schema of axolotl 0.19.0.

Contract: sft and pretrain rows are its `input_output` segments, so that the learnt tokens are
Denizen's; dpo and kto rows are rendered text.  Its orpo and reward render chats by themselves, one
question a row; how they mask differs and is noted.
"""

from __future__ import annotations

from typing import Any

from denizen.train.emit.plan import LORA, PROJECTED, Plan, document, json_lines, refuse
from denizen.train.emit.rows import Turns, single_turn
from denizen.train.launch import deepspeed_settings

_KERNELS = ("lora_mlp_kernel", "lora_qkv_kernel", "lora_o_kernel")


def write(plan: Plan) -> tuple[dict[str, str], list[str]]:
    """File name -> text, and what differs in this tool alone."""
    notes: list[str] = []
    settings = {
        "base_model": str(plan.base),
        "strict": False,
        **_adapter(plan, notes),
        **_data(plan, notes),
        **_schedule(plan),
        **_scale(plan),
    }
    files = {
        "config.yaml": document(plan, settings, "Axolotl", notes),
        "data.jsonl": json_lines([_row(plan, row) for row in plan.table.rows]),
        "run.sh": _script(plan),
    }
    if plan.config.scale.processes > 1 and plan.config.scale.backend == "deepspeed":
        files["deepspeed.json"] = json_lines([deepspeed_settings(plan.config)])
    return files, notes


def _adapter(plan: Plan, notes: list[str]) -> dict[str, Any]:
    import torch

    adapter, targets = plan.config.adapter, plan.targets
    if adapter.method in LORA and targets:
        four = adapter.method == "qlora" and adapter.bits == 4
        eight = adapter.method == "qlora" and adapter.bits == 8
        if eight:
            notes.append("the 8-bit base is bitsandbytes' LLM.int8, not Denizen's int8 rows")
        settings: dict[str, Any] = {
            "adapter": "qlora" if four else "lora",
            "load_in_4bit": four,
            "load_in_8bit": eight,
            "lora_r": adapter.rank,
            "lora_alpha": adapter.alpha,
            "lora_dropout": 0.0,
            "lora_target_modules": targets.modules,
            "peft_use_rslora": adapter.rslora,
            "peft_use_dora": adapter.method == "dora",
        }
        if not torch.cuda.is_available():
            # Left unset Axolotl switches these on, even where Triton cannot run.
            settings |= dict.fromkeys(_KERNELS, False)
            notes.append(
                f"{', '.join(_KERNELS)} are off, as no GPU is here: remove those lines on one"
            )
        if targets.layers is not None:
            settings["peft_layers_to_transform"] = targets.layers
        if targets.ranks:
            settings["lora_rank_pattern"] = targets.ranks
            settings["lora_alpha_pattern"] = plan.alphas
        return settings
    if adapter.method in PROJECTED and targets:
        for key, chosen in (("layers", targets.layers), ("ranks", targets.ranks)):
            if chosen:
                refuse(
                    f"adapter.{key}",
                    f"Axolotl projects the same modules of every layer ({adapter.method})",
                    f"leave adapter.{key} as it is by default, or train with Denizen",
                )
        notes.append(f"{adapter.method} is the package {adapter.method}-torch's, with its scale")
        gap = adapter.projection_steps
        return {
            "optimizer": f"{adapter.method}_adamw",
            "optim_args": {"rank": adapter.rank, "update_proj_gap": gap},
            "optim_target_modules": targets.modules,
        }
    return {}


def _data(plan: Plan, notes: list[str]) -> dict[str, Any]:
    config, preference = plan.config, plan.config.preference
    objective = config.train.objective
    dataset: dict[str, Any] = {"path": "./data.jsonl", "ds_type": "json"}
    settings: dict[str, Any] = {}
    if objective in ("sft", "pretrain"):
        dataset["type"] = "input_output"
    elif objective == "dpo":
        dataset["type"] = {
            "field_prompt": "prompt",
            "field_chosen": "chosen",
            "field_rejected": "rejected",
        }
        settings = {"rl": "dpo", "rl_beta": preference.beta}
    elif objective == "kto":
        dataset["type"] = {
            "field_prompt": "prompt",
            "field_completion": "completion",
            "field_label": "label",
        }
        settings = {
            "rl": "kto",
            "remove_unused_columns": False,
            "rl_beta": preference.beta,
            "kto_desirable_weight": preference.desirable_weight,
            "kto_undesirable_weight": preference.undesirable_weight,
        }
    else:
        notes.append("Axolotl renders and masks this objective's chats by itself")
        dataset["type"] = (
            "chat_template.argilla" if objective == "orpo" else "bradley_terry.chat_template"
        )
        dataset["chat_template"] = "tokenizer_default"
        settings = {"chat_template": "tokenizer_default"}
        if objective == "orpo":
            settings |= {"rl": "orpo", "orpo_alpha": preference.orpo_weight}
            if not preference.orpo_prompt:
                notes.append("orpo learns the prompt's tokens too (TRL's way)")
        else:
            settings |= {"reward_model": True, "num_labels": 1}
            settings["type_of_model"] = "AutoModelForSequenceClassification"
    # DPO and KTO datasets have no such key: the file's ending tells.
    if objective in ("dpo", "kto"):
        dataset["split"] = "train"
        del dataset["ds_type"]
    return {
        **settings,
        "datasets": [dataset],
        "dataset_prepared_path": "./prepared",
        "val_set_size": 0.0,
        "sequence_len": config.train.max_length,
        "sample_packing": False,
        "pad_to_sequence_len": False,
        "train_on_inputs": False,
    }


def _row(plan: Plan, row: Any) -> dict[str, Any]:
    objective = plan.config.train.objective
    if isinstance(row, Turns):
        return {"segments": [{"label": p.learnt, "text": p.text} for p in row.pieces]}
    if objective == "kto":
        return {"prompt": row.prompt, "completion": row.answer, "label": row.good}
    if objective == "dpo":
        return {"prompt": row.prompt, "chosen": row.chosen, "rejected": row.rejected}
    system, question = single_turn(row)
    _, chosen, rejected = row.messages
    if objective == "reward":
        return {"system": system, "input": question, "chosen": chosen, "rejected": rejected}
    asked = {"role": "user", "content": question}
    return {
        "system": system,
        "chosen": [asked, {"role": "assistant", "content": chosen}],
        "rejected": [asked, {"role": "assistant", "content": rejected}],
    }


def _schedule(plan: Plan) -> dict[str, Any]:
    train = plan.config.train
    settings: dict[str, Any] = {
        "micro_batch_size": plan.rows_a_process,
        "gradient_accumulation_steps": 1,
        "num_epochs": train.epochs,
        "learning_rate": plan.rate,
        "lr_scheduler": "warmup_stable_decay",
        "lr_scheduler_kwargs": plan.schedule,
        "warmup_steps": train.warmup_steps,
        "weight_decay": train.weight_decay,
        "adam_beta2": 0.99,
        "max_grad_norm": 1.0,
        "bf16": "auto" if train.precision == "auto" else train.precision == "bfloat16",
        "fp16": False,
        "tf32": False,
        "gradient_checkpointing": train.checkpointing == "on",
        "attn_implementation": "sdpa",
        "seed": plan.config.data.seed,
        "logging_steps": 1,
        "save_steps": train.save_steps,
        "save_total_limit": 2,
        "output_dir": "./out",
    }
    if plan.config.adapter.method not in PROJECTED:
        settings["optimizer"] = "adamw_torch_fused"
    if train.max_steps:
        settings["max_steps"] = train.max_steps
    return settings


def _scale(plan: Plan) -> dict[str, Any]:
    scale = plan.config.scale
    if scale.processes == 1 or scale.backend == "ddp":
        return {}
    if scale.backend == "deepspeed":
        return {"deepspeed": "./deepspeed.json"}
    return {
        "fsdp_version": 2,
        "fsdp_config": {
            "auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
            "reshard_after_forward": True,
            "state_dict_type": "FULL_STATE_DICT",
            "offload_params": False,
            "cpu_ram_efficient_loading": False,
        },
    }


def _script(plan: Plan) -> str:
    many = plan.config.scale.processes
    launcher = f" --launcher accelerate --num-processes {many}" if many > 1 else ""
    return (
        "#!/bin/sh\n# pip install axolotl (0.19.0), then:\n"
        f'set -eu\ncd "$(dirname "$0")"\nexec axolotl train config.yaml{launcher}\n'
    )
