"""Answers that must be JSON: checked by the jsonschema library after the grammar.

Contract: `faults(value, schema)` tells in a few lines what a value breaks; what is no schema, or
one that this server does not take, is a Fault 400.  `hidden` holds the strings of a JSON text to
the output's rules, as a reader of the JSON gets them: judge a text by its format after that.
References are resolved inside the schema alone: nothing is fetched.  A client's schema and its
patterns are checked under a time limit: references inside a small schema can ask for more steps
than there is time.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from functools import cache
from typing import Any

from denizen.serve.answering.ports import Checked
from denizen.serve.exchange import Fault, Format

MAX_SCHEMA = 100_000
MAX_FAULTS = 3
PATTERN_SECONDS = 0.2
CHECK_SECONDS = 0.5
_UNTIL: ContextVar[float] = ContextVar("denizen_schema_until", default=math.inf)
# Printable ASCII that JSON need not escape: nobody honest does.
_ESCAPED = re.compile(r"\\u00([2-7][0-9a-fA-F])")
_REPAIR = "That was not valid: {fault}. Answer again with the corrected JSON alone."


class _Slow(Exception):
    """The time for a check is over."""


def check_format(asked: Format) -> None:
    """Refuse a schema that cannot be honoured; raises Fault 400."""
    if asked.kind != "json_schema":
        return
    if not isinstance(asked.schema, Mapping):
        raise _refused("json_schema needs a schema")
    try:
        text = json.dumps(asked.schema)
    except (TypeError, ValueError, RecursionError) as error:
        raise _refused(f"the schema is not JSON: {type(error).__name__}") from error
    if len(text) > MAX_SCHEMA:
        raise _refused(f"the schema is longer than {MAX_SCHEMA} characters")
    if '"patternProperties"' in text:
        raise _refused("patternProperties is not supported")
    # What those leave over is looked for along every reference, where no time is kept.
    if '"unevaluated' in text and '"dependentSchemas"' in text:
        raise _refused("dependentSchemas is not supported with unevaluatedProperties")
    from jsonschema import Draft202012Validator, SchemaError

    try:
        Draft202012Validator.check_schema(dict(asked.schema))
    except SchemaError as error:
        raise _refused(f"not a JSON Schema: {error.message[:200]}") from error
    except RecursionError as error:
        raise _refused("the schema is nested too deeply") from error


def broken(text: str, asked: Format) -> str | None:
    """What is wrong with an answer's text under its format; None if nothing is."""
    if asked.kind == "text":
        return None
    try:
        value = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        return f"not valid JSON ({str(error)[:120]})"
    if asked.kind == "json_object" or asked.schema is None:
        return None if isinstance(value, dict) else "not a JSON object"
    found = faults(value, asked.schema)
    return "; ".join(found) if found else None


def faults(value: Any, schema: Mapping[str, Any]) -> list[str]:
    """The first few things in which a value breaks a schema; empty if it keeps it."""
    from jsonschema import FormatChecker
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    validator = _validator()(
        dict(schema), registry=Registry(), format_checker=FormatChecker(formats=("date",))
    )
    clock = _UNTIL.set(time.monotonic() + CHECK_SECONDS)
    try:
        found = []
        for error in validator.iter_errors(value):
            place = "/".join(map(str, error.absolute_path)) or "the answer"
            found.append(f"{place}: {error.message[:160]}")
            if len(found) == MAX_FAULTS:
                break
        return found
    except _Slow as error:
        raise _refused("it takes too long to check an answer against the schema") from error
    except (Unresolvable, RecursionError) as error:
        raise _refused(f"the schema refers to what it does not hold: {str(error)[:120]}") from error
    finally:
        _UNTIL.reset(clock)


def hidden(text: str, check: Callable[[str], Checked]) -> tuple[str, tuple[str, ...]]:
    """A JSON text without what must not be shown, and the flags that say so.

    Looked at as it is written and as it is read: escapes are undone, and what is split over several
    strings is found as well. What cannot be hidden string by string leaves an empty object.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        plain = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text)
        found = check(plain)
        return (found.text, found.flags) if found.flags else (text, ())
    if not (flags := _found(text, value, check)):
        return text, ()
    text = check(json.dumps(_held(value, check), ensure_ascii=False)).text
    try:
        value = json.loads(text)
    except ValueError:
        return "{}", flags
    return ("{}" if _found(text, value, check) else text), flags


def _found(text: str, value: Any, check: Callable[[str], Checked]) -> tuple[str, ...]:
    names, values = list[str](), list[str]()

    def gather(inner: Any) -> None:
        if isinstance(inner, str):
            values.append(inner)
        elif isinstance(inner, dict):
            names.extend(inner)
        if isinstance(inner, list | dict):
            for one in inner.values() if isinstance(inner, dict) else inner:
                gather(one)

    gather(value)
    looks = (text, "\n".join(names), "\n".join(values))
    return tuple(dict.fromkeys(flag for look in looks if look for flag in check(look).flags))


def _held(value: Any, check: Callable[[str], Checked]) -> Any:
    if isinstance(value, str):
        return check(value).text
    if isinstance(value, list):
        return [_held(inner, check) for inner in value]
    if isinstance(value, dict):
        return {check(name).text: _held(inner, check) for name, inner in value.items()}
    return value


def not_kept(fault: str) -> Fault:
    """The refusal of an answer that does not keep to the response format."""
    return Fault(
        502,
        f"the model did not keep to the response format: {fault}",
        kind="server_error",
        code="schema_not_met",
    )


def repair(fault: str) -> str:
    """What the model is told to try once more."""
    return _REPAIR.format(fault=fault[:400])


@cache
def _validator() -> Any:
    """Draft 2020-12 whose patterns cannot run for ever, and which looks at the clock."""
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    make: Any = extend
    checks: dict[str, Any] = {**Draft202012Validator.VALIDATORS, "pattern": _pattern}
    return make(Draft202012Validator, {name: _timed(check) for name, check in checks.items()})


def _timed(check: Callable[..., Any]) -> Callable[..., Any]:
    def timed(validator: Any, wanted: Any, value: Any, schema: Any) -> Any:
        if time.monotonic() > _UNTIL.get():
            raise _Slow
        return check(validator, wanted, value, schema)

    return timed


def _pattern(validator: Any, pattern: str, value: Any, schema: Any) -> Iterator[Any]:
    import regex
    from jsonschema import ValidationError

    if not isinstance(value, str):
        return
    try:
        if regex.search(pattern, value, timeout=PATTERN_SECONDS) is None:
            yield ValidationError(f"{value[:80]!r} does not match {pattern[:80]!r}")
    except (regex.error, TimeoutError):
        yield ValidationError(f"the pattern {pattern[:80]!r} cannot be checked")


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not a figure")


def _refused(message: str) -> Fault:
    return Fault(400, message, code="invalid_schema", param="response_format")
