"""Unsloth: train.py (its loader, TRL's trainer), data.jsonl and run.sh.

Contract: rows are tokenised piece by piece as Denizen does, so that the learnt tokens are the same;
the script's calls were read off unsloth 2026.10.9 and TRL.  It needs a GPU, and so was never run
here: the tests compile it and check every argument against those signatures.
"""

from __future__ import annotations

from typing import Any

from denizen.train.emit.plan import Plan, json_lines, refuse
from denizen.train.emit.rows import Turns
from denizen.train.engines import adapter_arguments, check_expressible, model_arguments

_TRAINERS = {
    "sft": ("SFTTrainer", "SFTConfig"),
    "pretrain": ("SFTTrainer", "SFTConfig"),
    "dpo": ("DPOTrainer", "DPOConfig"),
    "kto": ("KTOTrainer", "KTOConfig"),
}
_TOKENISE = '''

def tokenise(row):
    """Ids and labels of a row, piece by piece: what is not learnt has the label -100."""
    ids, labels = [], []
    for piece in row["pieces"]:
        new = tokenizer(piece["text"], add_special_tokens=False)["input_ids"]
        ids += new
        labels += new if piece["learnt"] else [-100] * len(new)
    return {"input_ids": ids, "labels": labels}


data = data.map(tokenise, remove_columns=["pieces"])
'''


def write(plan: Plan) -> tuple[dict[str, str], list[str]]:
    """File name -> text, and what differs in this tool alone."""
    notes = [f"Unsloth's own kernels compute the step, in {_dtype(plan) or 'the best dtype'}"]
    _refuse(plan)
    files = {
        "train.py": _program(plan, notes),
        "data.jsonl": json_lines([_row(row) for row in plan.table.rows]),
        "run.sh": (
            "#!/bin/sh\n# On a machine with a GPU: pip install unsloth, then:\n"
            'set -eu\ncd "$(dirname "$0")"\nexec python train.py\n'
        ),
    }
    return files, notes


def _refuse(plan: Plan) -> None:
    objective = plan.config.train.objective
    if objective not in _TRAINERS:
        refuse(
            "train.objective",
            f"the script for Unsloth has no trainer for {objective}",
            f"choose {', '.join(_TRAINERS)}, or another tool",
        )
    check_expressible(plan.config)


def trainer_arguments(plan: Plan) -> dict[str, Any]:
    """Of the trainer's configuration."""
    train, preference = plan.config.train, plan.config.preference
    settings: dict[str, Any] = {
        "output_dir": "out",
        "per_device_train_batch_size": plan.rows_a_step,
        "num_train_epochs": train.epochs,
        "max_steps": train.max_steps or -1,
        **plan.arguments,
        "max_length": train.max_length,
    }
    if train.objective in ("sft", "pretrain"):
        settings |= {"packing": False, "dataset_kwargs": {"skip_prepare_dataset": True}}
    else:
        settings["beta"] = preference.beta
    if train.objective == "kto":
        settings["desirable_weight"] = preference.desirable_weight
        settings["undesirable_weight"] = preference.undesirable_weight
    return settings


def _program(plan: Plan, notes: list[str]) -> str:
    trainer, settings = _TRAINERS[plan.config.train.objective]
    comments = "".join(f"# - {note}\n" for note in (*plan.notes, *notes))
    rows = plan.config.train.objective in ("sft", "pretrain")
    loading = model_arguments(plan.base, plan.config)
    lines = [
        f'"""{plan.config.name}: written by `denizen train --emit unsloth`."""\n\n',
        f"# What differs from Denizen's own run:\n{comments}",
        "# unsloth comes first: it patches what is imported after it.\n",
        "from unsloth import FastLanguageModel  # isort: skip\n\n",
        "import torch\nfrom datasets import load_dataset\n",
        "from transformers import DataCollatorForSeq2Seq\n" if rows else "",
        f"from trl import {settings}, {trainer}\n\n",
        f"model, tokenizer = FastLanguageModel.from_pretrained({_call(loading)}",
        f"    dtype={_dtype(plan) and 'torch.' + _dtype(plan)},\n)\n",
    ]
    if plan.targets:
        call = _call(adapter_arguments(plan.config, plan.targets))
        lines.append(f"model = FastLanguageModel.get_peft_model(\n    model,{call})\n")
    lines.append('data = load_dataset("json", data_files="data.jsonl", split="train")\n')
    if rows:
        lines.append(_TOKENISE)
    lines.append(f"settings = {settings}({_call(trainer_arguments(plan))}")
    half = "False" if _dtype(plan) == "float32" else "torch.cuda.is_bf16_supported()"
    lines.append(f"    bf16={half},\n)\n")
    collator = (
        "    data_collator=DataCollatorForSeq2Seq(tokenizer, label_pad_token_id=-100),\n"
        if rows
        else ""
    )
    lines.append(
        f"trainer = {trainer}(\n    model=model,\n    args=settings,\n    train_dataset=data,\n"
        f"    processing_class=tokenizer,\n{collator})\n"
        'trainer.train()\nmodel.save_pretrained("out")\ntokenizer.save_pretrained("out")\n'
    )
    return "".join(lines)


def _call(arguments: dict[str, Any]) -> str:
    return "\n" + "".join(f"    {key}={value!r},\n" for key, value in arguments.items())


def _dtype(plan: Plan) -> str:
    precision = plan.config.train.precision
    return "" if precision == "auto" else precision


def _row(row: Any) -> dict[str, Any]:
    if isinstance(row, Turns):
        return {"pieces": [{"text": p.text, "learnt": p.learnt} for p in row.pieces]}
    if hasattr(row, "answer"):
        return {"prompt": row.prompt, "completion": row.answer, "label": row.good}
    return {"prompt": row.prompt, "chosen": row.chosen, "rejected": row.rejected}
