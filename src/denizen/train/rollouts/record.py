"""What a step's rollouts gave, kept line by line in the work folder (`rollouts.jsonl`).

Contract: a record holds the questions, every answer with its grades, and, of each distinct answer
that is learnt from, all that an update needs; a run resumed in the middle of several updates on the
same answers goes on with the very same.  Records of steps that a resumed run repeats are dropped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from denizen.project.atomic import atomic_write_text
from denizen.train.rewards import Graded
from denizen.train.rollouts.base import Prompt, Sample

NAME = "rollouts.jsonl"


@dataclass(frozen=True)
class Row:
    """A distinct answer of a group and what an update needs of it.

    `members` are the group's members that gave it.  The others have one entry for each choice, or
    none where they are not needed: the `advantages`, the log-probabilities of the policy as it
    sampled (`old`) and of the `reference`, the critic's `values` and their targets (`returns`).
    """

    sample: Sample
    members: tuple[int, ...]
    advantages: tuple[float, ...] = ()
    old: tuple[float, ...] = ()
    reference: tuple[float, ...] = ()
    values: tuple[float, ...] = ()
    returns: tuple[float, ...] = ()


@dataclass(frozen=True)
class Rollout:
    """One step's answers: the `groups` of rows that are learnt from, and what all answers were.

    `answers` counts all sampled answers and `choices` all their choice tokens, learnt from or not;
    `differed` says of each question whether its answers' rewards do.
    """

    step: int
    questions: tuple[int, ...]
    groups: tuple[tuple[Row, ...], ...]
    answers: int
    choices: int
    differed: tuple[bool, ...]
    metrics: Mapping[str, float]
    texts: tuple[tuple[str, ...], ...]
    grades: tuple[tuple[Graded, ...], ...]


class Records:
    """The file; `reached` is the step the run starts from."""

    def __init__(self, path: Path, reached: int) -> None:
        self._path = path
        self._kept = [line for line in _lines(path) if line["step"] < reached]
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write_text(path, "".join(json.dumps(line) + "\n" for line in self._kept))

    def observed(self) -> Iterator[tuple[int, bool]]:
        """(question, whether its answers differed) of every earlier group."""
        for line in self._kept:
            yield from zip(line["questions"], line["differed"], strict=True)

    def find(self, step: int, prompts: Sequence[Prompt]) -> Rollout | None:
        """The rollout of an earlier step; `prompts` are all prompts of the run."""
        found = (line for line in reversed(self._kept) if line["step"] == step)
        return next((_read(line, prompts) for line in found), None)

    def add(self, rollout: Rollout) -> None:
        """Keep a rollout."""
        value = vars(rollout) | {"groups": [[_plain(r) for r in g] for g in rollout.groups]}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(value) + "\n")


def _lines(path: Path) -> list[dict[str, Any]]:
    found = []
    for line in path.read_text("utf-8").split("\n") if path.exists() else []:
        try:
            found.append(json.loads(line))
        except ValueError:
            # Blank, or cut short by a kill: that step is sampled again.
            continue
    return found


def _plain(row: Row) -> dict[str, Any]:
    sample = {f.name: getattr(row.sample, f.name) for f in fields(Sample) if f.name != "prompt"}
    return {f.name: getattr(row, f.name) for f in fields(Row)} | {"sample": sample}


def _read(line: dict[str, Any], prompts: Sequence[Prompt]) -> Rollout:
    groups = tuple(
        tuple(_row(row, prompts[question]) for row in group)
        for question, group in zip(line["questions"], line["groups"], strict=True)
    )
    value = {name: _tuples(v) for name, v in line.items() if name not in ("metrics", "groups")}
    value["grades"] = tuple(tuple(Graded(*g) for g in group) for group in line["grades"])
    return Rollout(**value, metrics=line["metrics"], groups=groups)


def _row(row: dict[str, Any], prompt: Prompt) -> Row:
    sample = Sample(prompt, **{name: _tuples(v) for name, v in row["sample"].items()})
    return Row(**{name: _tuples(v) for name, v in row.items()} | {"sample": sample})


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
