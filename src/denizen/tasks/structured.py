"""Answers that are an object of a fixed schema: read, normalised, compared, and offered as grammar.

Contract: `Schema.parse` reads exactly one JSON object out of a text and gives canonical values, or
raises SchemaError naming the field; two objects are the same when their canonical values are (an
address in any case, a percentage as 0.5% or 50 bps, words in any order where order means nothing).
The grammar lets spans of the question alone stand where a schema asks for a quantity.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from denizen.tasks.gbnf import literal
from denizen.tasks.quantities import Kind, QuantityError, parse_quantity, spans_by_kind

FieldKind = Literal[
    "choice", "choices", "text", "date", "integer", "integers", "quantity", "address", "share"
]
MAX_ANSWER = 20_000
MAX_TEXT = 300
_FENCE = re.compile(r"```(?:json)?\s*(.*?)```", re.DOTALL)
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")


class SchemaError(ValueError):
    """An answer that is not an object of the schema; the message names the field."""


@dataclass(frozen=True)
class Field:
    """One field.  `options` for choices, `of` the quantity kind, `optional` if null is allowed."""

    name: str
    doc: str
    kind: FieldKind
    options: tuple[str, ...] = ()
    of: Kind = "amount"
    optional: bool = False


@dataclass(frozen=True)
class Schema:
    """A flat object with fields in a fixed order."""

    name: str
    doc: str
    fields: tuple[Field, ...]

    def json_schema(self) -> dict[str, Any]:
        """JSON Schema of the object: every field required, nothing else allowed."""
        return {
            "title": self.name,
            "description": self.doc,
            "type": "object",
            "properties": {f.name: _json_type(f) for f in self.fields},
            "required": [f.name for f in self.fields],
            "additionalProperties": False,
        }

    def dump(self, values: Mapping[str, Any]) -> str:
        """Compact JSON in field order."""
        return json.dumps({f.name: values[f.name] for f in self.fields}, ensure_ascii=False)

    def parse(self, text: str) -> dict[str, Any]:
        """Canonical values by field; raises SchemaError."""
        loaded = _one_object(text)
        known = {f.name for f in self.fields}
        if unknown := set(loaded) - known:
            raise SchemaError(f"no field {sorted(unknown)[0]!r} in {self.name}")
        values = {}
        for field in self.fields:
            if field.name not in loaded:
                raise SchemaError(f"{field.name} is missing")
            try:
                values[field.name] = _canonical(field, loaded[field.name])
            except (QuantityError, InvalidOperation, TypeError, ValueError) as error:
                raise SchemaError(f"{field.name}: {error}") from error
        return values

    def difference(self, gold: Mapping[str, Any], got: Mapping[str, Any]) -> str | None:
        """The first field in which two canonical objects differ, told; None if none does."""
        for field in self.fields:
            a, b = gold[field.name], got[field.name]
            if field.kind == "share" and a is not None and b is not None:
                if abs(a - b) <= Decimal("0.05"):
                    continue
            elif a == b:
                continue
            return f"{field.name} is {a!s}, not {b!s}"
        return None

    def offers(self, question: str, gold: str) -> bool:
        """Whether every quantity of a gold object stands in the question as written."""
        loaded, spans = json.loads(gold), spans_by_kind(question)
        quantities = {
            f.name: "address" if f.kind == "address" else f.of
            for f in self.fields
            if f.kind in ("quantity", "address")
        }
        return all(
            loaded[name] is None or loaded[name] in spans.get(kind, ())
            for name, kind in quantities.items()
        )

    def grammar(self, question: str, root: str) -> list[str]:
        """GBNF rules whose first one, `root`, is the object; empty if a quantity has no span."""
        spans = spans_by_kind(question)
        parts = []
        for number, field in enumerate(self.fields):
            rule = _rule(field, spans)
            if rule is None:
                return []
            lead = ("{" if number == 0 else ", ") + f'"{field.name}": '
            parts.append(f"{literal(lead)} ({rule})")
        return [f'{root} ::= {" ".join(parts)} "}}"', *_SHARED]


_SHARED = (
    r'jsontext ::= "\"" jsonchar{1,160} "\""',
    r'jsonchar ::= [^"\\\n]',
    r'jsondate ::= "\"" [0-9]{4} "-" [0-9]{2} "-" [0-9]{2} "\""',
    r"jsonint ::= [0-9]{1,9}",
    r'jsonints ::= "[" (jsonint (", " jsonint){0,11})? "]"',
)


def _one_object(text: str) -> dict[str, Any]:
    if len(text) > MAX_ANSWER:
        raise SchemaError(f"an answer of {len(text)} characters is longer than {MAX_ANSWER}")
    fenced = _FENCE.findall(text)
    body = fenced[-1] if fenced else text
    start, end = body.find("{"), body.rfind("}")
    if start < 0 or end < start:
        raise SchemaError("there is no JSON object in the answer")
    try:
        loaded = json.loads(
            body[start : end + 1], object_pairs_hook=_no_repeats, parse_constant=_refuse
        )
    except RecursionError as error:
        raise SchemaError("not valid JSON: nested too deeply") from error
    except json.JSONDecodeError as error:
        raise SchemaError(f"not valid JSON: {error}") from error
    if not isinstance(loaded, dict):
        raise SchemaError("the answer is not a JSON object")
    return loaded


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise SchemaError("a field occurs twice")
    return dict(pairs)


def _refuse(constant: str) -> Any:
    raise SchemaError(f"{constant} is not a figure")


def _word(text: Any) -> str:
    if not isinstance(text, str):
        raise TypeError(f"expected text, got {text!r}")
    return re.sub(r"[\s_-]+", " ", text).strip().casefold()


def _choice(field: Field, value: Any) -> str:
    by_word = {_word(option): option for option in field.options}
    if (found := by_word.get(_word(value))) is None:
        raise ValueError(f"{value!r} is none of {', '.join(field.options)}")
    return found


def _canonical(field: Field, value: Any) -> Any:
    """The one form in which equal values are equal."""
    if value is None:
        if field.optional:
            return None
        raise ValueError("must not be null")
    if isinstance(value, bool):
        raise TypeError("expected no truth value")
    match field.kind:
        case "choice":
            return _choice(field, value)
        case "choices":
            if not isinstance(value, list):
                raise TypeError("expected a list")
            return tuple(sorted({_choice(field, one) for one in value}))
        case "text":
            return _text(value)
        case "date":
            return date.fromisoformat(value).isoformat()
        case "integer":
            return _integer(value)
        case "integers":
            if not isinstance(value, list):
                raise TypeError("expected a list")
            return tuple(sorted({_integer(one) for one in value}))
        case "address":
            if not isinstance(value, str) or not _ADDRESS.fullmatch(value.strip()):
                raise ValueError("an address is 0x and 40 hex digits")
            return value.strip().lower()
        case "share":
            share = Decimal(str(value).strip())
            if not 0 <= share <= 1:
                raise ValueError("lies between 0 and 1")
            return share
        case "quantity":
            quantity = parse_quantity(str(value))
            if field.of not in quantity.kinds:
                raise ValueError(f"{value!r} is not of kind {field.of}")
            return (quantity.value.normalize(), quantity.unit, quantity.per)


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise ValueError(f"expected a text of at most {MAX_TEXT} characters")
    return " ".join(value.split()).strip(" .\"'`").casefold()


def _integer(value: Any) -> int:
    text = str(value).strip().replace(",", "")
    if not re.fullmatch(r"-?\d{1,78}", text):
        raise ValueError(f"{value!r} is not an integer")
    return int(text)


def _json_type(field: Field) -> dict[str, Any]:
    kinds: dict[FieldKind, dict[str, Any]] = {
        "choice": {"type": "string", "enum": list(field.options)},
        "choices": {
            "type": "array",
            "items": {"type": "string", "enum": list(field.options)},
            "uniqueItems": True,
        },
        "text": {"type": "string", "maxLength": MAX_TEXT},
        "date": {"type": "string", "format": "date"},
        "integer": {"type": "integer"},
        "integers": {"type": "array", "items": {"type": "integer"}, "uniqueItems": True},
        "address": {"type": "string", "pattern": "^0x[0-9a-fA-F]{40}$"},
        "share": {"type": "number", "minimum": 0, "maximum": 1},
        "quantity": {"type": "string", "description": f"a quantity of kind {field.of}"},
    }
    schema = kinds[field.kind]
    if field.optional:
        schema = {"anyOf": [schema, {"type": "null"}]}
    return {**schema, "description": field.doc}


def _rule(field: Field, spans: Mapping[Any, Sequence[str]]) -> str | None:
    """The GBNF right-hand side of one field's value."""
    if field.kind == "choice":
        rule: str | None = _any(f'"{option}"' for option in field.options)
    elif field.kind == "choices":
        one = _any(f'"{option}"' for option in field.options)
        rule = f'"[" (({one}) (", " ({one})){{0,{len(field.options) - 1}}})? "]"'
    elif field.kind == "share":
        rule = _any(str(n / 20) for n in range(21))
    elif field.kind in ("quantity", "address"):
        found = spans.get(field.of if field.kind == "quantity" else "address", ())
        rule = _any(f'"{span}"' for span in dict.fromkeys(found)) if found else None
    else:
        rule = {
            "text": "jsontext",
            "date": "jsondate",
            "integer": "jsonint",
            "integers": "jsonints",
        }[field.kind]
    if field.optional:
        return f'{rule} | "null"' if rule else '"null"'
    return rule


def _any(texts: Any) -> str:
    return " | ".join(literal(text) for text in texts)
