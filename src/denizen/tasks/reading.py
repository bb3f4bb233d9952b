"""Answers in words: does a text state the exact figure, name the right label, or decline?

Contract: a figure counts in every notation that means it (12.5%, 0.125, 1250 bps; 11,546.95 USDC,
11.547k USDC; 11 546.95), to 0.1% (percentages: 0.5% of themselves, at most 0.05 points and never
finer than two places are shown), in its own unit or none.  Another unit, a loss told as a gain, two
figures joined by "or", a negated figure or label, and a second label are wrong.  The last figures
of a text count; `notation.py` first puts LaTeX, exponents and decimal commas into plain digits.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from decimal import Decimal
from functools import lru_cache

from denizen.tasks.catalogue import Result
from denizen.tasks.notation import percents, plain, plain_figures
from denizen.tasks.quantities import (
    Quantity,
    QuantityError,
    all_spans,
    parse_quantity,
    placed_spans,
)

RELATIVE = Decimal("0.001")
PERCENT_RELATIVE = Decimal("0.005")
PERCENT_POINTS = (Decimal("0.006"), Decimal("0.05"))
DOLLAR_COINS = frozenset({"USDC", "USDT", "DAI", "GHO", "PYUSD", "USDS", "USDG", "crvUSD", "LUSD"})
# An answer ends on its figure: of a longer list than this only the last ones are read.
MAX_FIGURES = 500
MAX_TAIL = 6_000
_EITHER = re.compile(
    r"[\s,]*(?:or|maybe|perhaps|possibly|/)"
    r"(?:[\s,]+(?:maybe|perhaps|possibly|even|about|around|roughly|rather|closer to|more like))*"
    r"[\s,]*",
    re.IGNORECASE,
)
# "124" of "124.5xyz" is no figure of its own.
_FRAGMENT = re.compile(r"[.,]\d")
# A dash right after a figure joins two: "20-25%".
_DASHED = re.compile(r"\d[kKmMbB]?%?[-\u2013\u2014]\s?$")
_BETWEEN = re.compile(r"\bbetween\s+(?:\w+\s+)?$", re.IGNORECASE)
_GAIN = re.compile(
    r"\b(?:gain(?:s|ed)?|profit(?:s|ed)?|ahead|outperform\w*|up by)\b", re.IGNORECASE
)
_PAYS = re.compile(r"\b(?:pay(?:s|ing)?|paid|owes?|owed|costs?|charged)\b", re.IGNORECASE)
_GETS = re.compile(
    r"\b(?:receiv(?:e|es|ed|ing)|gets?|earn(?:s|ed)?|collect(?:s|ed)?|credited|paid to)\b",
    re.IGNORECASE,
)
_LOSS = re.compile(
    r"\b(?:loss(?:es)?|los[et]|down|behind|worse|lower|less|discount)\b", re.IGNORECASE
)
_NEGATION = re.compile(
    r"(?:\bnot|\bcannot|n't|\bnever|\bno longer|\bneither|\bnor|\brather than|\binstead of"
    r"|\bunlike|\bfalse that|\bstopped|\bceased)(?:\s+(?!(?:but|and|or)\b)\w+){0,2}\s+[\"'`*(]*$"
    r"|\b(?:know|say|tell|sure|clear|determine|decide)\s+(?:whether|if)\b[^.;:,]*$",
    re.IGNORECASE,
)
# "11,546.95 USDC is wrong"
_REJECTED = re.compile(
    r"[\"'`*)]*\s+(?:is|are|was|would be)\s+"
    r"(?:wrong|incorrect|false|untrue|not (?:right|correct|true|the (?:right |correct )?answer))\b"
    r"|\s*\?\s*(?:no idea|not sure|unsure|(?:i )?do(?:n't| not) know)\b",
    re.IGNORECASE,
)
_DECLINES = re.compile(
    r"(?:can(?:no|')t|cannot|can not|unable to|impossible to|not possible to)\s+(?:be\s+)?\w*\s?"
    r"(?:answer|determine|calculat|comput|say|tell|know|work|quote|give|predict|derive|decid)"
    r"|(?:not enough|insufficient|missing)\s+(?:information|data|details|input)"
    r"|(?:is|are|was|were)\s+(?:missing|not given|not stated|not provided|unknown|not known)"
    r"|(?:do|does|did|have|has)(?: not|n't) (?:\w+ )?"
    r"(?:giv|say|said|stat|mention|provid|specif|tell)"
    r"|(?:nobody|no one|no model) can|(?:I|we)(?:'d| would)? need|(?:is|are) (?:needed|required)"
    r"|cannot[_ ]answer|(?:isn't|aren't|wasn't|weren't) (?:given|stated|provided|known)",
    re.IGNORECASE,
)


def reads_figure(gold: Result, text: str) -> tuple[bool, str]:
    """Whether the text's figure is the gold one, and why."""
    assert gold.number is not None
    if len(text) > MAX_TAIL:
        text = text[-MAX_TAIL:].partition(" ")[2]
    text = plain_figures(plain(text))
    if gold.unit == "%":
        text = percents(text)
    found = _candidates(gold, text)
    if not found:
        return False, "no figure in the answer"
    last, start, _ = found[-1]
    if len(found) > 1 and last.value != found[-2][0].value:
        _, first, end = found[-2]
        between = text[end:start]
        hedged = between.strip() in ("and", "to") and _BETWEEN.search(
            text[max(0, first - 40) : first]
        )
        if hedged or _EITHER.fullmatch(between):
            return False, "two figures are offered"
    dash = start + last.text.startswith(("-", "\u2212"))
    if _DASHED.search(text[max(0, dash - 4) : dash]):
        return False, "a range is offered"
    ok = _agrees(gold, last, text)
    return ok, "figure within tolerance" if ok else f"figure {last.text!r} is off"


Placed = tuple[Quantity, int, int]


def _candidates(gold: Result, text: str) -> list[Placed]:
    """Quantities in the gold figure's unit; failing these, prices in it, then bare numbers."""
    own: list[Placed] = []
    prices: list[Placed] = []
    bare: list[Placed] = []
    dollars = gold.unit == "" or gold.unit in DOLLAR_COINS
    for span, start, end in placed_spans(text)[-MAX_FIGURES:]:
        if span.startswith("0x") or _FRAGMENT.match(text, end) or _denied(text, start, end):
            continue
        try:
            quantity = parse_quantity(span)
        except QuantityError:
            continue
        if _same_unit(quantity.unit, gold.unit):
            (prices if quantity.per else own).append((quantity, start, end))
        elif quantity.unit == "" or (quantity.unit == "USD" and dollars):
            bare.append((quantity, start, end))
    return own or prices or bare


def _denied(text: str, start: int, end: int) -> bool:
    """Whether the words around a figure or label negate it."""
    before = text[max(0, start - 40) : start]
    return bool(_NEGATION.search(before) or _REJECTED.match(text, end))


def _same_unit(unit: str, gold: str) -> bool:
    return unit.lower() == gold.lower() if unit else False


def _agrees(gold: Result, said: Quantity, text: str) -> bool:
    assert gold.number is not None
    exact, value = gold.number, said.value
    if gold.unit != "%":
        if gold.flow and value > 0 and _PAYS.search(text) and not _GETS.search(text):
            value = value.copy_negate()
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
    text = plain(text)
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
    text = percents(plain(text))
    if not _DECLINES.search(text):
        return False, "does not say that it cannot be answered"
    stated = {meaning for span in known for meaning in (_meaning(span), (_meaning(span)[0], "/"))}
    for span in all_spans(text):
        if _meaning(span) not in stated:
            return False, f"offers {span!r} all the same"
    # "You have not given the fee" names the fee: here a negation is the point.
    if gold.aliases and not any(_pattern(a.lower()).search(text.lower()) for a in gold.aliases):
        return False, "does not say what is missing"
    return True, "declined"


def _meaning(span: str) -> tuple[Decimal, str]:
    """Value and unit of a span, whatever its notation."""
    try:
        quantity = parse_quantity(span)
    except QuantityError:
        return Decimal("NaN"), span
    return quantity.value, f"{quantity.unit}/{quantity.per}"


def _claims(label: str, text: str) -> list[tuple[int, int]]:
    """Where the text names a label without negating it."""
    return [
        match.span()
        for match in _pattern(label.lower()).finditer(text.lower())
        if not _denied(text, *match.span())
    ]


@lru_cache(maxsize=2048)
def _pattern(label: str) -> re.Pattern[str]:
    if label == "no":  # "No, it does not", and not "no doubt"
        return re.compile(r"^\W*no\b|(?<![\w.-])no(?=\W*$|[\"'`*)]*[.,:;!])")
    # "out-of-range" is "out of range"
    words = re.escape(label).replace(r"\ ", "[ _-]")
    return re.compile(rf"(?<![\w.]){words}(?!\w|[.,]\d)")
