"""One scored answer, one scored suite, and the files they live in.

Contract: a `Score` is everything needed to re-judge an answer without the model. A `SuiteResult`
is one system on one suite; its items are unique. Files are JSONL, one score a line, written
whole or not at all; the hash covers what was judged and not how long it took or how sure the
system was, so the same answers on a slower machine hash equal.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from denizen.project.atomic import atomic_write_text
from denizen.project.errors import DenizenError
from denizen.project.hashing import content_hash


class ScoreFileError(DenizenError):
    """A score file that is missing, unreadable or not made of scores."""


class PairingError(DenizenError):
    """Two systems that were not scored on the same items exactly once each."""


@dataclass(frozen=True, slots=True)
class Score:
    """One item answered by one system and judged by the exact verifier.

    `cluster` is the unit of dependence (template x protocol): items that share it share their
    wording and their rule, so the cluster bootstrap resamples them together.
    `score` lies in [0, 1]; `ok` is what accuracy counts. `seconds` is wall time for this item,
    `confidence` in [0, 1] what the system itself gave its choices, if it told.
    """

    item_id: str
    family: str
    cluster: str
    version: str
    difficulty: str
    prompt: str
    output: str
    answer: str | None
    expected: str | None
    ok: bool
    score: float
    reason: str = ""
    tokens: int = 0
    seconds: float = 0.0
    confidence: float | None = None

    def to_dict(self) -> dict[str, Any]:
        # Not asdict, which copies deeply: a gate hashes thousands of these, and all is plain.
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Score:
        """Raises TypeError for unknown or missing keys."""
        return cls(**data)


_UNHASHED = ("seconds", "confidence")


@dataclass(frozen=True, slots=True)
class SuiteResult:
    """Every score of one system, with the hash of the artefact that produced them."""

    system: str
    scores: tuple[Score, ...]
    artefact: str = ""

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for score in self.scores:
            if score.item_id in seen:
                raise PairingError(
                    f"item {score.item_id!r} was scored twice for {self.system!r}",
                    where=f"suite result of {self.system}",
                    fix="score each holdout item once; delete the partial file and run again",
                )
            seen.add(score.item_id)

    @property
    def n(self) -> int:
        return len(self.scores)

    @property
    def passed(self) -> int:
        return sum(score.ok for score in self.scores)

    @property
    def accuracy(self) -> float:
        """Share of items judged right, in [0, 1]; 0 for an empty suite."""
        return self.passed / self.n if self.n else 0.0

    @property
    def families(self) -> tuple[str, ...]:
        return tuple(sorted({score.family for score in self.scores}))

    def hash(self) -> str:
        """Content hash over system, artefact and judged scores, in item order, without timings."""
        return content_hash(
            {
                "system": self.system,
                "artefact": self.artefact,
                "scores": [
                    {k: v for k, v in score.to_dict().items() if k not in _UNHASHED}
                    for score in sorted(self.scores, key=lambda s: s.item_id)
                ],
            }
        )


def write_scores(path: Path, result: SuiteResult) -> str:
    """Write a header line and one score a line; returns the result's hash."""
    digest = result.hash()
    header = {
        "kind": "denizen.scores",
        "system": result.system,
        "artefact": result.artefact,
        "n": result.n,
        "hash": digest,
    }
    lines = [json.dumps(header)]
    lines += [json.dumps(score.to_dict()) for score in result.scores]
    atomic_write_text(path, "\n".join(lines) + "\n")
    return digest


def read_scores(path: Path) -> SuiteResult:
    """Read what `write_scores` wrote.

    Raises ScoreFileError when the file is missing, malformed, or no longer matches its hash.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise ScoreFileError(
            f"cannot read scores: {error.strerror or error}",
            where=str(path),
            fix="run `denizen eval` to write them",
        ) from error
    number = 1
    try:
        header = json.loads(lines[0])
        if header["kind"] != "denizen.scores":
            raise ValueError("not a score file")
        scores = []
        for number, line in enumerate(lines[1:], start=2):  # noqa: B007 (named in the error)
            if line.strip():
                scores.append(Score.from_dict(json.loads(line)))
        result = SuiteResult(header["system"], tuple(scores), header["artefact"])
        recorded = header["hash"]
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise ScoreFileError(
            f"line {number} is not a score ({error})",
            where=f"{path}:{number}",
            fix="delete the file and run `denizen eval` again",
        ) from error
    if recorded != result.hash():
        raise ScoreFileError(
            "scores do not match the hash in the header: the file was cut or edited",
            where=str(path),
            fix="delete the file and run `denizen eval` again",
        )
    return result


def by_family(scores: Iterable[Score]) -> dict[str, list[Score]]:
    """Scores grouped by family, families in alphabetical order, item order kept within one."""
    groups: dict[str, list[Score]] = {}
    for score in scores:
        groups.setdefault(score.family, []).append(score)
    return dict(sorted(groups.items()))


def pair(a: SuiteResult, b: SuiteResult) -> list[tuple[Score, Score]]:
    """Match two systems item by item, in item-id order.

    Raises PairingError when the item sets differ, or when the same id stands for a different
    item (family, cluster, version or expected answer); a paired test on such scores would look
    fine and mean nothing.
    """
    left = {score.item_id: score for score in a.scores}
    right = {score.item_id: score for score in b.scores}
    if left.keys() != right.keys():
        only_a, only_b = sorted(left.keys() - right.keys()), sorted(right.keys() - left.keys())
        example = (only_a or only_b)[0]
        raise PairingError(
            f"{a.system!r} and {b.system!r} were scored on different items: "
            f"{len(only_a)} only in the first, {len(only_b)} only in the second "
            f"(e.g. {example!r})",
            where="pairing",
            fix="score both systems on the same frozen holdout",
        )
    if not left:
        raise PairingError(
            "no items were scored", where="pairing", fix="score the holdout with `denizen eval`"
        )
    pairs = [(left[key], right[key]) for key in sorted(left)]
    for one, other in pairs:
        _same_item(one, other)
    return pairs


def _same_item(one: Score, other: Score) -> None:
    for name in ("family", "cluster", "version", "expected"):
        x, y = getattr(one, name), getattr(other, name)
        if x != y and not (name == "expected" and (x is None or y is None)):
            raise PairingError(
                f"item {one.item_id!r} differs between the two systems: {name} is {x!r} and {y!r}",
                where="pairing",
                fix="score both systems on the same frozen holdout",
            )
