"""Answers in words: does a text state the exact figure, name the right label, or decline?

Contract: a figure counts in every notation that means it (12.5%, 0.125, 1250 bps; 11,546.95 USDC,
11.547k USDC; 11 546.95), to 0.1% (percentages: 0.5% of themselves, at most 0.05 points and never
finer than two places are shown), in its own unit or none.  Another unit, a gain told as a loss, two
figures joined by "or", a negated label or a second label are wrong.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from decimal import Decimal
from functools import lru_cache

from denizen.tasks.catalogue import Result
from denizen.tasks.quantities import Quantity, QuantityError, find_spans, parse_quantity

RELATIVE = Decimal("0.001")
PERCENT_RELATIVE = Decimal("0.005")
PERCENT_POINTS = (Decimal("0.006"), Decimal("0.05"))
DOLLAR_COINS = frozenset({"USDC", "USDT", "DAI", "GHO", "PYUSD", "USDS", "USDG", "crvUSD", "LUSD"})
_GROUPED = re.compile(r"(?<=\d)[ \u00a0\u202f'_](?=\d{3}(?!\d))")
_PERCENT_WORD = re.compile(r"(?<=\d) ?(?:per ?cent|percent|pct)\b", re.IGNORECASE)
_BASIS_WORD = re.compile(r"(?<=\d) ?basis points?\b", re.IGNORECASE)
_GAIN = re.compile(
    r"\b(?:gain(?:s|ed)?|profit(?:s|ed)?|ahead|outperform\w*|up by)\b", re.IGNORECASE
)
_LOSS = re.compile(
    r"\b(?:loss(?:es)?|los[et]|down|behind|worse|lower|less|discount)\b", re.IGNORECASE
)
_NEGATION = re.compile(
    r"(?:\bnot|n't|\bnever|\bno longer|\bneither|\bnor|\brather than|\binstead of|\bunlike)"
    r"(?:\s+\w+){0,2}\s+[\"'`(]?$",
    re.IGNORECASE,
)
_DECLINES = re.compile(
    r"(?:can(?:no|')t|cannot|can not|unable to|impossible to|not possible to)\s+(?:be\s+)?\w*\s?"
    r"(?:answer|determine|calculat|comput|say|tell|know|work|quote|give|predict|derive|decid)"
    r"|(?:not enough|insufficient|missing)\s+(?:information|data|details|input)"
    r"|(?:is|are|was|were)\s+(?:missing|not given|not stated|not provided|unknown|not known)"
    r"|cannot[_ ]answer|(?:isn't|aren't|wasn't) (?:given|stated|provided|known)",
    re.IGNORECASE,
)


def reads_figure(gold: Result, text: str) -> tuple[bool, str]:
    """Whether the text's figure is the gold one, and why."""
    assert gold.number is not None
    text = _GROUPED.sub("", text)
    if gold.unit == "%":
        text = _BASIS_WORD.sub(" bps", _PERCENT_WORD.sub("%", text))
    found = _candidates(gold, text)
    if not found:
        return False, "no figure in the answer"
    if len(found) > 1 and found[-1].value != found[-2].value:
        between = text.rpartition(found[-1].text)[0].rpartition(found[-2].text)[2]
        if between.strip(" ,") in ("or", "maybe", "perhaps", "or maybe", "/"):
            return False, "two figures are offered"
    last = found[-1]
    ok = _agrees(gold, last, text)
    return ok, "figure within tolerance" if ok else f"figure {last.text!r} is off"


def _candidates(gold: Result, text: str) -> list[Quantity]:
    """Quantities in the gold figure's unit; failing these, the ones without a unit."""
    own: list[Quantity] = []
    bare: list[Quantity] = []
    for span in find_spans(text):
        if span.startswith("0x"):
            continue
        try:
            quantity = parse_quantity(span)
        except QuantityError:
            continue
        if _same_unit(quantity.unit, gold.unit) and not quantity.per:
            own.append(quantity)
        elif quantity.unit == "" or (
            quantity.unit == "USD" and (gold.unit in DOLLAR_COINS or gold.unit == "")
        ):
            bare.append(quantity)
    return own or bare


def _same_unit(unit: str, gold: str) -> bool:
    return unit.lower() == gold.lower() if unit else False


def _agrees(gold: Result, said: Quantity, text: str) -> bool:
    assert gold.number is not None
    exact, value = gold.number, said.value
    if gold.unit != "%":
        return abs(value - exact) <= abs(exact) * RELATIVE
    if said.unit == "%":
        return _close_points(exact, value * 100, text)
    # A bare number is percent points, or the fraction itself.
    points = _close_points(exact, value, text)
    return points or (
        abs(abs(value * 100) - abs(exact)) <= abs(exact) * RELATIVE
        and _close_points(exact, value * 100, text)
    )


def _close_points(exact: Decimal, value: Decimal, text: str) -> bool:
    least, most = PERCENT_POINTS
    slack = max(least, min(most, abs(exact) * PERCENT_RELATIVE))
    if abs(value - exact) <= slack:
        return not (exact < -slack and _GAIN.search(text) and not _LOSS.search(text))
    # A loss may be told as -4.2% or as "a loss of 4.2%", never as a gain.
    told_positive = exact < 0 < value and abs(value + exact) <= slack
    return told_positive and not (_GAIN.search(text) and not _LOSS.search(text))


def names_label(gold: Result, text: str) -> tuple[bool, str]:
    """Whether the text names the right label, unnegated, and none of its rivals."""
    right = [gold.values[gold.headline], *gold.aliases]
    spans = [span for label in right for span in _claims(label, text)]
    if not spans:
        return False, "label not named"
    for rival in gold.rivals:
        for start, end in _claims(rival, text):
            if not any(a <= start and end <= b for a, b in spans):
                return False, f"{rival!r} is named too"
    return True, "label"


def refuses(gold: Result, text: str, known: Collection[str]) -> tuple[bool, str]:
    """Whether the text says that there is no answer, and offers no figure of its own."""
    if not _DECLINES.search(text):
        return False, "does not say that it cannot be answered"
    invented = [span for span in find_spans(text) if span not in known]
    if invented:
        return False, f"offers {invented[0]!r} all the same"
    if gold.aliases and not any(_claims(alias, text) for alias in gold.aliases):
        return False, "does not say what is missing"
    return True, "declined"


def _claims(label: str, text: str) -> list[tuple[int, int]]:
    """Where the text names a label without negating it."""
    return [
        match.span()
        for match in _pattern(label.lower()).finditer(text.lower())
        if not _NEGATION.search(text[max(0, match.start() - 40) : match.start()])
    ]


@lru_cache(maxsize=2048)
def _pattern(label: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w.]){re.escape(label)}(?!\w|[.,]\d)")
