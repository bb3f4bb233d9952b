"""What an answer must be: a JSON Schema for the server, and a reader that checks what came back.

Contract: `contract_of` takes None (the Analyst's report), a pydantic model or a JSON Schema;
`Contract.read` gives the plain object of a text or raises Invalid with every problem in words, few
and short, so that they can be told to the model.  The schema that is sent is strict in OpenAI's
sense: every field required, none besides, an optional one nullable.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from denizen.project.errors import DenizenError
from denizen.serve.exchange import Fault, Format

if TYPE_CHECKING:
    from pydantic import BaseModel

LONGEST = 200_000  # characters of an answer that are looked at
PROBLEMS = 5  # told to the model, of at most this many characters each:
WORDS = 200


class NodeError(DenizenError):
    """The node cannot work as it was made: no key, no such model, no schema, a missing package."""


class Invalid(ValueError):
    """An answer that is not what was asked for; `problems` says why, most important first."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = tuple(" ".join(p.split())[:WORDS] for p in problems[:PROBLEMS])
        super().__init__("; ".join(self.problems))


@dataclass(frozen=True)
class Contract:
    """A name, the JSON Schema to ask for, and the check of a parsed object."""

    name: str
    schema: Mapping[str, Any]
    check: Callable[[Any], Any]

    def read(self, text: str) -> dict[str, Any]:
        """The object of a text as plain JSON values; raises Invalid."""
        if len(text) > LONGEST:
            raise Invalid([f"an answer of {len(text)} characters is too long"])
        try:
            value = json.loads(text, object_pairs_hook=_once, parse_constant=_refuse)
        except RecursionError:
            raise Invalid(["not valid JSON: nested too deeply"]) from None
        except ValueError as error:
            raise Invalid([f"not valid JSON: {error}"]) from None
        if not isinstance(value, dict):
            raise Invalid(["the answer is not one JSON object"])
        found: dict[str, Any] = self.check(value)
        return found


def contract_of(schema: type[BaseModel] | Mapping[str, Any] | None = None) -> Contract:
    """The contract of a pydantic model, a JSON Schema, or (None) the Analyst's report."""
    if schema is None:
        return _report()
    if isinstance(schema, Mapping):
        return _of_json_schema(schema)
    return _of_model(schema)


def strict(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON Schema as strict mode wants it: all fields required and no others, no defaults."""
    made = {key: _strict_value(key, value) for key, value in schema.items() if key != "default"}
    if isinstance(made.get("properties"), dict):
        made["required"] = list(made["properties"])
        made["additionalProperties"] = False
    return made


def _strict_value(key: str, value: Any) -> Any:
    if key in ("properties", "$defs", "definitions") and isinstance(value, Mapping):
        return {name: strict(one) if isinstance(one, Mapping) else one
                for name, one in value.items()}  # fmt: skip
    if key in ("enum", "const", "required", "examples"):
        return value
    if isinstance(value, Mapping):
        return strict(value)
    if isinstance(value, list):
        return [strict(one) if isinstance(one, Mapping) else one for one in value]
    return value


def _report() -> Contract:
    """The Analyst's report: assessment, risk flags, recommendations with rationale, confidence."""
    from denizen.serve.answering.report import REPORT_SCHEMA

    return _of_json_schema(REPORT_SCHEMA)


def _of_model(model: type[BaseModel]) -> Contract:
    from pydantic import ValidationError

    def check(value: dict[str, Any]) -> dict[str, Any]:
        try:
            found: dict[str, Any] = model.model_validate(value).model_dump(mode="json")
        except ValidationError as error:
            raise Invalid(
                [
                    f"{'.'.join(map(str, one['loc'])) or 'the object'}: {one['msg']}"
                    for one in error.errors(include_url=False, include_input=False)
                ]
            ) from None
        return found

    return Contract(model.__name__, strict(model.model_json_schema()), check)


def _of_json_schema(schema: Mapping[str, Any]) -> Contract:
    from denizen.serve.answering.formats import check_format, faults

    sent = strict(schema)
    name = re.sub(r"[^A-Za-z0-9_-]", "_", str(schema.get("title") or "answer"))[:64]
    try:
        check_format(Format("json_schema", sent, name, strict=True))
    except Fault as fault:
        raise NodeError(fault.message, where="schema", fix="give a JSON Schema") from fault

    def check(value: dict[str, Any]) -> dict[str, Any]:
        if found := faults(value, sent):
            raise Invalid(found)
        return value

    return Contract(name, sent, check)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("a field occurs twice")
    return dict(pairs)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not a figure")
