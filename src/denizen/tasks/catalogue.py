"""What the calculator offers: tools with typed parameters, and the Result they give.

A tool's parameters are typed by the kind of quantity they take (amount, percent, period, price,
number, integer) or by a fixed set of words.  The catalogue is the single source for the call
parser, the decoding grammar and the description given to models that were not trained on it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from denizen.tasks.quantities import Kind, Quantity

Argument = Quantity | str


class ToolError(ValueError):
    """A call that cannot be evaluated: unknown tool, wrong argument, or impossible figures."""


@dataclass(frozen=True)
class Parameter:
    """One argument: a quantity of `kind`, or one of `choices` when these are given.

    An amount, price, period or multiple is not negative unless `signed` says that it may be.
    """

    name: str
    doc: str
    kind: Kind | None = None
    choices: tuple[str, ...] = ()
    signed: bool = False


@dataclass(frozen=True)
class Result:
    """An exact result.

    `values` are canonical strings (integers in raw units, Decimals at fixed places, labels), equal
    exactly when two results mean the same; `text` is the sentence shown, `derivation` its steps,
    `headline` the key of the figure or label that answers the question, `number` that figure as a
    person would say it (percent in points), if it is one.  `aliases` are other names of the right
    label, `rivals` the labels that an answer must not claim beside it; a `flow` is
    signed as its holder's own, so that "pays $93" and -93 are the same.
    """

    values: Mapping[str, str]
    text: str
    derivation: tuple[str, ...]
    headline: str
    number: Decimal | None = None
    unit: str = ""
    aliases: tuple[str, ...] = ()
    rivals: tuple[str, ...] = ()
    flow: bool = False


@dataclass(frozen=True)
class Tool:
    """A named exact function: documentation, draft, parameters in call order, implementation.

    `returns` says what each of the result's values is, with its unit.
    `draft` are the words that stand before a call of this tool.  They lie near what people ask:
    an untrained model leans the right way between "proceeds" and "cost", and the wrong way between
    "exact input" and "exact output".
    """

    name: str
    doc: str
    draft: str
    parameters: tuple[Parameter, ...]
    run: Callable[..., Result]
    returns: Mapping[str, str]

    def signature(self) -> str:
        """For example `v2_in(in; a; b)`."""
        return f"{self.name}({'; '.join(p.name for p in self.parameters)})"


def describe(tools: Mapping[str, Tool]) -> str:
    """The catalogue in words, for the prompt of a model that was not trained on it."""
    lines = []
    for tool in tools.values():
        lines.append(f"- {tool.signature()}: {tool.doc}")
        lines.extend(f"    {p.name}: {p.doc}" for p in tool.parameters)
    return "\n".join(lines)
