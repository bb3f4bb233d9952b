"""Sums in a text ("4.5 WETH x 2,500 = 11,250 USDC"), recomputed exactly and corrected.

Contract: `sums(text)` finds chains of stated figures joined by +, -, times, divided by, or "% of",
that claim a result; a claim further from the exact value than half its last place (or 0.1%) is
wrong.  Brackets, powers, unknowns, periods and "100 + 5%" are left alone: what is not understood is
not judged, be it in the chain, before it or behind it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Context, Decimal, DivisionByZero, InvalidOperation, Overflow, localcontext

from denizen.tasks.quantities import Quantity, QuantityError, parse_quantity, placed_spans

RELATIVE = Decimal("0.001")
# A text of more figures than this is a table, not an argument.
MAX_FIGURES = 400
MAX_TERMS = 12
LONGEST_LINK = 60
# Raw amounts of tokens have dozens of digits: the default context would round at 28.
_WIDE = Context(prec=400, traps=[DivisionByZero, InvalidOperation, Overflow])
_OPERATORS = {
    "+": re.compile(r"\s*(?:\+|\bplus\b)\s*", re.IGNORECASE),
    "-": re.compile(r"\s+(?:-|\u2212|\u2013|minus)\s+", re.IGNORECASE),
    "*": re.compile(
        r"\s*(?:\*|\u00d7|\u22c5|\\times|(?<=\s)x(?=\s)|\btimes\b|\bmultiplied by\b)\s*",
        re.IGNORECASE,
    ),
    "/": re.compile(r"\s*(?:/|\u00f7|\bdivided by\b)\s*", re.IGNORECASE),
    "%": re.compile(r"\s+of\s+(?:the\s+)?", re.IGNORECASE),
}
_POWER = re.compile(r"\s*(?:\^|\*\*)\s*")
_CLAIMS = re.compile(
    r"\s*(?:=|\u2248|\bequals\b|\bis\b|\bgives\b|\bmakes\b|\bcomes? to\b)\s*"
    r"(?:about\s+|around\s+|roughly\s+|approximately\s+|exactly\s+|~\s*)?",
    re.IGNORECASE,
)
# What makes the first figure part of something longer: a sign behind a word or a bracket ("x * 3",
# ") x 2", "2^3", but not "**3" in Markdown), a root, a share in words, a mixed number.
_BEFORE = re.compile(
    r"(?:[\^@\u221a\u221b][ \t]*"
    r"|[\w)\]}%!][ \t]*(?:[-+/\u2212\u2013\u00d7\u22c5\u00b7\u00f7]|\\times|\\cdot)[ \t]*"
    r"|[\w)\]}%!](?:\*{1,2}|[ \t]+\*{1,2}[ \t]+)"
    r"|[\w)\]}%!][ \t]+(?:x|times|plus|minus|mod|over|(?:multiplied|divided) by)[ \t]+"
    r"|\b(?:half|third|quarter|twice|double|triple|root|log(?:10|2)?|ln)(?:[ \t]+of)?[ \t]+"
    r"|\d(?:[ \t]+of(?:[ \t]+the)?)?[ \t]+)$",
    re.IGNORECASE,
)
# And the same behind the result: "= 10^6" claims no 10.
_AFTER = re.compile(
    r"[ \t]*(?:\^|\*\*[ \t]*[\d(]|[\u00b2\u00b3\u00b9\u2070-\u2079\u00d7\u22c5\u00b7\u00f7]"
    r"|\\times|\\cdot)|[ \t]+(?:[*+x]|times)[ \t]"
)
# As far as either is looked for.
NEAR = 32


@dataclass(frozen=True, slots=True)
class Sum:
    """A claimed result: its place in the text, the claim as written, and the exact value."""

    start: int
    end: int
    expression: str
    claimed: str
    exact: str
    right: bool


def sums(text: str, before: str = "") -> Iterator[Sum]:
    """Every sum of a text whose result is claimed, in order; `before` is what the text follows."""
    placed = placed_spans(text)[:MAX_FIGURES]
    terms: list[tuple[Quantity, int, int]] = []
    operators: list[str] = []
    for number, (span, start, end) in enumerate(placed):
        quantity = _read(span)
        if quantity is None:
            terms, operators = [], []
            continue
        between = text[terms[-1][2] : start] if terms else ""
        operator = _operator(between, terms[-1][0]) if terms else None
        if operator is not None and len(terms) < MAX_TERMS:
            terms.append((quantity, start, end))
            operators.append(operator)
            continue
        whole = not _goes_on(text, placed, number) and not _AFTER.match(text, end, end + NEAR)
        if (
            operators
            and whole
            and _CLAIMS.fullmatch(between)
            and _begins(text, terms[0][1], before)
        ):
            found = _judge(text, terms, operators, quantity, start, end)
            if found is not None:
                yield found
        terms, operators = [(quantity, start, end)], []


def is_link(between: str) -> bool:
    """Whether a text between two figures can join them to a sum or a power, or claim its result."""
    if len(between) > LONGEST_LINK:
        return False
    joins = any(pattern.fullmatch(between) for pattern in (*_OPERATORS.values(), _POWER))
    return joins or bool(_CLAIMS.fullmatch(between))


def _begins(text: str, start: int, before: str) -> bool:
    """Whether a chain at `start` is a whole one."""
    told = text[max(0, start - NEAR) : start]
    return _BEFORE.search(f"{before[-NEAR:]}{told}" if start < NEAR else told) is None


def _read(span: str) -> Quantity | None:
    try:
        return parse_quantity(span)
    except QuantityError:
        return None


def _operator(between: str, left: Quantity) -> str | None:
    if len(between) > LONGEST_LINK:
        return None
    for name, pattern in _OPERATORS.items():
        if pattern.fullmatch(between):
            if name == "%":
                return "*" if left.unit == "%" else None
            return name
    return None


def _goes_on(text: str, placed: list[tuple[str, int, int]], number: int) -> bool:
    """Whether the claimed figure is itself the head of a longer sum: "= 3 x 4"."""
    if number + 1 >= len(placed):
        return False
    left = _read(placed[number][0])
    between = text[placed[number][2] : placed[number + 1][1]]
    return left is not None and _operator(between, left) is not None


def _judge(
    text: str,
    terms: list[tuple[Quantity, int, int]],
    operators: list[str],
    claimed: Quantity,
    start: int,
    end: int,
) -> Sum | None:
    figures = [quantity for quantity, _, _ in terms]
    if any(f.unit in ("days", "address", "hex") for f in (*figures, claimed)):
        return None
    shares = [f.unit == "%" for f in figures]
    if {"+", "-"} & set(operators) and any(shares) and not (all(shares) and claimed.unit == "%"):
        return None
    if not _of_a_kind(figures, operators, claimed.unit):
        return None
    if claimed.unit == "%" and not all(shares) and not any(o == "/" for o in operators):
        return None  # "200 x 5% = 10%" may mean 10, and "2 x 5 = 10%" is no sum
    shown = _places(claimed.text)
    scale = Decimal(100) if claimed.unit == "%" else Decimal(1)
    try:
        with localcontext(_WIDE):
            said, meant = claimed.value * scale, _evaluate(figures, operators) * scale
            slack = max(_scale_of(claimed).scaleb(-shown) / 2, abs(meant) * RELATIVE)
            right = abs(said - meant) <= slack
            told = claimed.text if right else _like(claimed, meant, shown)
    except ArithmeticError:
        return None
    return Sum(start, end, text[terms[0][1] : terms[-1][2]], claimed.text, told, right)


def _of_a_kind(figures: list[Quantity], operators: list[str], claimed: str) -> bool:
    """Whether what is added has one unit: "1 WETH + 500 USDC" is worth what a price says."""
    products = [[figures[0].unit]]
    for operator, figure in zip(operators, figures[1:], strict=True):
        if operator in "+-":
            products.append([])
        products[-1].append(figure.unit)
    if len(products) == 1:
        return True
    # "4.5 WETH x 2,500 USDC" may be of either.
    units = [set(filter(None, product)) for product in products]
    known = {*(unit for found in units if len(found) == 1 for unit in found), claimed} - {""}
    return len(known) <= 1 and not ("x" in known and set() in units)


def _evaluate(figures: list[Quantity], operators: list[str]) -> Decimal:
    """Left to right, products before sums."""
    total, product, sign = Decimal(0), figures[0].value, 1
    for operator, figure in zip(operators, figures[1:], strict=True):
        if operator == "*":
            product *= figure.value
        elif operator == "/":
            product /= figure.value
        else:
            total += sign * product
            product, sign = figure.value, 1 if operator == "+" else -1
    return total + sign * product


def _places(span: str) -> int:
    """Decimal places that a figure shows."""
    match = re.search(r"\d[\d,]*(?:\.(\d+))?", span)
    return len(match.group(1) or "") if match else 0


def _scale_of(claimed: Quantity) -> Decimal:
    """What one unit of the shown digits is worth: "11.2k" is written in thousands."""
    match = re.search(r"\d[\d,]*(?:\.\d+)?", claimed.text)
    digits = Decimal(match.group(0).replace(",", "")) if match else Decimal(0)
    value = claimed.value * (100 if claimed.unit == "%" else 1)
    return abs(value / digits) if digits else Decimal(1)


def _like(claimed: Quantity, exact: Decimal, places: int) -> str:
    """The exact value in the claim's own notation, with two places at least, or as many as show it.

    A claim in thousands or basis points is told in plain figures of the same unit.
    """
    # A small exact value is not rounded away to nothing.
    lead = -exact.adjusted() + 2 if exact and abs(exact) < 1 else 0
    rounded = round(exact, max(places, 2, min(lead, 18)))
    figure = f"{rounded:,f}"
    if "." in figure:  # no more places than say something, but those of the claim
        whole, _, rest = figure.partition(".")
        rest = rest[:places] + rest[places:].rstrip("0")
        figure = f"{whole}.{rest}" if rest else whole
    if claimed.unit == "%":
        return f"{figure}%"
    if claimed.unit == "USD":
        return f"-${figure[1:]}" if figure.startswith("-") else f"${figure}"
    if claimed.unit == "x":
        return f"{figure}x"
    return f"{figure} {claimed.unit}" if claimed.unit else figure
