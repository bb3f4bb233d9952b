"""The calculator: reads one call `tool(name=value; name=value)` and evaluates it exactly.

Calls stand between <calc> and </calc> in an answer.  Values are the quantities of the question,
copied as written; this module parses their units and hands them to the tool.  Nothing is ever
given to Python's own evaluator: a call is data of bounded length and figures, and anything
that is not a well-formed call of a known tool with arguments of the right kind raises ToolError.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any

from denizen.tasks.catalogue import Argument, Parameter, Result, Tool, ToolError
from denizen.tasks.quantities import QuantityError, parse_quantity

CALC_OPEN, CALC_CLOSE = "<calc>", "</calc>"
_CALL = re.compile(r"^\s*([a-z0-9_]+)\((.*)\)\s*$", re.DOTALL)
_TAGGED = re.compile(r"<calc>(.*?)(?:</calc>|$)", re.DOTALL)
# Bounds of the sandbox: every tool is closed-form, so these bound its time as well (a test gives
# each tool the worst that fits).  No figure of DeFi needs more than 256 bits.
MAX_CALL = 20_000
MAX_ARGUMENTS = 24
MAX_VALUE = Decimal(1 << 256)
MAX_PLACES = 40
# Kinds of which there is no negative figure; a parameter that is a change of one says `signed`.
UNSIGNED = frozenset({"amount", "price", "period", "multiple"})


@dataclass(frozen=True)
class Call:
    """A parsed call: the tool's name and its arguments as written."""

    tool: str
    arguments: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return f"{self.tool}({'; '.join(f'{k}={v}' for k, v in self.arguments)})"


@cache
def catalogue() -> dict[str, Tool]:
    """All tools by name, in the order they are described and offered."""
    from denizen.tasks.tools import ALL

    return {tool.name: tool for tool in ALL}


def compose(call: str) -> str:
    """The answer around a call: what kind of question it is (the tool's draft), then the call."""
    return f"{catalogue()[call.partition('(')[0]].draft}. {CALC_OPEN}{call}{CALC_CLOSE}"


def find_call(answer: str) -> str | None:
    """The text of the last calculator call in an answer, or None."""
    found = _TAGGED.findall(answer)
    return found[-1].strip() if found else None


def parse_call(text: str) -> Call:
    """Read `tool(a=1; b=2)`; raises ToolError saying what is wrong."""
    if len(text) > MAX_CALL:
        raise ToolError(f"a call of {len(text)} characters is longer than {MAX_CALL}")
    match = _CALL.match(text)
    if match is None:
        raise ToolError(f"{text[:200]!r} is not a call such as v2_in(in=4.5 WETH; ...)")
    arguments = []
    for piece in filter(None, (p.strip() for p in match.group(2).split(";"))):
        name, equals, value = piece.partition("=")
        if not equals:
            raise ToolError(f"argument {piece[:80]!r} of {match.group(1)} has no '='")
        arguments.append((name.strip(), value.strip()))
    if len(arguments) > MAX_ARGUMENTS:
        raise ToolError(f"{len(arguments)} arguments are more than any tool takes")
    return Call(match.group(1), tuple(arguments))


def evaluate(call: Call | str) -> Result:
    """Evaluate a call exactly; raises ToolError with the reason."""
    if isinstance(call, str):
        call = parse_call(call)
    tool = catalogue().get(call.tool)
    if tool is None:
        raise ToolError(f"there is no tool {call.tool!r}; known: {', '.join(catalogue())}")
    given = dict(call.arguments)
    expected = [p.name for p in tool.parameters]
    if list(given) != expected or len(call.arguments) != len(expected):
        raise ToolError(f"{tool.name} takes {'; '.join(expected)}, got {'; '.join(given)}")
    values = {f"{p.name}_": _argument(tool, p, given[p.name]) for p in tool.parameters}
    try:
        return tool.run(**values)
    except (ArithmeticError, LookupError, ValueError) as error:
        raise ToolError(f"{tool.name}: {error}") from error


def call_tool(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """A tool call as JSON interfaces make it; never raises on bad arguments.

    The answer is {"ok": true, "values", "text", "derivation"} or {"ok": false, "error"}, the error
    worded so that a model can mend its call.
    """
    try:
        tool = catalogue().get(name)
        if tool is None:
            raise ToolError(f"there is no tool {name!r}; known: {', '.join(catalogue())}")
        names = [p.name for p in tool.parameters]
        unknown, missing = set(arguments) - set(names), set(names) - set(arguments)
        if unknown or missing:
            wrong = [*(f"no argument {n!r}" for n in sorted(unknown))]
            wrong += [f"missing {n!r}" for n in sorted(missing)]
            raise ToolError(f"{name}: {'; '.join(wrong)}; it takes {', '.join(names)}")
        for key, value in arguments.items():
            if not isinstance(value, str):
                raise ToolError(f"{name}: {key} is text with its unit, such as '4.5 WETH'")
        result = evaluate(Call(name, tuple((n, arguments[n]) for n in names)))
    except ToolError as error:
        return {"ok": False, "error": str(error)}
    return {
        "ok": True,
        "values": dict(result.values),
        "text": result.text,
        "derivation": list(result.derivation),
    }


def _argument(tool: Tool, parameter: Parameter, text: str) -> Argument:
    if parameter.choices:
        if text not in parameter.choices:
            raise ToolError(
                f"{tool.name}: {parameter.name} is one of {', '.join(parameter.choices)}, "
                f"not {text[:80]!r}"
            )
        return text
    try:
        quantity = parse_quantity(text)
    except QuantityError as error:
        raise ToolError(f"{tool.name}: {parameter.name}: {error}") from error
    if parameter.kind not in quantity.kinds:
        raise ToolError(f"{tool.name}: {parameter.name} wants {parameter.kind}, got {text[:80]!r}")
    if parameter.kind in UNSIGNED and quantity.value < 0 and not parameter.signed:
        raise ToolError(f"{tool.name}: {parameter.name} must not be negative, got {text[:80]!r}")
    if parameter.kind not in ("hex", "address"):
        places = -int(quantity.value.as_tuple().exponent)
        if quantity.value.copy_abs() >= MAX_VALUE or places > MAX_PLACES:
            raise ToolError(
                f"{tool.name}: {parameter.name} is past 256 bits or {MAX_PLACES} places"
            )
    return quantity
