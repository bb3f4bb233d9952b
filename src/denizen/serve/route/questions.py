"""The calibration split: questions of the dev templates under a seed that nothing else uses.

Contract: the same workspace, suite and count give the same questions; none equals or nearly equals
a training row of the workspace or an item of the frozen holdout: likenesses are not drawn, and the
check is made once more on what was drawn (LeakError).  The two halves share no item; one fits the
confidence, the other tests thresholds.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from denizen.data.build import draw_items
from denizen.data.holdout import load_holdout, stratified
from denizen.data.rows import numbered_lines
from denizen.project.errors import DataError, LeakError
from denizen.project.hashing import content_hash, sha256_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from denizen.data.near_duplicates import NearDuplicateReport
    from denizen.models.embedder import Embeds
    from denizen.tasks import Item, Suite

# Of this room alone: the exams on dev items use 7,919 and 104,729, benchmarks 5, training small
# numbers.
SEED = 15_485_863
# Drawn for each question that is wanted, since likenesses are left out.
_SPARE = 1.3


@dataclass(frozen=True)
class Seen:
    """A question of training or of the exam, as the near-duplicate check reads it."""

    id: str
    prompt: str


@dataclass(frozen=True)
class Split:
    """The questions, how many were left out as too like known ones, and what was compared."""

    items: tuple[Item, ...]
    left_out: int
    training: int
    holdout: int
    sentence: str

    @property
    def hash(self) -> str:
        """Content hash of the questions."""
        return content_hash([item.to_json() for item in self.items])


class _Named(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def family(self) -> str: ...


AnyNamed = TypeVar("AnyNamed", bound=_Named)


def halves(items: Sequence[AnyNamed]) -> tuple[list[AnyNamed], list[AnyNamed]]:
    """(fitting half, testing half): each family dealt out in turn, in the order of its hashes."""
    ordered = sorted(items, key=lambda i: (i.family, sha256_bytes(f"route|{i.id}".encode())))
    return ordered[::2], ordered[1::2]


def calibration_split(
    suite: Suite,
    count: int,
    rows: Sequence[Seen],
    embedder: Embeds | None = None,
    seed: int = SEED,
) -> Split:
    """Draw `count` questions; raises DataError if the templates cannot give so many, LeakError if
    one is like a training row or a holdout item."""
    holdout = load_holdout(suite.names)
    drawn, _ = draw_items(round(count * _SPARE), seed, holdout, suite=suite, split="dev")
    known = [Seen(item.id, item.prompt) for item in holdout]
    known += rows
    refused = _alike(drawn, known, embedder).refused_rows
    kept = [item for item in drawn if item.id not in refused]
    if len(kept) < count:
        raise DataError(
            f"only {len(kept)} of {len(drawn)} questions are unlike the training rows and the "
            f"holdout, and {count} are wanted",
            where="route.items",
            fix="ask for fewer with route.items, or add dev templates",
        )
    items = stratified(kept, count)
    report = _alike(items, known, embedder)
    if not report.clean:
        pair = report.refused[0]
        raise LeakError(
            f"calibration question {pair.row} is like {pair.item} ({pair.kind} "
            f"{pair.similarity:.3f})",
            where="route calibration",
            fix="please report it: the split must be drawn without likenesses",
        )
    how = "word by word and by meaning" if report.complete else "word by word"
    return Split(
        tuple(items),
        len(refused),
        len(rows),
        len(holdout),
        f"none of {len(items)} questions is near {len(rows)} training questions or "
        f"{len(holdout)} holdout items ({how})",
    )


def _alike(
    items: Sequence[Item], known: Sequence[Seen], embedder: Embeds | None
) -> NearDuplicateReport:
    from denizen.data.near_duplicates import compare

    return compare(items, known, embedder)


def training_questions(workspace: Path) -> list[Seen]:
    """The question of every training row of a workspace, whatever its objective, each once.

    Empty where nothing was built here; raises DataError for a file that holds no rows.
    """
    found: dict[str, Seen] = {}
    for path in sorted(workspace.glob("artefacts/rows-*/*.jsonl")):
        for number, line in numbered_lines(path):
            try:
                question = _question(json.loads(line))
            except (ValueError, AttributeError, TypeError, KeyError) as error:
                raise DataError(
                    "not a training row",
                    where=f"{path}:{number}",
                    fix="run `denizen train` again: the file was changed",
                ) from error
            if question.strip():
                found.setdefault(question, Seen(f"{path.parent.name}:{number}", question))
    return list(found.values())


def _question(row: dict[str, Any]) -> str:
    """The last user text of a conversation or a preference, else the text itself."""
    for name in ("messages", "prompt", "question", "text"):
        value = row.get(name)
        if isinstance(value, str):
            return value
        if isinstance(value, list):
            users = [str(turn["content"]) for turn in value if turn["role"] == "user"]
            return users[-1] if users else ""
    return ""
