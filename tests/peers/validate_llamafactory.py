"""Checks runs written for LLaMA-Factory with LLaMA-Factory itself: arguments, datasets, tokens.

    LLAMAFACTORY/bin/python tests/peers/validate_llamafactory.py OUT [SCHEMA.json]

OUT is what `tests.peers.cases` wrote.  With SCHEMA.json the argument names and their choices are
put there (key "llamafactory") for the tests that run without LLaMA-Factory.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import typing
from importlib.metadata import version
from pathlib import Path
from typing import Any

from checking import run

os.environ.setdefault("DISABLE_VERSION_CHECK", "1")


def check(folder: Path) -> str:
    import yaml
    from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
    from llamafactory.hparams import get_train_args
    from llamafactory.model import load_tokenizer

    os.chdir(folder)
    wanted = json.loads(Path("expected.json").read_text())
    given = yaml.safe_load(Path("config.yaml").read_text())
    model, data, training, finetuning, _ = get_train_args(dict(given))
    assert data.template == "empty" and training.max_steps == given["max_steps"]
    tokenizer = load_tokenizer(model)
    template = get_template_and_fix_tokenizer(tokenizer["tokenizer"], data)
    # As its own workflows ask: those of dpo read pairs as a reward model's does.
    stage = "rm" if finetuning.stage == "dpo" else finetuning.stage
    rows = get_dataset(template, model, data, training, stage, **tokenizer)
    compare(finetuning.stage, list(rows["train_dataset"]), wanted["rows"])
    return f"{finetuning.stage}, {len(wanted['rows'])} rows"


def compare(stage: str, rows: list[Any], wanted: list[Any]) -> None:
    assert len(rows) == len(wanted), (len(rows), len(wanted))
    if stage == "sft":
        names = [("input_ids", "labels")]
        wanted = [[row] for row in wanted]
    elif stage == "kto":
        names = [("input_ids", "labels")]
    else:
        names = [(f"{k}_input_ids", f"{k}_labels") for k in ("chosen", "rejected")]
    for row, want in zip(rows, wanted, strict=True):
        for (ids, labels), need in zip(names, want, strict=True):
            assert list(row[ids]) == need["input_ids"]
            # A first token is never predicted, whatever its label.
            assert list(row[labels])[1:] == need["labels"][1:]


def schema() -> dict[str, Any]:
    from llamafactory.hparams import (
        DataArguments,
        FinetuningArguments,
        ModelArguments,
        TrainingArguments,
    )

    fields: dict[str, Any] = {}
    for part in (ModelArguments, DataArguments, TrainingArguments, FinetuningArguments):
        hints = typing.get_type_hints(part)
        for field in dataclasses.fields(part):
            fields[field.name] = choices(hints[field.name])
    return {"version": version("llamafactory"), "arguments": fields}


def choices(annotation: Any) -> list[str] | None:
    """The values an argument may have, if they are counted; else None."""
    import enum

    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return sorted(str(member.value) for member in annotation)
    if typing.get_origin(annotation) is typing.Literal:
        return sorted(map(str, typing.get_args(annotation)))
    parts = [a for a in typing.get_args(annotation) if a is not type(None)]
    return choices(parts[0]) if len(parts) == 1 else None


if __name__ == "__main__":
    sys.exit(run("llamafactory", schema, check))
