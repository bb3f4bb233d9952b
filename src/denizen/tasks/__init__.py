"""Task families over the exact engine: generate, verify, validate; and the calculator they use."""

from denizen.tasks.calculator import Call, catalogue, evaluate, find_call, parse_call
from denizen.tasks.catalogue import Parameter, Result, Tool, ToolError, describe
from denizen.tasks.families import FAMILIES
from denizen.tasks.grammar import grammar_for, offers
from denizen.tasks.prompting import catalogue_prompt
from denizen.tasks.quantities import Quantity, QuantityError, find_spans, parse_quantity
from denizen.tasks.types import Family, Item, Split, Verdict
from denizen.tasks.verify import verify

__all__ = [
    "FAMILIES",
    "Call",
    "Family",
    "Item",
    "Parameter",
    "Quantity",
    "QuantityError",
    "Result",
    "Split",
    "Tool",
    "ToolError",
    "Verdict",
    "catalogue",
    "catalogue_prompt",
    "describe",
    "evaluate",
    "find_call",
    "find_spans",
    "grammar_for",
    "offers",
    "parse_call",
    "parse_quantity",
    "verify",
]
