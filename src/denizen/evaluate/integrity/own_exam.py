"""The exam a gate asks: the carried one, or a user's own, frozen and sealed.

Contract: `freeze_exam` reads JSON lines of `prompt` and `gold` (a calculator call or an object),
proves each gold answer with the exact verifier and that the grammar can write it, and seals them as
items; `exam_of` gives the items and canaries back, or refuses a file that was edited since.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from denizen.data.canary import carried_canaries
from denizen.data.holdout import load_holdout
from denizen.data.own import records
from denizen.data.own_fields import text_of
from denizen.evaluate.integrity.freezing import Seal, freeze, thaw
from denizen.project.errors import ArtefactError, DataError
from denizen.tasks import Item, Suite, ToolError, offers, parse_call, verify

# What a line may say besides `prompt` and `gold`; `template` is its cluster in the statistics.
OPTIONAL = {"id": "", "template": "", "version": "any", "pool": "", "as_of": ""}


@dataclass(frozen=True)
class Exam:
    """Items in order, and the canaries that must appear nowhere else."""

    items: tuple[Item, ...]
    canaries: tuple[str, ...]


def exam_of(holdout: str, suite: Suite) -> Exam:
    """The exam `evaluate.holdout` names; raises ArtefactError if it was edited or is another's."""
    carried = tuple(carried_canaries().values())
    if not holdout:
        return Exam(tuple(load_holdout(suite.names)), carried)
    frozen = thaw(Path(holdout))
    try:
        items = tuple(Item.from_json(dict(record)) for record in frozen.items)
    except TypeError as error:
        raise ArtefactError(
            "a frozen file, and not an exam",
            where=holdout,
            fix="freeze it with `denizen data freeze`",
        ) from error
    if foreign := {item.family for item in items} - set(suite.names):
        raise ArtefactError(
            f"the exam asks families that are not trained: {', '.join(sorted(foreign))}",
            where=holdout,
            fix="add them to data.families",
        )
    return Exam(items, (*carried, frozen.seal.canary))


def freeze_exam(questions: Path, target: Path, suite: Suite) -> Seal:
    """Check every question, then write the exam and its seal; raises DataError with file:line."""
    fix = "name a readable JSONL file of questions"
    return freeze(
        [_item(record, where, suite) for where, record in records(questions, fix)], target
    )


def _item(record: Mapping[str, Any], where: str, suite: Suite) -> Item:
    if unknown := set(record) - {"prompt", "gold", "difficulty", *OPTIONAL}:
        raise DataError(
            f"no field {sorted(unknown)[0]!r} in a question",
            where=where,
            fix=f"prompt and gold, and if wished {', '.join(OPTIONAL)}, difficulty",
        )
    prompt, gold = (text_of(record.get(key), key, where) for key in ("prompt", "gold"))
    said = {k: text_of(record[k], k, where) if k in record else v for k, v in OPTIONAL.items()}
    level = record.get("difficulty", 1)
    if isinstance(level, bool) or level not in (1, 2, 3):
        raise DataError("difficulty is not 1, 2 or 3", where=where, fix="mend it, or leave it out")
    family, form = _family(gold, where, suite)
    item = Item(
        id=said["id"] or f"own-{where}",
        family=family,
        kind="own",
        split="holdout",
        seed=0,
        prompt=prompt,
        gold=gold,
        template=said["template"] or f"own-{where}",
        pool=said["pool"],
        version=said["version"],
        difficulty=level,
        as_of=said["as_of"],
        form=form,
    )
    try:
        right = verify(item, item.answer)
    except ToolError as error:
        raise DataError(
            f"the gold answer cannot be evaluated: {error}", where=where, fix="mend the call"
        ) from error
    if not right.ok:
        raise DataError(
            f"the gold answer is judged wrong: {right.reason}", where=where, fix="mend it"
        )
    if not offers(item, suite.families[family].schema):
        raise DataError(
            "no answer can be the gold one: it holds a quantity that the question does not",
            where=where,
            fix="write every quantity of the answer in the question, as the answer has it",
        )
    return item


def _family(gold: str, where: str, suite: Suite) -> tuple[str, Any]:
    """The family a gold answer belongs to, and its form."""
    schema = suite.object_in(gold)
    try:
        tool = "" if schema else parse_call(gold).tool
    except ToolError as error:
        raise DataError(
            f"gold is neither a calculator call nor an object of these families: {error}",
            where=where,
            fix="see `denizen protocols schema`",
        ) from error
    for name, family in suite.families.items():
        if (schema is not None and family.schema is schema) or tool in family.tools:
            return name, "call" if schema is None else "object"
    raise DataError(
        f"no trained family uses the tool {tool!r}",
        where=where,
        fix="add its family to data.families",
    )
