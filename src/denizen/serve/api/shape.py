"""The common ground of request bodies: strict pydantic models, and errors a client can act on.

Contract: `read(Model, value)` gives the model or raises Fault 400 naming the parameter; unknown
fields are refused with the nearest known name; no value of the client is coerced or echoed.
A model's `refused` says why a known field is not honoured.
"""

from __future__ import annotations

import difflib
import functools
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    WithJsonSchema,
)
from pydantic import ValidationError as _Invalid
from pydantic_core import ErrorDetails, PydanticCustomError

from denizen.serve.api import limits
from denizen.serve.api.parsing import shown
from denizen.serve.exchange import Fault

Text = Annotated[str, StringConstraints(max_length=limits.TEXT)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=limits.NAME)]
Stop = Annotated[str, StringConstraints(min_length=1, max_length=limits.STOP)]


def _false(value: bool) -> bool:
    if value:
        raise PydanticCustomError("no", "should be false")
    return value


# Not Literal[False]: that takes a 0 for it.
No = Annotated[bool, AfterValidator(_false), WithJsonSchema({"type": "boolean", "const": False})]
Ignored = Annotated[Any, Field(description="accepted, without effect here")]


def shape_of(value: Any) -> str | None:
    """The branch of a union of a text and a list, or of a text and an object."""
    if isinstance(value, str):
        return "<text>"
    if isinstance(value, list):
        return "<list>"
    return "<object>" if isinstance(value, (dict, BaseModel)) else None


# Content that is a text, or a list of its parts.
TEXT_OR_PARTS = Discriminator(
    shape_of,
    custom_error_type="shape",
    custom_error_message="must be a string or a list of text parts",
)
SOME_PARTS: Any = Field(min_length=1, max_length=limits.PARTS, fail_fast=True)

Stops = Annotated[
    Annotated[Stop, Tag("<text>")]
    | Annotated[list[Stop], Field(max_length=limits.STOPS), Tag("<list>")],
    Discriminator(
        shape_of,
        custom_error_type="shape",
        custom_error_message="must be a string or a list of strings",
    ),
]


class Body(BaseModel):
    """A request body or a part of one."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
        protected_namespaces=(),
    )
    refused: ClassVar[dict[str, str]] = {}


B = TypeVar("B", bound=Body)


def read(model: type[B], value: dict[str, Any]) -> B:
    """The body as `model`; raises Fault 400 for the first thing wrong with it."""
    try:
        return model.model_validate(value)
    except _Invalid as error:
        found = error.errors(include_url=False, include_input=False)
        # A thing of the wrong type also lacks what the right one has: its type is what is wrong.
        worst = next((e for e in found if e["loc"][-1:] == ("type",)), found[0])
        raise _fault(model, worst) from None


def stops(value: str | list[str] | None) -> tuple[str, ...]:
    """Stop texts as a tuple."""
    return () if value is None else (value,) if isinstance(value, str) else tuple(value)


def folded_seed(seed: int | None) -> int | None:
    """A seed llama.cpp can hold: 32 bits, and never the value that means "at random" there."""
    return None if seed is None else seed % (2**32 - 1)


def _fault(model: type[Body], error: ErrorDetails) -> Fault:
    # Tags of unions stand in the location between the field and its part; no client wrote them.
    where = [part for part in error["loc"] if not str(part).startswith("<")]
    param = "".join(f"[{p}]" if isinstance(p, int) else f".{_short(p)}" for p in where).lstrip(".")
    kind = error["type"]
    if kind == "extra_forbidden":
        guess = _nearest(str(where[-1]), _names(model, nested=len(where) > 1))
        hint = f" Did you mean '{guess}'?" if guess else ""
        message = f"Unknown parameter: {shown(param)}.{hint}"
        return Fault(400, message, code="unknown_parameter", param=param)
    if kind == "missing":
        message = f"Missing required parameter: '{param}'."
        return Fault(400, message, code="missing_required_parameter", param=param)
    if where and (why := model.refused.get(str(where[0]))):
        return Fault(400, f"'{param}': {why}.", code="unsupported_value", param=param)
    said = error["msg"].removeprefix("Input should ").removeprefix("Value error, ")
    said = f"should {said}" if said != error["msg"] and said.startswith("be ") else said
    code = "invalid_type" if kind.endswith("_type") else "invalid_value"
    return Fault(400, f"Invalid '{param or 'body'}': {said}.", code=code, param=param or None)


def _short(part: str) -> str:
    return shown(part)[1:-1]


def _nearest(name: str, names: frozenset[str]) -> str | None:
    close = difflib.get_close_matches(name[:64].lower(), sorted(names), n=1, cutoff=0.6)
    return close[0] if close else None


@functools.cache
def _names(model: type[Body], nested: bool) -> frozenset[str]:
    """The fields of the body, or those of all the parts it is made of."""
    schema = model.model_json_schema()
    if not nested:
        return frozenset(schema["properties"])
    parts = schema.get("$defs", {}).values()
    return frozenset(name for part in parts for name in part.get("properties", {}))
