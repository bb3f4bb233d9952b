"""The decoding grammar (GBNF) of one question, made from the tool catalogue.

A quantity argument can only be a span of the question that has the parameter's kind, a word
argument only one of its choices, and a tool is offered only if the question holds a span for each
of its arguments.  So a call always parses and never contains a number the user did not write;
which tool and which span goes where is left to the model.
"""

from __future__ import annotations

from collections.abc import Mapping

from denizen.tasks.calculator import CALC_CLOSE, CALC_OPEN, catalogue
from denizen.tasks.catalogue import Parameter, Tool
from denizen.tasks.quantities import Kind, find_spans, parse_quantity

MAX_DRAFT = 40


def grammar_for(question: str, tools: Mapping[str, Tool] | None = None) -> str:
    """GBNF for the answer to `question`: a draft of at most 40 characters and one call."""
    spans = _spans_by_kind(question)
    calls, used = [], set()
    for tool in (tools or catalogue()).values():
        if all(p.choices or p.kind in spans for p in tool.parameters):
            calls.append(_call_rule(tool))
            used.update(p.kind for p in tool.parameters if p.kind)
    rules = [
        f'root ::= draft ". {CALC_OPEN}" call "{CALC_CLOSE}"',
        f"draft ::= [a-zA-Z0-9] [a-zA-Z0-9 ,/-]{{1,{MAX_DRAFT}}}",
        f"call ::= {' | '.join(calls)}",
    ]
    for kind in sorted(used):
        rules.append(f"{kind} ::= {' | '.join(_quote(s) for s in spans[kind])}")
    return "\n".join(rules) + "\n"


def _call_rule(tool: Tool) -> str:
    parts = [f'"{tool.name}("']
    for index, parameter in enumerate(tool.parameters):
        parts.append(f'"{"; " if index else ""}{parameter.name}="')
        parts.append(_value_rule(parameter))
    return " ".join([*parts, '")"'])


def _value_rule(parameter: Parameter) -> str:
    if parameter.choices:
        return "(" + " | ".join(_quote(c) for c in parameter.choices) + ")"
    assert parameter.kind is not None
    return parameter.kind


def _spans_by_kind(question: str) -> dict[Kind, list[str]]:
    spans: dict[Kind, list[str]] = {}
    for span in find_spans(question):
        for kind in parse_quantity(span).kinds:
            spans.setdefault(kind, []).append(span)
    return spans


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
