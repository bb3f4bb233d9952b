"""Numbers in any answer, checked: calls are evaluated, sums recomputed, results compared.

Contract: `checked(text, ...)` gives the text with every <calc> call replaced by its exact result,
every wrong sum and every figure that contradicts its call corrected, and says what was corrected.
What cannot be mended (a call that does not evaluate, several contradicting figures) is flagged, and
`ok` is false: such an answer is escalated or marked.  Figures nobody can vouch for are listed.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from denizen.serve.answering.conversation import strangers
from denizen.serve.answering.sums import sums
from denizen.tasks import Result, ToolError, evaluate
from denizen.tasks.quantities import Quantity, QuantityError, parse_quantity, placed_spans
from denizen.tasks.verify import UNANSWERABLE

_CALL = re.compile(r"<calc>(.*?)(?:</calc>|$)", re.DOTALL)
# More calls than this in one answer are not evaluated: no honest answer has them.
MAX_CALLS = 16
FAILED = "[not calculated]"
BAD_CALL = "a calculation failed"
STRANGER = "a calculation uses figures that were not given"
CONTRADICTED = "figures contradict the calculation"
UNVERIFIED = "unverified figures"
RELATIVE = Decimal("0.001")
MAX_GIVEN = 200  # figures from which another may follow
# Numbers under these names are no figures: how sure an answer is (0 to 1), and what numbers things.
_SURENESS = re.compile(r"confiden|certain|probab|likel|score|relevan", re.IGNORECASE)
_NUMBERING = re.compile(r"(?:^|[_-])(?:id|index|step|rank|page|version)$", re.IGNORECASE)


@dataclass(frozen=True)
class Claims:
    """A checked text. `results` are those of the calls in it, in order; `steps` derive these, and
    `sums` are its own ("2 x 3 = 6")."""

    text: str
    corrections: tuple[tuple[str, str], ...] = ()
    steps: tuple[str, ...] = ()
    sums: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    results: tuple[Result, ...] = field(default=(), repr=False)
    flags: tuple[str, ...] = ()

    @property
    def derivation(self) -> tuple[str, ...]:
        """Every step of it."""
        return (*self.steps, *self.sums)

    @property
    def ok(self) -> bool:
        """Whether nothing is left that the engine contradicts."""
        return not {BAD_CALL, STRANGER, CONTRADICTED} & set(self.flags)


def checked(
    text: str, written: str, known: str = "", earlier: Sequence[Result] = (), before: str = ""
) -> Claims:
    """Check the figures of a text; `written` is what calls may use, `known` all that was said,
    `earlier` the results that the text goes on from, and `before` what stands right before it."""
    said, corrections, steps, calls, results, flags = _evaluated(text, written)
    said, more, sum_steps = _recomputed(said, before)
    corrections += more
    if results or earlier:
        told = "\n".join([written, known, *sum_steps])
        said, more, flag = _compared(said, [*earlier, *results], told)
        corrections += more
        flags += flag
    return Claims(
        said,
        tuple(corrections),
        tuple(steps),
        tuple(sum_steps),
        tuple(calls),
        tuple(results),
        tuple(dict.fromkeys(flags)),
    )


def unborne(
    text: str, known: str, found: Sequence[Claims], as_json: bool = False
) -> tuple[str, ...]:
    """Figures of a checked text that stand neither in `known` nor in a calculation from it.

    A sum vouches for its result where its own figures are vouched for.
    """
    sources = [known, *(step for claims in found for step in claims.steps)]
    for step in (step for claims in found for step in claims.sums):
        terms, _, exact = step.rpartition(" = ")
        if not unverified(terms, sources):
            sources.append(exact)
    return (unverified_json if as_json else unverified)(text, sources)


def unverified(text: str, sources: Sequence[str]) -> tuple[str, ...]:
    """Figures of a text that follow neither from one nor from two figures of the sources."""
    from denizen.evaluate.suites.grounding_claims import amounts, bears

    known = frozenset().union(*(amounts(source) for source in sources))
    found = [
        f"{value * 100:f}%" if kind == "ratio" else f"{value:f}"
        for kind, value in sorted(amounts(text))
        # One, two and three are how people count steps.
        if not bears((kind, value), known) and not (kind == "plain" and value in (0, 1, 2, 3))
    ]
    return tuple(found)


def unverified_json(text: str, sources: Sequence[str]) -> tuple[str, ...]:
    """The same of a JSON text: figures in its strings, and its numbers.

    A number's unit stands in its name, if anywhere: it may be a percentage or basis points too.
    """
    from denizen.evaluate.suites.grounding_claims import Amount, amounts, bears

    try:
        leaves = list(_leaves(json.loads(text, parse_int=Decimal, parse_float=Decimal)))
    except (ValueError, ArithmeticError, RecursionError):  # cut short
        return unverified(text, sources)
    known = frozenset[Amount]().union(*(amounts(source) for source in sources))
    words = "\n".join(leaf for _, leaf in leaves if isinstance(leaf, str))
    found = list(unverified(words, sources))
    for name, value in leaves:
        if not isinstance(value, Decimal) or value in (0, 1, 2, 3) or _NUMBERING.search(name):
            continue
        if 0 < value < 1 and _SURENESS.search(name):
            continue
        try:
            size, *ratios = (value.copy_abs().scaleb(-places) for places in (0, 2, 4))
            told = any(("ratio", one) in known for one in ratios) or bears(("plain", size), known)
        except ArithmeticError:  # beyond all figures
            told = False
        if not told:
            found.append(str(value)[:80])
    return tuple(dict.fromkeys(found))


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """What is no list or object, each with the name it stands under."""
    if isinstance(value, dict):
        for inner_name, inner in value.items():
            yield from _leaves(inner, inner_name)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, name)
    else:
        yield name, value


def _evaluated(
    text: str, written: str
) -> tuple[str, list[tuple[str, str]], list[str], list[str], list[Result], list[str]]:
    """Every call replaced by its result."""
    steps: list[str] = []
    calls: list[str] = []
    results: list[Result] = []
    flags: list[str] = []

    def replace(match: re.Match[str]) -> str:
        call = match.group(1).strip()
        if len(calls) >= MAX_CALLS:
            flags.append(BAD_CALL)
            return FAILED
        calls.append(call)
        try:
            result = evaluate(call)
        except ToolError as error:
            flags.append(BAD_CALL)
            steps.append(f"{call[:200]}: {error}")
            return FAILED
        if strangers(call, written):
            flags.append(STRANGER)
        results.append(result)
        steps.extend((call, *(f"  {step}" for step in result.derivation)))
        return result.text

    return _CALL.sub(replace, text), [], steps, calls, results, flags


def _compared(
    text: str, results: Sequence[Result], known: str
) -> tuple[str, list[tuple[str, str]], list[str]]:
    """Figures in the unit of the last result that are neither given, nor a step, nor the result,
    nor follow from these: what is left after a fee contradicts no fee."""
    result = results[-1]
    if result.number is None or result.headline == UNANSWERABLE:
        return text, [], []
    steps = "\n".join(
        [known, *(r.text for r in results), *(s for r in results for s in r.derivation)]
    )
    given = {(q.value, q.unit) for span, _, _ in placed_spans(steps) if (q := _read(span))}
    wrong: list[tuple[int, int, str]] = []
    for span, start, end in placed_spans(text):
        said = _read(span)
        if said is None or said.per or not _unit(said.unit, result.unit):
            continue
        value = said.value * 100 if said.unit == "%" else said.value
        exact = result.number
        near = abs(abs(value) - abs(exact)) <= max(abs(exact) * RELATIVE, _last_place(span))
        if near or (said.value, said.unit) in given or _follows(said, span, given):
            continue
        wrong.append((start, end, span))
    if not wrong:
        return text, [], []
    if len({span for _, _, span in wrong}) > 1:
        return text, [], [CONTRADICTED]
    exact_text = _shown(result)
    for start, end, _ in reversed(wrong):
        text = f"{text[:start]}{exact_text}{text[end:]}"
    return text, [(wrong[0][2], exact_text)], []


def _follows(said: Quantity, span: str, given: Collection[tuple[Decimal, str]]) -> bool:
    """Whether a figure is the sum or difference of two others of its unit, or a share of one."""
    alike = sorted(value for value, unit in given if unit == said.unit)[:MAX_GIVEN]
    shares = [] if said.unit == "%" else [value for value, unit in given if unit == "%"][:MAX_GIVEN]
    scale = 100 if said.unit == "%" else 1
    near, value = _last_place(span) / scale, abs(said.value)
    for one in alike:
        for other in (value - one, one - value):
            place = bisect_left(alike, other - near)
            if place < len(alike) and alike[place] <= other + near:
                return True
        parts = (part for share in shares for part in (share, 1 - share, 1 + share))
        if any(abs(one * part - value) <= near for part in parts):
            return True
    return False


def _recomputed(text: str, before: str) -> tuple[str, list[tuple[str, str]], list[str]]:
    """Wrong sums corrected; right ones are steps as they stand."""
    corrections: list[tuple[str, str]] = []
    steps: list[str] = []
    for found in reversed(list(sums(text, before))):
        if not found.right:
            text = f"{text[: found.start]}{found.exact}{text[found.end :]}"
            corrections.insert(0, (found.claimed, found.exact))
        steps.insert(0, f"{found.expression} = {found.exact}")
    return text, corrections, steps


def _read(span: str) -> Quantity | None:
    try:
        return parse_quantity(span)
    except QuantityError:
        return None


def _unit(said: str, exact: str) -> bool:
    """Whether a figure speaks of the result's unit; a bare number might be anything."""
    return bool(said) and said.lower() == exact.lower()


def _last_place(span: str) -> Decimal:
    match = re.search(r"\.(\d+)", span)
    return Decimal("0.5").scaleb(-len(match.group(1)) if match else 0)


def _shown(result: Result) -> str:
    """The result's figure as its own sentence shows it."""
    for span, _, _ in placed_spans(result.text):
        said = _read(span)
        if said is not None and not said.per and _unit(said.unit, result.unit):
            return span
    assert result.number is not None
    figure = f"{result.number:,.6f}".rstrip("0").rstrip(".")
    return f"{figure}%" if result.unit == "%" else f"{figure} {result.unit}".strip()
