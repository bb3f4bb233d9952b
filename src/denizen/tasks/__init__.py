"""Task families over the exact engine: generate, verify, validate; and the calculator they use."""

from denizen.tasks.calculator import (
    Call,
    call_tool,
    catalogue,
    compose,
    evaluate,
    find_call,
    parse_call,
)
from denizen.tasks.catalogue import Parameter, Result, Tool, ToolError, describe
from denizen.tasks.families import FAMILIES
from denizen.tasks.grammar import grammar_for, offers
from denizen.tasks.prompting import catalogue_prompt
from denizen.tasks.quantities import Quantity, QuantityError, find_spans, parse_quantity
from denizen.tasks.structured import Field, Schema, SchemaError
from denizen.tasks.suite import CORE, Suite, suite_of
from denizen.tasks.tool_schema import catalogue_schema, tool_schema
from denizen.tasks.types import Family, Item, Split, Verdict
from denizen.tasks.verify import verify

__all__ = [
    "CORE",
    "FAMILIES",
    "Call",
    "Family",
    "Field",
    "Item",
    "Parameter",
    "Quantity",
    "QuantityError",
    "Result",
    "Schema",
    "SchemaError",
    "Split",
    "Suite",
    "Tool",
    "ToolError",
    "Verdict",
    "call_tool",
    "catalogue",
    "catalogue_prompt",
    "catalogue_schema",
    "compose",
    "describe",
    "evaluate",
    "find_call",
    "find_spans",
    "grammar_for",
    "offers",
    "parse_call",
    "parse_quantity",
    "suite_of",
    "tool_schema",
    "verify",
]
