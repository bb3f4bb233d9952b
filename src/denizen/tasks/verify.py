"""The exact verifier: one judgement for training rows, evaluation and serving.

An answer with a calculator call is right when the call's exact result equals the gold result,
whatever way the arguments were written (meaning, not strings).  An object is right when every
field's canonical value is.  An answer without a call is read as text (`reading.py`): its figure
must agree with the exact one, in any unit and notation that means the same, or it must name the
right label and no other; a question that cannot be answered wants just that said.
"""

from __future__ import annotations

from functools import lru_cache

from denizen.tasks.calculator import evaluate, find_call
from denizen.tasks.catalogue import Result, ToolError
from denizen.tasks.quantities import find_spans
from denizen.tasks.reading import names_label, reads_figure, refuses
from denizen.tasks.structured import Schema, SchemaError
from denizen.tasks.types import Item, Verdict

# The value of a Result whose question lacks what an answer needs (see tools/refusal.py).
UNANSWERABLE = "unanswerable"


@lru_cache(maxsize=4096)
def gold_result(gold: str) -> Result:
    """The exact result of a gold call (cached)."""
    return evaluate(gold)


def verify(item: Item, answer: str) -> Verdict:
    """Judge an answer to an item; never raises on bad answers."""
    if item.form == "object":
        return _verify_object(item, answer)
    gold = gold_result(item.gold)
    call = find_call(answer)
    if call is None:
        return _verify_text(item, gold, answer)
    try:
        result = evaluate(call)
    except ToolError as error:
        return Verdict(False, 0.0, f"the call cannot be evaluated: {error}", gold.text, call)
    if dict(result.values) == dict(gold.values):
        return Verdict(True, 1.0, "exact", gold.text, result.text)
    return Verdict(False, 0.0, "another result", gold.text, result.text)


def _verify_text(item: Item, gold: Result, answer: str) -> Verdict:
    shown = " ".join(answer.split())
    if gold.headline == UNANSWERABLE:
        known = frozenset(find_spans(item.prompt))
        ok, reason = refuses(gold, shown, known)
    elif gold.number is None:
        ok, reason = names_label(gold, shown)
    else:
        ok, reason = reads_figure(gold, shown)
    return Verdict(ok, float(ok), reason, gold.text, shown)


def _verify_object(item: Item, answer: str) -> Verdict:
    schema = _schema(item.family)
    try:
        got = schema.parse(answer)
    except SchemaError as error:
        return Verdict(False, 0.0, str(error), item.gold, answer[:500])
    wrong = schema.difference(schema.parse(item.gold), got)
    return Verdict(wrong is None, float(wrong is None), wrong or "exact", item.gold, answer[:500])


def _schema(family: str) -> Schema:
    from denizen.tasks.families import FAMILIES

    schema = FAMILIES[family].schema
    assert schema is not None, f"family {family} has no schema"
    return schema
