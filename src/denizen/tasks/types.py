"""The nouns of a task: Item, Verdict and the Family that makes and judges them.

An Item is a question with a gold answer: a calculator call, or an object of its family's schema.
A Verdict says whether an answer is right and why.  A Family is `generate(seed, split) -> Item` and
`validate()`, which proves without any model that gold scores 1.0 and near misses 0; one verifier
(`verify.py`) serves them all.  All are frozen and JSON-serialisable.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from denizen.tasks.calculator import compose
from denizen.tasks.structured import Schema

Split = Literal["train", "dev", "holdout"]
Form = Literal["call", "object"]
SPLITS: tuple[Split, ...] = ("train", "dev", "holdout")


@dataclass(frozen=True)
class Item:
    """One question.

    `prompt` is the user's text, `gold` the calculator call without its tags (or, if `form` is
    "object", the JSON object), `template` the id of the phrasing, `pool` the pair it is about,
    `version` the protocol version ("v2", "aave v3", ... or "any"), `difficulty` 1 to 3.
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
    form: Form = "call"

    @property
    def answer(self) -> str:
        """The supervised text: the tool's draft, then the call; or the object."""
        return compose(self.gold) if self.form == "call" else self.gold

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
    """A task family: name, what it teaches, its kinds, its functions, and what answers need.

    `tools` are the calculator tools its gold calls use, `schema` the object its answers are (one
    of the two), `levels` the difficulties it draws, `versions` the protocol versions.
    """

    name: str
    doc: str
    kinds: tuple[str, ...]
    generate: Callable[[int, Split], Item]
    near_misses: Callable[[Item], tuple[str, ...]]
    tools: tuple[str, ...] = ()
    schema: Schema | None = None
    levels: tuple[int, ...] = (1, 2)
    versions: tuple[str, ...] = ("any",)

    def validate(self, count: int = 40) -> None:
        """Gold scores 1.0 and every near miss 0 on `count` items of each split; no model needed.

        Raises AssertionError naming the item and the answer that was judged wrongly.
        """
        from denizen.tasks.verify import verify

        for split in SPLITS:
            for seed in range(count):
                item = self.generate(seed, split)
                verdict = verify(item, item.answer)
                if not verdict.ok or verdict.score != 1.0:
                    raise AssertionError(f"{item.id}: gold judged wrong: {verdict.reason}")
                for miss in self.near_misses(item):
                    if verify(item, miss).ok:
                        raise AssertionError(f"{item.id}: near miss judged right: {miss!r}")
