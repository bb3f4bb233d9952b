"""Tools, their choice and answer formats of OpenAI's dialect, checked and in one form.

Contract: tools become {"type": "function", "function": {name, description, parameters, strict}};
a choice names a tool that is there; schemas are bounded (`check_schema`).  Fault 400 otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, StringConstraints, Tag

from denizen.serve.api import limits
from denizen.serve.api.parsing import shown
from denizen.serve.api.schemas import check_schema
from denizen.serve.api.shape import Body, shape_of
from denizen.serve.exchange import Fault, Format

FunctionName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_.-]{1,64}$")]
Description = Annotated[str, StringConstraints(max_length=limits.DESCRIPTION)]


class Function(Body):
    """A function a model may call."""

    name: FunctionName
    description: Description | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Tool(Body):
    """A tool; only functions are known."""

    type: Literal["function"]
    function: Function


Tools = Annotated[list[Tool], Field(max_length=limits.TOOLS, fail_fast=True)]


class NamedFunction(Body):
    """The name of a tool."""

    name: FunctionName


class NamedTool(Body):
    """The choice of one tool."""

    type: Literal["function"]
    function: NamedFunction


_CHOICE = "must be 'none', 'auto', 'required' or {'type': 'function', ...}"
ToolChoice = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag("<text>")]
    | Annotated[NamedTool, Tag("<object>")],
    Discriminator(shape_of, custom_error_type="shape", custom_error_message=_CHOICE),
]


class JsonSchema(Body):
    """A schema with its name; `schema` may be any JSON Schema within the limits."""

    name: FunctionName
    description: Description | None = None
    schema_: dict[str, Any] | None = Field(None, alias="schema")
    strict: bool | None = None


class TextFormat(Body):
    """Any text."""

    type: Literal["text"]


class ObjectFormat(Body):
    """Any JSON object."""

    type: Literal["json_object"]


class SchemaFormat(Body):
    """A JSON object of a schema."""

    type: Literal["json_schema"]
    json_schema: JsonSchema


_FORMATS = {"text": "<text>", "json_object": "<any>", "json_schema": "<schema>"}


def format_tag(value: Any) -> str | None:
    """The branch of a format by its type."""
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return _FORMATS.get(kind) if isinstance(kind, str) else None


FORMAT_ERROR = "must be an object whose 'type' is text, json_object or json_schema"
ResponseFormat = Annotated[
    Annotated[TextFormat, Tag("<text>")]
    | Annotated[ObjectFormat, Tag("<any>")]
    | Annotated[SchemaFormat, Tag("<schema>")],
    Discriminator(format_tag, custom_error_type="format", custom_error_message=FORMAT_ERROR),
]


def answer_format(asked: TextFormat | ObjectFormat | SchemaFormat | None) -> Format:
    """The format of an answer; raises Fault 400 for a schema that cannot be taken."""
    if not isinstance(asked, SchemaFormat):
        return Format() if asked is None else Format(asked.type)
    given = asked.json_schema
    return schema_format(
        given.name, given.schema_, given.strict, "response_format.json_schema.schema"
    )


def schema_format(
    name: str, schema: dict[str, Any] | None, strict: bool | None, param: str
) -> Format:
    """A format of a schema; without one it is any JSON object."""
    if schema is None:
        return Format("json_object", name=name)
    check_schema(schema, param)
    return Format("json_schema", schema, name, bool(strict))


def checked_tools(functions: Sequence[Function], param: str) -> tuple[dict[str, Any], ...]:
    """Tools in their one form; raises Fault 400 for names given twice and schemas too large."""
    made, names = [], set()
    for place, function in enumerate(functions):
        if function.name in names:
            where = f"{param}[{place}]"
            message = f"Invalid '{where}': there is already a tool {shown(function.name)}."
            raise Fault(400, message, code="invalid_value", param=where)
        names.add(function.name)
        if function.parameters is not None:
            check_schema(function.parameters, f"{param}[{place}].parameters")
        made.append({"type": "function", "function": function.model_dump(exclude_none=True)})
    return tuple(made)


def checked_choice(choice: str | NamedTool | None, names: Iterable[str]) -> str | dict[str, Any]:
    """Which tool to use; raises Fault 400 for one that was not given."""
    known = set(names)
    if choice is None:
        return "auto"
    if isinstance(choice, str):
        if choice == "required" and not known:
            raise _no_tool("'tool_choice' is 'required', but there are no tools.")
        return choice
    if choice.function.name not in known:
        raise _no_tool(f"'tool_choice' names {shown(choice.function.name)}, which is no tool here.")
    return choice.model_dump()


def _no_tool(message: str) -> Fault:
    return Fault(400, message, code="invalid_value", param="tool_choice")
