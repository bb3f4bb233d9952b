"""From what the model wrote to what is said: the call evaluated, the object read, the reason told.

Contract: a figure is the engine's or it is not said.  `Exact.ok` is true where the engine (or a
schema) stands behind the text; `strangers` are quantities of the call or the object that nobody
wrote, which a grammar makes impossible and free text does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from denizen.serve.answering.conversation import invented, strangers
from denizen.tasks import Result, Suite, ToolError, evaluate, find_call
from denizen.tasks.calculator import CALC_OPEN
from denizen.tasks.gbnf import literal
from denizen.tasks.grammar import grammar_for
from denizen.tasks.structured import Schema, SchemaError
from denizen.tasks.verify import UNANSWERABLE

NO_CALL = "I could not turn this into an exact calculation."
NOT_GIVEN = "I could not calculate this from the figures that were given."


@dataclass(frozen=True)
class Exact:
    """One answer, evaluated."""

    text: str
    draft: str = ""
    call: str | None = None
    derivation: tuple[str, ...] = ()
    ok: bool = False
    result: Result | None = None
    schema: Schema | None = None
    strangers: tuple[str, ...] = ()

    @property
    def declines(self) -> bool:
        """Whether it says that the question cannot be answered."""
        return self.result is not None and self.result.headline == UNANSWERABLE

    @property
    def serves(self) -> bool:
        """Whether it answers the question at all."""
        return self.ok and not self.declines

    @property
    def tool(self) -> str:
        """The calculator tool that was called, or ""."""
        return (self.call or "").partition("(")[0].strip()


def grammar_of(suite: Suite, written: str, reasoning: str, schema: Schema | None = None) -> str:
    """GBNF of every answer to a text; `reasoning` "none" leaves the drafts out, and a `schema`
    leaves its object alone."""
    if schema is not None:
        return grammar_for(written, {}, (schema,))
    grammar = suite.grammar(written)
    if reasoning == "none":
        for tool in suite.tools.values():
            grammar = grammar.replace(literal(f"{tool.draft}. {CALC_OPEN}"), literal(CALC_OPEN))
    return grammar


def compose(output: str, written: str, suite: Suite, asked: Schema | None = None) -> Exact:
    """Evaluate what a model wrote about a text; never raises.

    `asked`: a schema that was asked for, which the suite need not have.
    """
    draft = output.split(CALC_OPEN)[0].strip().rstrip(".")
    call = find_call(output)
    if call is None:
        if (schema := _object(output, suite, asked)) is not None:
            made_up = invented(_quantities(output, schema), written)
            return Exact(output.strip(), schema.name, ok=True, schema=schema, strangers=made_up)
        return Exact(NO_CALL, draft[:200])
    try:
        result = evaluate(call)
    except ToolError as error:
        return Exact(f"I could not calculate this: {error}.", draft, call)
    if made_up := strangers(call, written):
        return Exact(NOT_GIVEN, draft, call, result=result, strangers=made_up)
    return Exact(result.text, draft, call, result.derivation, True, result)


def _object(output: str, suite: Suite, asked: Schema | None) -> Schema | None:
    if asked is None:
        return suite.object_in(output)
    try:
        asked.parse(output)
    except SchemaError:
        return None
    return asked


def _quantities(output: str, schema: Schema) -> list[tuple[Decimal, str, str]]:
    """The quantities of an object; they are taken from the question, never worked out."""
    values = schema.parse(output)
    names = [field.name for field in schema.fields if field.kind == "quantity"]
    return [values[name] for name in names if values[name] is not None]
