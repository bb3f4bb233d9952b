"""The decoding grammar (GBNF) of one question, made from the tool catalogue.

Contract: an answer is a tool's draft and one call of that tool; a quantity argument can only be a
span of the question that has the parameter's kind, no span is used twice, a word argument is one
of its choices, and a call the engine would refuse is not offered.  So a decoded call always
evaluates and never holds a number the user did not write; which tool and which span goes where is
left to the model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import islice, permutations, product
from math import prod

from denizen.tasks.calculator import (
    CALC_CLOSE,
    CALC_OPEN,
    Call,
    catalogue,
    evaluate,
    parse_call,
)
from denizen.tasks.catalogue import Parameter, Tool, ToolError
from denizen.tasks.gbnf import literal
from denizen.tasks.quantities import Kind, spans_by_kind
from denizen.tasks.structured import Schema
from denizen.tasks.types import Item

# All that can be said when no tool's arguments are in the question.
DECLINE = "This cannot be answered from what is given."
# Beyond this many concrete calls of one tool the arguments are offered independently.
MAX_CALLS = 400


def grammar_for(question: str, tools: Mapping[str, Tool], schemas: Sequence[Schema] = ()) -> str:
    """GBNF for the answer to `question`: for each tool that can be called, its draft and calls;
    and for each schema its object, with quantities of the question."""
    spans = spans_by_kind(question)
    answers: list[str] = []
    kinds: set[Kind] = set()
    for tool in tools.values():
        calls, used = _call_rules(tool, spans)
        kinds |= used
        if calls:
            head = literal(f"{tool.draft}. {CALC_OPEN}")
            answers.append(f'{head} ({" | ".join(calls)}) "{CALC_CLOSE}"')
    rules: list[str] = []
    for kind in sorted(kinds):
        rules.append(f"{kind} ::= {' | '.join(literal(s) for s in dict.fromkeys(spans[kind]))}")
    for number, schema in enumerate(schemas):
        if made := schema.grammar(question, f"object{number}"):
            answers.append(f"object{number}")
            rules += [rule for rule in made if rule not in rules]
    return "\n".join([f"root ::= {' | '.join(answers) or literal(DECLINE)}", *rules]) + "\n"


def offers(item: Item, schema: Schema | None = None) -> bool:
    """Whether the grammar of an item's question can produce its gold answer."""
    spans = spans_by_kind(item.prompt)
    if schema is not None:
        return schema.offers(item.prompt, item.gold)
    parsed = parse_call(item.gold)
    for parameter, (_, value) in zip(
        catalogue()[parsed.tool].parameters, parsed.arguments, strict=True
    ):
        if parameter.kind is not None and value not in spans.get(parameter.kind, ()):
            return False
    return True


def _call_rules(tool: Tool, spans: Mapping[Kind, list[str]]) -> tuple[list[str], set[Kind]]:
    """The tool's alternatives: concrete calls if there are few, else one rule over kinds."""
    quantities = [p for p in tool.parameters if p.kind is not None]
    if any(p.kind not in spans for p in quantities):
        return [], set()
    if not quantities:
        return list(_word_calls(tool.name)), set()
    # Counted before any is evaluated: a grammar is made for every question served.
    assignments = list(islice(_assignments(quantities, spans), MAX_CALLS + 1))
    if len(assignments) > MAX_CALLS:
        return [_open_rule(tool)], {p.kind for p in quantities if p.kind}
    return [call for one in assignments for call in _accepted(tool, one)], set()


@cache
def _word_calls(name: str) -> tuple[str, ...]:
    """A tool of words only: one open rule if the engine takes every choice, else what it takes."""
    tool = catalogue()[name]
    accepted = _accepted(tool, {})
    if len(accepted) == prod(len(p.choices) for p in tool.parameters):
        return (_open_rule(tool),)
    return tuple(accepted)


def _assignments(
    parameters: list[Parameter], spans: Mapping[Kind, list[str]]
) -> Iterator[dict[str, str]]:
    """Every way to give the parameters spans of their kind, none used twice."""
    groups: dict[Kind, list[str]] = {}
    for parameter in parameters:
        assert parameter.kind is not None
        groups.setdefault(parameter.kind, []).append(parameter.name)
    ways = (dict.fromkeys(permutations(spans[kind], len(names))) for kind, names in groups.items())
    for chosen in product(*ways):
        assignment: dict[str, str] = {}
        for names, values in zip(groups.values(), chosen, strict=True):
            assignment.update(zip(names, values, strict=True))
        # number and integer overlap: the same span must not serve both
        if len(set(assignment.values())) == len(assignment):
            yield assignment


def _accepted(tool: Tool, assignment: Mapping[str, str]) -> list[str]:
    """The call as a GBNF literal, for each choice of words, if the engine evaluates it."""
    words = [p for p in tool.parameters if p.choices]
    accepted = []
    for chosen in product(*(p.choices for p in words)):
        values = {**assignment, **dict(zip((p.name for p in words), chosen, strict=True))}
        call = Call(tool.name, tuple((p.name, values[p.name]) for p in tool.parameters))
        try:
            evaluate(call)
        except ToolError:
            continue
        accepted.append(literal(str(call)))
    return accepted


def _open_rule(tool: Tool) -> str:
    parts = [f'"{tool.name}("']
    for index, parameter in enumerate(tool.parameters):
        parts.append(f'"{"; " if index else ""}{parameter.name}="')
        parts.append(parameter.kind or "(" + " | ".join(map(literal, parameter.choices)) + ")")
    return " ".join([*parts, '")"'])
