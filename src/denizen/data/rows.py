"""Training rows: a conversation with its provenance, made from task items and verified.

Contract: a row is admitted only if the exact verifier accepts its answer and the decoding grammar
of its question can produce it.  Rows are JSON lines, one a line, in a fixed order.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from denizen.project.errors import DataError


@dataclass(frozen=True)
class Row:
    """One training conversation.

    `messages` are system, user and assistant; only the assistant's turn is supervised.  The rest
    says where the row comes from and how long it holds.
    """

    id: str
    messages: tuple[dict[str, str], ...]
    family: str
    template: str
    pool: str
    version: str
    source: str
    licence: str
    as_of: str

    @property
    def question(self) -> str:
        """The user's text."""
        return next(m["content"] for m in self.messages if m["role"] == "user")

    @property
    def answer(self) -> str:
        """The assistant's text."""
        return next(m["content"] for m in self.messages if m["role"] == "assistant")

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        return asdict(self)


def write_jsonl(path: Path, records: Iterable[Any]) -> None:
    """One JSON object a line; records have `to_json`."""
    lines = (json.dumps(r.to_json(), ensure_ascii=False, sort_keys=True) for r in records)
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")


def read_rows(path: Path) -> list[Row]:
    """Rows of a file; raises DataError for an empty or malformed one, naming the line."""
    rows = []
    for number, line in numbered_lines(path):
        try:
            data = json.loads(line)
            data["messages"] = tuple(data["messages"])
            rows.append(Row(**data))
        except (ValueError, TypeError, KeyError) as error:
            raise DataError(
                f"not a training row: {error}",
                where=f"{path.name}:{number}",
                fix="rows come from `denizen data build`",
            ) from error
    check_not_empty(rows, path.name)
    return rows


def check_not_empty(rows: Sequence[Any], name: str) -> None:
    """Raises DataError for an empty dataset."""
    if not rows:
        raise DataError(
            "the dataset is empty", where=name, fix="build one with `denizen data build`"
        )


def numbered_lines(path: Path) -> list[tuple[int, str]]:
    """The lines of a dataset that are not blank, with their numbers from 1; raises DataError."""
    try:
        lines = path.read_text("utf-8").split("\n")
        return [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    except OSError as error:
        raise DataError(
            "cannot read the dataset", where=str(path), fix="`denizen data build` makes one"
        ) from error
