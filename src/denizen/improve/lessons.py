"""What each objective learns from: built and verified by Denizen, or a user's own file.

Contract: `collect` gives rows of the kind the objective wants, and `recall` the same rows from the
stored file; `questions` is what the leak check reads.  A user's file is stored as it is, so its
hash is the file's own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from denizen.data import build_rows, read_rows, to_row, write_jsonl
from denizen.data.build import draw_items
from denizen.data.corpus import corpus
from denizen.data.own import Text, read_own
from denizen.data.preferences import (
    Pair,
    Single,
    build_pairs,
    read_preferences,
    singles,
    to_pair,
)
from denizen.models import SYSTEM
from denizen.project import Config, ConfigError
from denizen.tasks import Item, Suite
from denizen.train import ChoiceCut, Example, Ledger, examples_of, questions_of
from denizen.train.refusals import ONLINE

_PAIRED = ("dpo", "orpo", "reward")
# Dev items that early stopping looks at.
DEVELOPMENT = 64


class Lessons(NamedTuple):
    """Rows and what the run's record says of them."""

    rows: list[Any]
    figures: dict[str, Any]


def collect(
    config: Config,
    suite: Suite,
    holdout: Sequence[Item],
    *,
    on_row: Callable[[int], None] = lambda _: None,
) -> Lessons:
    """Rows for `train.objective`: data.rows of them, or all of train.data."""
    objective = config.train.objective
    if config.train.data:
        rows: list[Any] = list(read_own(Path(config.train.data), objective, SYSTEM))
        return Lessons(rows, {"own": Path(config.train.data).name, "rows": len(rows)})
    if objective == "pretrain":
        documents = corpus()
        sources = {"documents": len(documents), "characters": sum(len(d.text) for d in documents)}
        return Lessons(documents, sources)
    count, seed = config.data.rows, config.data.seed
    if objective == "sft":
        made, report = build_rows(count, seed, holdout, suite=suite, system=SYSTEM, on_row=on_row)
        return Lessons(list(made), asdict(report))
    if objective in ONLINE:
        items, report = draw_items(count, seed, holdout, suite=suite, on_row=on_row)
        return Lessons(list(items), asdict(report))
    pairs, report = build_pairs(count, seed, holdout, suite=suite, system=SYSTEM, on_row=on_row)
    return Lessons(list(singles(pairs) if objective == "kto" else pairs), asdict(report))


def examples(
    tokenizer: Any, suite: Suite, rows: Sequence[Any], config: Config
) -> tuple[list[Example], Ledger]:
    """What training takes of the rows: questions to be answered, or rendered answers."""
    objective = config.train.objective
    if objective in ONLINE:
        return questions_of(tokenizer, suite, rows, config)
    cut = ChoiceCut(tokenizer, suite, config.train.choice_cut, config.data.seed)
    return examples_of(objective, tokenizer, rows, config, cut=cut)


def keep(lessons: Lessons, config: Config, path: Path) -> None:
    """Write the rows as JSON lines; a user's file is copied byte for byte."""
    if config.train.data:
        path.write_bytes(Path(config.train.data).read_bytes())
    else:
        write_jsonl(path, lessons.rows)


def recall(path: Path, config: Config) -> list[Any]:
    """The rows that `keep` wrote."""
    objective = config.train.objective
    if config.train.data:
        return list(read_own(path, objective, SYSTEM))
    if objective == "sft":
        return list(read_rows(path))
    if objective in _PAIRED:
        return list(read_preferences(path, Pair))
    if objective == "kto":
        return list(read_preferences(path, Single))
    lines = [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]
    if objective == "pretrain":
        return [Text(line["title"], line["text"]) for line in lines]
    return [Item.from_json(line) for line in lines]


def questions(rows: Sequence[Any]) -> list[Any]:
    """Rows as the leak check reads them; texts are read line by line."""
    found: list[Any] = []
    for row in rows:
        if isinstance(row, Item):
            found.append(to_row(row, SYSTEM))
        elif hasattr(row, "text"):
            name = getattr(row, "id", getattr(row, "title", "text"))
            lines = [line for line in row.text.splitlines() if line.strip()]
            found += [Text(f"{name}:{n}", line) for n, line in enumerate(lines, 1)]
        else:
            found.append(row)
            # Every assistant turn is learnt, so every question of a conversation is looked at.
            said = getattr(row, "messages", None) or row.prompt
            asked = [m["content"] for m in said if m["role"] != "assistant"]
            if not row.template:
                found += [Text(row.id, text) for text in asked if text != row.question]
    return found


def development(config: Config, suite: Suite, holdout: Sequence[Item]) -> Lessons:
    """Rows of the dev split for early stopping, one an item; `figures` holds the items."""
    objective, seed = config.train.objective, config.data.seed
    if objective == "pretrain" or objective in ONLINE:
        raise ConfigError(
            f"early stopping has no development loss for {objective}",
            where="guard.patience",
            fix="set it to 0; reinforcement learning is watched by guard.collapse",
        )
    items, _ = draw_items(DEVELOPMENT, seed, holdout, suite=suite, split="dev")
    if objective == "sft":
        return Lessons([to_row(item, SYSTEM) for item in items], {"items": items})
    pairs = [to_pair(item, seed, SYSTEM) for item in items]
    rows = singles(pairs)[::2] if objective == "kto" else pairs
    return Lessons(list(rows), {"items": items})
