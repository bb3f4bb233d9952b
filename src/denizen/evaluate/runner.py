"""Score any system on any suite, resumably.

Contract: items are taken as they come (attributes id, family, prompt, template, version,
difficulty); `answer` maps a batch of items to outputs, `verify` judges one. After each batch the
scores are appended to a partial JSONL file and flushed to disk; a rerun with the same artefact
hash keeps them and answers only what is left. A line cut by a kill is dropped; a partial file of
another artefact or suite is set aside, never mixed in. The caller deletes it when the result is
safely written.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from denizen.evaluate.records import Score, ScoreFileError, SuiteResult
from denizen.project.atomic import atomic_write_text
from denizen.project.hashing import content_hash


class SuiteItem(Protocol):
    """What the runner reads of an item; `denizen.tasks.Item` has these and more."""

    @property
    def id(self) -> str: ...
    @property
    def family(self) -> str: ...
    @property
    def prompt(self) -> str: ...
    @property
    def template(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def difficulty(self) -> Any: ...


class SuiteVerdict(Protocol):
    @property
    def ok(self) -> bool: ...
    @property
    def score(self) -> float: ...
    @property
    def reason(self) -> str: ...
    @property
    def expected(self) -> Any: ...
    @property
    def answer(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class Output:
    """A generated text with its length in tokens and the system's confidence in its choices;
    `answer` may also return plain strings."""

    text: str
    tokens: int = 0
    confidence: float | None = None


Answer = Callable[[Sequence[Any]], Sequence[str | Output]]
Progress = Callable[[int, int], None]


def run_suite(
    items: Sequence[SuiteItem],
    answer: Answer,
    verify: Callable[[Any, str], SuiteVerdict],
    system: str,
    *,
    artefact: str = "",
    batch: int = 16,
    partial: Path | None = None,
    progress: Progress | None = None,
) -> SuiteResult:
    """Answer and judge every item; scores come back in item order.

    `answer(batch_of_items)` returns one output an item, in order. `progress(done, total)` is
    called once at the start (with what was resumed) and after each batch.
    Raises ScoreFileError when the partial file cannot be read or written, ValueError when
    `answer` returns the wrong number of outputs; what was scored before stays on disk.
    """
    ids = [item.id for item in items]
    if len(set(ids)) != len(ids):
        doubled = next(key for key in ids if ids.count(key) > 1)
        raise ValueError(f"item {doubled!r} occurs twice in the suite")
    # The prompt is part of the key: an item that kept its id but changed its words is new.
    key = content_hash(
        {"system": system, "artefact": artefact, "items": [[i.id, i.prompt] for i in items]}
    )
    done = _resume(partial, key, set(ids)) if partial is not None else {}
    if progress is not None:
        progress(len(done), len(items))
    left = [item for item in items if item.id not in done]
    for group in _batches(left, batch):
        started = time.perf_counter()
        outputs = answer(group)
        if len(outputs) != len(group):
            raise ValueError(f"{system} returned {len(outputs)} outputs for {len(group)} items")
        seconds = (time.perf_counter() - started) / len(group)
        scores = [
            _judge(item, output, verify, seconds)
            for item, output in zip(group, outputs, strict=True)
        ]
        if partial is not None:
            _append(partial, scores)
        done.update((score.item_id, score) for score in scores)
        if progress is not None:
            progress(len(done), len(items))
    return SuiteResult(system, tuple(done[key] for key in ids), artefact)


def _judge(
    item: SuiteItem,
    output: str | Output,
    verify: Callable[[Any, str], SuiteVerdict],
    seconds: float,
) -> Score:
    made = output if isinstance(output, Output) else Output(output)
    verdict = verify(item, made.text)
    return Score(
        item_id=item.id,
        family=item.family,
        cluster=f"{item.template}@{item.version}",
        version=item.version,
        difficulty=str(item.difficulty),
        prompt=item.prompt,
        output=made.text,
        answer=None if verdict.answer is None else str(verdict.answer),
        expected=None if verdict.expected is None else str(verdict.expected),
        ok=bool(verdict.ok),
        score=float(verdict.score),
        reason=verdict.reason or "",
        tokens=made.tokens,
        seconds=seconds,
        confidence=made.confidence,
    )


def _batches(items: list[SuiteItem], size: int) -> Iterator[list[SuiteItem]]:
    if size < 1:
        raise ValueError(f"need a batch of at least 1, got {size}")
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _resume(path: Path, key: str, ids: set[str]) -> dict[str, Score]:
    """Scores already on disk for this key; leaves a clean file to append to."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    except FileNotFoundError:
        lines = []
    except OSError as error:
        raise _unusable(path, error) from error
    header = _parse(lines[0]) if lines else None
    kept: dict[str, Score] = {}
    try:
        if header is not None and header.get("key") == key:
            for line in lines[1:]:
                data = _parse(line)
                if data is None:
                    break  # cut by a kill: everything after it is suspect too
                score = Score.from_dict(data)
                if score.item_id in ids:
                    kept[score.item_id] = score
        elif lines:
            os.replace(path, path.with_name(path.name + ".stale"))
        head = json.dumps({"kind": "denizen.partial", "key": key})
        rows = [json.dumps(score.to_dict()) for score in kept.values()]
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write_text(path, "\n".join([head, *rows]) + "\n")
    except (OSError, TypeError) as error:
        raise _unusable(path, error) from error
    return kept


def _parse(line: str) -> dict[str, Any] | None:
    try:
        data = json.loads(line)
    except ValueError:
        return None
    return data if isinstance(data, dict) else None


def _append(path: Path, scores: list[Score]) -> None:
    text = "".join(json.dumps(s.to_dict()) + "\n" for s in scores)
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise _unusable(path, error) from error


def _unusable(path: Path, error: Exception) -> ScoreFileError:
    detail = getattr(error, "strerror", None) or str(error)
    return ScoreFileError(
        f"cannot use the partial score file: {detail}",
        where=str(path),
        fix="free some disk space or make the folder writable, then run the same command again; "
        "if it persists delete this file",
    )
