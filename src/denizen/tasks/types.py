"""The nouns of a task: Item, Verdict and the Family that makes and judges them.

An Item is a question with a gold calculator call; a Verdict says whether an answer is right and
why.  A Family is three functions: `generate(seed, split) -> Item`, `verify(item, answer) ->
Verdict` and `validate()`, which proves without any model that gold scores 1.0 and near misses 0.
All are frozen and JSON-serialisable.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from denizen.tasks.calculator import compose

Split = Literal["train", "dev", "holdout"]


@dataclass(frozen=True)
class Item:
    """One question.

    `prompt` is the user's text, `gold` the calculator call without its tags, `template` the id of
    the phrasing, `pool` the pair it is about, `version` the protocol version ("v2", "v3", "v4" or
    "any"), `difficulty` 1 to 3.
    """

    id: str
    family: str
    kind: str
    split: Split
    seed: int
    prompt: str
    gold: str
    template: str
    pool: str
    version: str
    difficulty: int
    as_of: str

    @property
    def answer(self) -> str:
        """The supervised text: the tool's draft, then the call."""
        return compose(self.gold)

    @property
    def cluster(self) -> str:
        """Template x version: the unit of the cluster bootstrap."""
        return f"{self.template}|{self.version}"

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary for JSON lines."""
        return asdict(self)

    @staticmethod
    def from_json(data: dict[str, Any]) -> Item:
        """The inverse of `to_json`."""
        return Item(**data)


@dataclass(frozen=True)
class Verdict:
    """Right or wrong, with the reason, the expected answer and the answer as understood."""

    ok: bool
    score: float
    reason: str
    expected: str
    answer: str


@dataclass(frozen=True)
class Family:
    """A task family: name, what it teaches, its kinds and its three functions."""

    name: str
    doc: str
    kinds: tuple[str, ...]
    generate: Callable[[int, Split], Item]
    near_misses: Callable[[Item], tuple[str, ...]]

    def validate(self, count: int = 40) -> None:
        """Gold scores 1.0 and every near miss 0 on `count` items of each split; no model needed.

        Raises AssertionError naming the item and the answer that was judged wrongly.
        """
        from denizen.tasks.verify import verify

        splits: tuple[Split, ...] = ("train", "dev", "holdout")
        for split in splits:
            for seed in range(count):
                item = self.generate(seed, split)
                verdict = verify(item, item.answer)
                if not verdict.ok or verdict.score != 1.0:
                    raise AssertionError(f"{item.id}: gold judged wrong: {verdict.reason}")
                for miss in self.near_misses(item):
                    if verify(item, miss).ok:
                        raise AssertionError(f"{item.id}: near miss judged right: {miss!r}")
