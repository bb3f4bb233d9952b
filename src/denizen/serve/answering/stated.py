"""The figures that a question states about a pool or market, read by their wording.

Contract: `read(question)` gives `analysis.Figures` and which of them were read; what is not sure is
not read, never guessed.  `complete` means that every quantity of the question was understood, so
that what is absent is truly not stated.  The rules then recompute what the model claims.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from denizen.protocols.fixed_point import MathError
from denizen.tasks.analysis import Figure, Figures, Venue
from denizen.tasks.quantities import Quantity, parse_quantity, placed_spans

# A clause may go on after a comma or a dash ("fee APR 12%, read 8 days ago"), not after the others.
_PIECE = re.compile(r"[;\n?!]|(?<=[A-Za-z0-9%)])\.(?=\s|$)|,(?=\s)|\s[-\u2013\u2014]{1,2}\s")
LONGEST_CLAUSE = 400
_GOES_ON = (",", "-", "--", "\u2013", "\u2014")
_AGE = re.compile(r"^\s*(?:ago|old|back|before|earlier)\b", re.IGNORECASE)
_NONE = re.compile(
    r"\b(?:no|none|nothing|never|without|zero|not|nobody|unaudited|lacks?|isn't|hasn't)\b",
    re.IGNORECASE,
)
_RATE = (
    r"\b(?:APR|APY|yield\w*|earn\w*|bring\w*|income|rates?|interest|annual\w*|a year|per annum"
    r"|yearly|pays?)\b"
)
_OUTSIDE = re.compile(
    r"\b(?:out(?=[ -]of\b)|outside|beyond|inactive|left(?= (?:the|its|our|their|this)\b)"
    r"|not(?= (?:\w+ )?(?:in|inside|within|between|active)\b))\b",
    re.IGNORECASE,
)
# That no audit was made; "no findings in the audit" and "audited without findings" are others.
_UNAUDITED = re.compile(
    r"\bunaudited\b"
    r"|\b(?:no|not|never|nobody|none|without|zero|lacks?|isn't|hasn't)"
    r"(?: (?:an?|any|single|one|had|have|has|been|yet|ever|security|external|independent|formal"
    r"|code)){0,4} (?:audit\w*\b(?! (?:findings?|issues?|problems?|concerns?))|security review)"
    r"|\b(?:audit(?:s|ed)?|security reviews?)\W{0,3}(?:(?:is|are|was|were) )?"
    r"(?:none|missing|absent|(?:not|never) (?:yet )?(?:done|made|performed|conducted)|no\W*$)",
    re.IGNORECASE,
)
# The first cue of a piece names its figure; a piece without one belongs to the piece before it.
_CUES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(pattern, re.IGNORECASE))
    for name, pattern in (
        ("incentives", r"\b(?:incentiv\w*|rewards?|emissions?|liquidity mining|bribes?|farming"
         r"|bonus)\b"),
        ("impermanent_loss", r"\bimpermanent\b|\bdivergence loss\b|\bIL\b"),
        ("audit", r"\b(?:un)?audit\w*|\bsecurity review\b"),
        ("utilisation", r"\butili[sz]\w*|\b(?:is|are|were|was|be) (?:borrowed|lent out)\b"
         r"|\bborrowers? use|\bon loan\b"),
        ("holders", r"\bholders?\b|\b(?:ten|10) (?:largest|biggest|wallets|accounts|addresses)"
         r"|\b(?:top|first|leading|biggest|largest)[- ](?:ten|10)\b"),
        ("own_share", r"\b(?:own|our|my|planned) (?:planned )?(?:share|part|slice)\b"
         r"|\bwe (?:would be|make up|are) (?=-?\d)|\bfor our account\b|\bour side\b|\bslice\b"
         r"|\b(?:deposit|ticket)\b[^;]* (?:make up|is) (?=-?\d)"),
        ("in_range", r"\b(?:in|out of|inside|outside|within|beyond|between|left)\b[^;]{0,24}"
         r"\b(?:range|bounds|band)\b|\brange (?:in)?active\b"),
        ("venue_age", r"\b(?:live|running|deployed|launch(?:ed)?|online|in operation"
         r"|track record)\b"
         r"|^\W*age\b"),
        ("tvl", r"\bTVL\b|\bvalue locked\b|\blocked\b|\b(?:total|overall) deposits\b"
         r"|\bdeposits in total\b|^\W*(?:size|assets inside)\b"),
        ("supply_apr", r"(?=.*" + _RATE + r").*\b(?:suppl(?:y|ier|iers)|lend(?:er|ers|ing)?"
         r"|deposit(?:s|or|ors)?)\b"),
        ("fee_apr", r"(?=.*" + _RATE + r").*\bfees?\b"),
    )
)  # fmt: skip
_MARKET = re.compile(
    r"\b(?:lend(?:ing)?|money market|suppl(?:y|ied|ying)|on loan|borrow\w*)\b", re.IGNORECASE
)
_POOL = re.compile(
    r"\b(?:pools?|LP(?:s|ing)?|liquidity (?:provi\w+|pool|position)|swap fees?)\b", re.IGNORECASE
)


class _Unclear(ValueError):
    """One figure is stated in two ways."""


@dataclass(frozen=True)
class Stated:
    """What was read: `names` of the fields of `figures`; `complete` if nothing was left over."""

    figures: Figures
    names: frozenset[str]
    complete: bool


def read(question: str, held: bool) -> Stated | None:
    """The figures of a question; None where the venue is not clear or figures are impossible."""
    found: dict[str, Any] = {}
    spent, understood = 0, True
    current = ""
    for piece, goes_on in pieces(question):
        own, before_it = _cue(piece[:LONGEST_CLAUSE]), current
        current = cue = own or (current if goes_on else "")
        if not cue:
            continue
        before = dict(found)
        try:
            spent += _take(cue, piece, found)
        except ValueError:  # stated in two ways, or no figure of people
            return None
        # "rewards absent" names a figure in words that are not known here; so does "fee APR 12%,
        # audit pending", while ", end not announced" only says more of the figure before it.
        understood &= found != before or (goes_on and own in ("", before_it))
    venue = _venue(question, found)
    if venue is None:
        return None
    fee, supply = found.pop("fee_apr", None), found.pop("supply_apr", None)
    apr = fee if venue == "pool" else supply
    if apr is not None:
        found["fee_apr"] = apr
    total = len(placed_spans(question))
    # A fee in a market question, or interest in a pool's, was not understood.
    stray = supply if venue == "pool" else fee
    try:
        figures = Figures(venue, held, **found)
    except MathError:
        return None
    return Stated(figures, frozenset(found), understood and spent >= total and stray is None)


def pieces(text: str) -> Iterator[tuple[str, bool]]:
    """The clauses of a text, each with whether it may go on from the one before it."""
    start, goes_on = 0, False
    for match in _PIECE.finditer(text):
        yield text[start : match.start()], goes_on
        start, goes_on = match.end(), match.group().strip() in _GOES_ON
    yield text[start:], goes_on


def _cue(piece: str) -> str:
    for name, pattern in _CUES:
        if pattern.search(piece):
            return name
    return ""


def _take(cue: str, piece: str, found: dict[str, Any]) -> int:
    """Read a clause of a cue into `found`; returns how many of its quantities were understood."""
    placed = [(parse_quantity(span), start, end) for span, start, end in placed_spans(piece)]
    age = next((q for q, _, end in placed if q.unit == "days" and _AGE.match(piece[end:])), None)
    percents = [q for q, start, _ in placed if q.unit == "%" and not _signed(piece, start)]
    periods = [q for q, _, _ in placed if q.unit == "days"]
    money = [q for q, _, _ in placed if q.unit == "USD"]
    counted = len([q for q, _, _ in placed if q.unit == "" and q.value == 10])
    if cue == "incentives":
        return _incentives(piece, percents, periods, found) + counted
    if cue == "impermanent_loss":
        moves = len(placed) - len(percents)
        if len(percents) == 1:
            _put(found, "impermanent_loss", Figure(percents[0].value))
            return 1 + moves
        return 0
    if cue == "audit":
        if len(periods) == 1:
            _put(found, "audit_age", Figure(periods[0].value))
            return 1
        if not placed and _UNAUDITED.search(piece):
            found["unaudited"] = True
        return 0
    if cue == "venue_age":
        if len(periods) == 1:
            _put(found, "venue_age", Figure(periods[0].value))
        return len(periods) if len(periods) == 1 else 0
    if cue == "in_range":
        # "range inactive, price gone past it": the first clause says which.
        turned, denied = _OUTSIDE.findall(piece), _NONE.findall(piece)
        plain = [word.lower() for word in (*turned, *denied)]
        # "not out of range", "has never left its bounds": turned twice, which is not guessed at.
        if plain == ["not", "not"] or (not denied and len(turned) <= 1):
            found.setdefault("in_range", not turned)
        return 0
    values = money if cue == "tvl" else percents
    old = Figure(Decimal(0), age.value) if age is not None else Figure(Decimal(0))
    if len(values) != 1:
        if not values and age is not None and cue in found and not found[cue].age:
            found[cue] = Figure(found[cue].value, age.value)  # ", read 8 days ago"
            return 1
        return 0
    _put(found, cue, Figure(values[0].value, old.age))
    return 1 + (age is not None) + counted


def _incentives(
    piece: str, percents: list[Quantity], periods: list[Quantity], found: dict[str, Any]
) -> int:
    if not percents and not periods:
        if _NONE.search(piece) and "incentive_apr" not in found:
            found["incentive_apr"] = Figure(Decimal(0))
        return 0
    if len(percents) > 1 or len(periods) > 1:
        return 0
    if percents:
        _put(found, "incentive_apr", Figure(percents[0].value))
    if periods:
        _put(found, "incentive_days", Figure(periods[0].value))
    return len(percents) + len(periods)


def _put(found: dict[str, Any], name: str, figure: Figure) -> None:
    """A figure stated twice with two values makes the question unclear."""
    if name in found and found[name].value != figure.value:
        raise _Unclear
    found[name] = figure


def _signed(piece: str, start: int) -> bool:
    """Moves are written with their sign: "-40%", "+50%" (a plus is not part of a quantity)."""
    return piece[start : start + 1] in "-\u2212" or piece[:start].endswith("+")


def _venue(question: str, found: dict[str, Any]) -> Venue | None:
    market = bool({"supply_apr", "utilisation"} & set(found))
    pool = bool({"fee_apr", "impermanent_loss"} & set(found))
    if market != pool:
        return "market" if market else "pool"
    market, pool = bool(_MARKET.search(question)), bool(_POOL.search(question))
    if market != pool:
        return "market" if market else "pool"
    return None
