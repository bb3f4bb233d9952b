"""Verified preferences: the gold answer against a near miss, both judged by the exact verifier.

Contract: pairs are a pure function of (count, seed); the chosen answer is an item's gold answer,
the rejected one a near miss of its family written as an answer would be, and `verify` accepts the
one and refuses the other.  Items pass the same leak checks as training rows.  `singles` are the
same answers one by one, marked good or bad (for KTO).
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from denizen.data.build import LICENCE, SOURCE, BuildReport, draw_items
from denizen.data.rows import check_not_empty, numbered_lines
from denizen.project.errors import DataError
from denizen.tasks import (
    FAMILIES,
    Item,
    Split,
    Suite,
    ToolError,
    compose,
    find_call,
    parse_call,
    verify,
)

Messages = tuple[dict[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Preference:
    """A prompt with its provenance; what is preferred is in the subclasses."""

    id: str
    prompt: Messages
    family: str = ""
    template: str = ""
    pool: str = ""
    version: str = ""
    source: str = ""
    licence: str = ""
    as_of: str = ""

    @property
    def question(self) -> str:
        """The user's last text."""
        return next(m["content"] for m in reversed(self.prompt) if m["role"] == "user")

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Pair(Preference):
    """The chosen answer is better than the rejected one; both are the messages after the prompt."""

    chosen: Messages
    rejected: Messages


@dataclass(frozen=True, kw_only=True)
class Single(Preference):
    """One answer: good (`label`) or bad."""

    completion: Messages
    label: bool


P = TypeVar("P", Pair, Single)


def build_pairs(
    count: int,
    seed: int,
    holdout: Sequence[Item],
    *,
    suite: Suite | None = None,
    split: Split = "train",
    system: str,
    on_row: Callable[[int], None] = lambda _: None,
) -> tuple[list[Pair], BuildReport]:
    """`count` pairs of `split`; raises DataError if the templates cannot give that many."""
    items, report = draw_items(count, seed, holdout, suite=suite, split=split, on_row=on_row)
    return [to_pair(item, seed, system) for item in items], report


def to_pair(item: Item, seed: int, system: str) -> Pair:
    """The item's gold answer and one of its near misses; raises DataError if none is wrong."""
    wrong = wrong_answers(item)
    if not wrong or not verify(item, item.answer).ok:
        raise DataError(
            "an item has no pair of a right and a wrong answer",
            where=item.id,
            fix=f"mend near_misses of the family {item.family}",
        )
    return Pair(
        id=item.id,
        prompt=(
            {"role": "system", "content": system},
            {"role": "user", "content": item.prompt},
        ),
        chosen=_said(item.answer),
        rejected=_said(random.Random(f"{seed}|{item.id}").choice(wrong)),
        family=item.family,
        template=item.template,
        pool=item.pool,
        version=item.version,
        source=SOURCE,
        licence=LICENCE,
        as_of=item.as_of,
    )


def wrong_answers(item: Item) -> list[str]:
    """Near misses that the verifier refuses, in the form of an answer where any can be.

    A call is written with its own tool's draft, so that nothing but the call gives it away.
    """
    written: list[str] = []
    other: list[str] = []
    for miss in FAMILIES[item.family].near_misses(item):
        call = find_call(miss)
        if item.form == "call" and call is not None:
            try:
                parse_call(call)
                answer = compose(call)
            except (ToolError, KeyError):
                continue
            written.append(answer)
        else:
            (written if item.form == "object" else other).append(miss)
    wrong = [answer for answer in written if not verify(item, answer).ok]
    return wrong or [answer for answer in other if not verify(item, answer).ok]


def singles(pairs: Sequence[Pair]) -> list[Single]:
    """Both answers of each pair, one by one: the chosen is good, the rejected bad."""
    return [
        Single(
            **{**_origin(pair), "id": f"{pair.id}-{name}"},
            completion=completion,
            label=label,
        )
        for pair in pairs
        for name, completion, label in (
            ("good", pair.chosen, True),
            ("bad", pair.rejected, False),
        )
    ]


def read_preferences(path: Path, kind: type[P]) -> list[P]:
    """Pairs or singles of a file made by `write_jsonl`; raises DataError naming the line."""
    rows: list[P] = []
    for number, line in numbered_lines(path):
        try:
            data: dict[str, Any] = json.loads(line)
            lists = {k: tuple(v) for k, v in data.items() if isinstance(v, list)}
            rows.append(kind(**(data | lists)))
        except (ValueError, TypeError, AttributeError) as error:
            raise DataError(
                f"not a {kind.__name__.lower()}: {error}",
                where=f"{path.name}:{number}",
                fix="such rows come from `denizen data build`",
            ) from error
    check_not_empty(rows, path.name)
    return rows


def _origin(pair: Pair) -> dict[str, Any]:
    return {field.name: getattr(pair, field.name) for field in fields(Preference)}


def _said(text: str) -> Messages:
    return ({"role": "assistant", "content": text},)
