"""Build the training split: verified rows, families in proportion, nothing of the holdout.

Contract: rows are a pure function of (count, seed); every row passed the exact verifier, its
answer lies in its question's grammar, and none shares a question, template, pool or distinctive
number with the holdout (such draws are skipped, and the check is made again at train time).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from denizen.data.leaks import exam_numbers, figures, fingerprint
from denizen.data.rows import Row
from denizen.project.errors import DataError
from denizen.tasks import Item, Schema, Split, Suite, offers, suite_of, verify

# Mechanics has many topics and short rows; of the others, those the dev split shows harder (two
# kinds that a few words tell apart) get more rows.
WEIGHTS = {
    "mechanics": 3.0,
    "v2_quote": 2.0,
    "cl_quote": 0.5,
    "position_value": 1.5,
    "impermanent_loss": 1.2,
    "fee_apr": 1.5,
    "range_status": 1.1,
    "swap_event": 0.7,
}
REASONS = ("repeated", "holdout number", "wrong", "outside its grammar")
LICENCE = "Apache-2.0"
SOURCE = "denizen.tasks over the exact engine"


@dataclass(frozen=True)
class BuildReport:
    """What was drawn, admitted and refused."""

    rows: int
    drawn: int
    refused: dict[str, int]
    families: dict[str, int]
    templates: int


def build_rows(
    count: int,
    seed: int,
    holdout: Sequence[Item],
    *,
    suite: Suite | None = None,
    split: Split = "train",
    system: str,
    on_row: Callable[[int], None] = lambda _: None,
) -> tuple[list[Row], BuildReport]:
    """`count` rows of `split`; raises DataError if the templates cannot give that many."""
    items, report = draw_items(count, seed, holdout, suite=suite, split=split, on_row=on_row)
    return [to_row(item, system) for item in items], report


def draw_items(
    count: int,
    seed: int,
    holdout: Sequence[Item],
    *,
    suite: Suite | None = None,
    split: Split = "train",
    on_row: Callable[[int], None] = lambda _: None,
) -> tuple[list[Item], BuildReport]:
    """The items behind `count` rows, families in proportion; raises DataError as above."""
    families = (suite or suite_of("core")).families
    total = sum(WEIGHTS.get(name, 1.0) for name in families)
    prints = {fingerprint(item.prompt) for item in holdout}
    numbers = frozenset(exam_numbers(holdout))
    items: list[Item] = []
    refused = dict.fromkeys(REASONS, 0)
    drawn = 0
    for place, (name, family) in enumerate(families.items()):
        wanted = round(count * WEIGHTS.get(name, 1.0) / total)
        if place == len(families) - 1:
            wanted = count - len(items)
        admitted = 0
        for draw in range(wanted * 20):
            if admitted == wanted:
                break
            drawn += 1
            item = family.generate(seed * 1_000_003 + draw, split)
            reason = _refusal(item, family.schema, prints, numbers)
            if reason:
                refused[reason] += 1
                continue
            prints.add(fingerprint(item.prompt))
            items.append(item)
            admitted += 1
            on_row(1)
        if admitted < wanted:
            raise DataError(
                f"family {name} gave {admitted} of {wanted} rows",
                where="data.rows",
                fix="ask for fewer rows or add templates",
            )
    report = BuildReport(
        len(items),
        drawn,
        refused,
        {name: sum(item.family == name for item in items) for name in families},
        len({item.template for item in items}),
    )
    return items, report


def to_row(item: Item, system: str) -> Row:
    """The conversation that teaches an item."""
    return Row(
        id=item.id,
        messages=(
            {"role": "system", "content": system},
            {"role": "user", "content": item.prompt},
            {"role": "assistant", "content": item.answer},
        ),
        family=item.family,
        template=item.template,
        pool=item.pool,
        version=item.version,
        source=SOURCE,
        licence=LICENCE,
        as_of=item.as_of,
    )


def _refusal(
    item: Item, schema: Schema | None, prints: set[str], numbers: frozenset[str]
) -> str | None:
    if fingerprint(item.prompt) in prints:
        return "repeated"
    if figures(item.family, item.prompt) & numbers:
        return "holdout number"
    if not verify(item, item.answer).ok:
        return "wrong"
    if not offers(item, schema):
        return "outside its grammar"
    return None
