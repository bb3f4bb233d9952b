"""Denizen's items as plain documents, and the one judgement every harness calls.

Contract: `documents(families, split)` gives JSON-serialisable dicts, an item's own fields with its
`cluster` (template@version, as the runner has it); the split "holdout" is the frozen exam, so that
their figures pair with ours by item id.  `judge_document(doc, text)` is the exact verifier on a
model's text or on what `denizen serve` answers; it never raises on bad answers.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from denizen.data.holdout import load_holdout
from denizen.project.errors import DataError
from denizen.tasks import CORE, FAMILIES, Item, Split, Verdict, catalogue_prompt, suite_of, verify

SYSTEM = "You are a DeFi analyst."
# The served message: the answer, then the call it came from and the steps of its evaluation.
_SERVED = re.compile(r"\n\nDerivation\n {2}([a-z0-9_]+\(.*?\))(?:\n|$)", re.DOTALL)
_FIELDS = frozenset(Item.__dataclass_fields__)


def documents(
    families: Iterable[str] = CORE, split: Split = "holdout", count: int | None = None
) -> list[dict[str, Any]]:
    """Items of some families as documents, `count` a family at most.

    "holdout" is the frozen exam, other splits are generated from seeds 0, 1, ... (40 a family
    unless `count` says otherwise). Raises ConfigError for an unknown family, DataError for none.
    """
    names = suite_of(",".join(families)).names
    made: list[Item] = []
    for name in names:
        if split == "holdout":
            items = load_holdout([name])
            made += items if count is None else _spread(items, count)
        else:
            generate = FAMILIES[name].generate
            made += [generate(seed, split) for seed in range(40 if count is None else count)]
    if not made:
        raise DataError(
            f"no items in the {split} split of {', '.join(names)}",
            where="harness tasks",
            fix="ask for at least one item",
        )
    return [document_of(item) for item in made]


def document_of(item: Item) -> dict[str, Any]:
    """One item as a document."""
    return {**item.to_json(), "cluster": f"{item.template}@{item.version}"}


def item_of(document: Mapping[str, Any]) -> Item:
    """The inverse of `document_of`; fields a harness added are ignored."""
    return Item.from_json({key: document[key] for key in _FIELDS})


def judge_document(document: Mapping[str, Any], text: str) -> Verdict:
    """The exact verifier on one answer."""
    return verify(item_of(document), served_answer(text))


def served_answer(text: str) -> str:
    """A served message with its call tagged, so that the derivation is not read as the answer.

    The figures of a derivation are steps, and a reader that takes the last figure of a text would
    fail a right answer. The call under it is evaluated again, exactly. Other text is unchanged.
    """
    found = _SERVED.search(text)
    if found is None:
        return text
    return f"{text[: found.start()]} <calc>{found.group(1)}</calc>"


def system_prompt(families: Collection[str]) -> str:
    """What tells a model that was not trained here about the calculator."""
    return catalogue_prompt(SYSTEM, suite_of(",".join(families)))


def _spread(items: list[Item], count: int) -> list[Item]:
    # Evenly spaced: the exam is ordered by template, so its head would be one template.
    count = min(count, len(items))
    return [items[index * len(items) // count] for index in range(count)]
