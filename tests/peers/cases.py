"""Writes every run `denizen train --emit` can write for a tool, with the tokens it must give.

    python -m tests.peers.cases OUT          (in Denizen's environment, from the repository's root)

OUT/<tool>/<case>/ holds a run; expected.json in it the token ids and labels of each row, as
Denizen trains on them.  `validate_*.py`, run in the tools' environments, read these folders.
"""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.conftest import make_tiny

from denizen.models import load_tokenizer
from denizen.project import ConfigError
from denizen.project.config import Config
from denizen.train.emit import TOOLS, emit
from denizen.train.examples import answer_row

OBJECTIVES = ("sft", "pretrain", "dpo", "orpo", "kto", "reward")
ADAPTERS: dict[str, dict[str, Any]] = {
    "lora": {"method": "lora", "rank": 4, "alpha": 8},
    "rslora": {"method": "lora", "rslora": True, "modules": "q_proj,v_proj"},
    "layers": {"method": "lora", "layers": "1", "ranks": {"q_proj": 32}},
    "qlora": {"method": "qlora", "bits": 4},
    "qlora8": {"method": "qlora", "bits": 8},
    "dora": {"method": "dora"},
    "full": {"method": "full"},
    "galore": {"method": "galore", "rank": 8},
    "apollo": {"method": "apollo", "rank": 8},
}
QUESTIONS = [("What is 2 + 2?", "4", "5"), ("Why?\n", "Because é <b>", "No"), ("a" * 40, "ab", "b")]


def said(role: str, text: str) -> dict[str, str]:
    return {"role": role, "content": text}


def rows_of(objective: str) -> list[Any]:
    """Rows of an objective, one of sft with two turns."""
    if objective == "pretrain":
        return [
            SimpleNamespace(id=str(i), text=f"{q} {a} " * 9)
            for i, (q, a, _) in enumerate(QUESTIONS)
        ]
    prompts = [[said("system", "You are it."), said("user", q)] for q, _, _ in QUESTIONS]
    if objective == "sft":
        rows = [[*p, said("assistant", a)] for p, (_, a, _) in zip(prompts, QUESTIONS, strict=True)]
        rows.append([*rows[0], said("user", "And 3?"), said("assistant", "9")])
        return [SimpleNamespace(messages=row) for row in rows]
    answers = [([said("assistant", a)], [said("assistant", b)]) for _, a, b in QUESTIONS]
    pairs = list(zip(prompts, answers, strict=True))
    if objective == "kto":
        return [
            SimpleNamespace(id=str(i), prompt=p, completion=a[i % 2], label=i % 2 == 0)
            for i, (p, a) in enumerate(pairs)
        ]
    return [
        SimpleNamespace(id=str(i), prompt=p, chosen=a[0], rejected=a[1])
        for i, (p, a) in enumerate(pairs)
    ]


def config_of(objective: str, adapter: dict[str, Any], **sections: Any) -> Config:
    train = {"objective": objective, "precision": "float32", "max_steps": 2, "max_length": 256}
    return Config.model_validate({"train": train, "adapter": adapter, **sections})


def expected(objective: str, tokenizer: Any, rows: list[Any]) -> list[Any]:
    """Ids and labels up to the last learnt token: of each row, or of both answers."""
    from denizen.models import render
    from denizen.train.examples import examples_of

    if objective in ("sft", "pretrain"):
        config = config_of(objective, {})
        examples, _ = examples_of(objective, tokenizer, rows, config)
        found = [(e.fields["input_ids"], e.fields["labels"]) for e in examples]
        assert objective == "pretrain" or len(found[0][0]) == len(
            render(tokenizer, rows[0].messages).input_ids
        )
        return [cut(ids, labels) for ids, labels in found]
    made = []
    for row in rows:
        answers = [row.completion] if objective == "kto" else [row.chosen, row.rejected]
        made.append([])
        for answer in answers:
            ids, learnt, _ = answer_row(tokenizer, [*row.prompt, *answer], row.prompt)
            made[-1].append(cut(ids, [t if m else -100 for t, m in zip(ids, learnt, strict=True)]))
    return made


def cut(ids: list[int], labels: list[int]) -> dict[str, list[int]]:
    end = max(n for n, label in enumerate(labels) if label != -100) + 1
    return {"input_ids": list(ids[:end]), "labels": list(labels[:end])}


def main(out: Path) -> None:
    base = make_tiny(out / "base")
    tokenizer = load_tokenizer(base)
    kinds = [("sft", name) for name in ADAPTERS] + [(name, "lora") for name in OBJECTIVES[1:]]
    for tool, (objective, name) in itertools.product(TOOLS, kinds):
        rows = rows_of(objective)
        folder = out / tool / f"{objective}-{name}"
        try:
            emit(tool, config_of(objective, ADAPTERS[name]), base, tokenizer, rows, folder)
        except ConfigError as error:
            print(f"{tool} {objective} {name}: refused, {error}")
            continue
        text = json.dumps({"objective": objective, "rows": expected(objective, tokenizer, rows)})
        (folder / "expected.json").write_text(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
