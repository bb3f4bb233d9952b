"""The exact verifier: one judgement for training rows, evaluation and serving.

An answer with a calculator call is right when the call's exact result equals the gold result,
whatever way the arguments were written (meaning, not strings).  An answer without a call is read
as text: its figure must agree with the exact one to 0.1% (percent: 0.05 points), or it must name
the right label.
"""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache

from denizen.tasks.calculator import evaluate, find_call
from denizen.tasks.catalogue import Result, ToolError
from denizen.tasks.quantities import find_spans, parse_quantity
from denizen.tasks.types import Item, Verdict

RELATIVE = Decimal("0.001")
PERCENT_POINTS = Decimal("0.05")


@lru_cache(maxsize=4096)
def gold_result(gold: str) -> Result:
    """The exact result of a gold call (cached)."""
    return evaluate(gold)


def verify(item: Item, answer: str) -> Verdict:
    """Judge an answer to an item; never raises on bad answers."""
    gold = gold_result(item.gold)
    call = find_call(answer)
    if call is None:
        return _verify_text(gold, answer)
    try:
        result = evaluate(call)
    except ToolError as error:
        return Verdict(False, 0.0, f"the call cannot be evaluated: {error}", gold.text, call)
    if dict(result.values) == dict(gold.values):
        return Verdict(True, 1.0, "exact", gold.text, result.text)
    return Verdict(False, 0.0, "another result", gold.text, result.text)


def _verify_text(gold: Result, answer: str) -> Verdict:
    shown = " ".join(answer.split())
    if gold.number is None:
        ok = _names_label(gold, shown)
        return Verdict(ok, float(ok), "label" if ok else "label not named", gold.text, shown)
    numbers = [parse_quantity(span) for span in find_spans(shown)]
    if not numbers:
        return Verdict(False, 0.0, "no figure in the answer", gold.text, shown)
    last = numbers[-1]
    value = last.value * 100 if last.unit == "%" else last.value
    slack = PERCENT_POINTS if gold.unit == "%" else abs(gold.number) * RELATIVE
    same_sign = abs(value - gold.number) <= slack
    # A loss may be told as -4.2% or as "a loss of 4.2%".
    ok = same_sign or (gold.unit == "%" and abs(abs(value) - abs(gold.number)) <= slack)
    reason = "figure within tolerance" if ok else f"figure {last.text!r} is off"
    return Verdict(ok, float(ok), reason, gold.text, shown)


def _names_label(gold: Result, answer: str) -> bool:
    text = answer.lower()
    labels = (gold.values[gold.headline], *gold.aliases)
    return any(re.search(rf"(?<!\w){re.escape(label.lower())}(?!\w)", text) for label in labels)
