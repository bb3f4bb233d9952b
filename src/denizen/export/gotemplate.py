"""Go's text/template as far as chat templates use it, so that a Modelfile can be proven here.

Contract: `parse(text)` gives a `Template` whose `render(system, messages)` equals what Ollama makes
of it.  Known: text with trim markers, comments, fields, variables, range with else, if with else
if, string, number and boolean literals, parentheses, and eq ne lt le gt ge and or not len slice.
Anything else is refused (TemplateError): a guess would be a false proof.  The tests hold what
Go 1.27 itself rendered.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from denizen.project.errors import TemplateError

_ACTION = re.compile(r"\{\{(-(?=\s))?(.*?)((?<=\s)-)?\}\}", re.S)
_TOKEN = re.compile(
    r'\s*("(?:[^"\\]|\\.)*"|`[^`]*`|-?\d+|:=|=|[(),]|\$?\w*(?:\.\w+)+|\$\w*|\.|\w+)', re.S
)
_SPACE = " \t\r\n"
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}
_WORDS = frozenset((*_COMPARE, "eq", "and", "or", "not", "len", "slice"))


@dataclass
class _Scope:
    """Where a name is looked up: `.`, `$`, and the variables of the enclosing blocks."""

    dot: Any
    root: Mapping[str, Any]
    variables: list[dict[str, Any]] = field(default_factory=lambda: [{}])

    def inner(self, dot: Any) -> _Scope:
        return _Scope(dot, self.root, [*self.variables, {}])

    def lookup(self, name: str) -> Any:
        for variables in reversed(self.variables):
            if name in variables:
                return variables[name]
        raise _refused(f"the variable {name} is not set")

    def assign(self, name: str, value: Any) -> None:
        for variables in reversed(self.variables):
            if name in variables:
                variables[name] = value
                return
        raise _refused(f"the variable {name} is not set")


_Value = Callable[[_Scope], Any]
_Node = Callable[[_Scope], str]


@dataclass(frozen=True)
class Template:
    """A parsed template."""

    text: str
    nodes: tuple[_Node, ...]

    def render(self, system: str, messages: Sequence[Mapping[str, str]]) -> str:
        """The prompt for messages with the keys "role" and "content"; `system` is `.System`."""
        turns = [{"Role": m["role"], "Content": m["content"]} for m in messages]
        root = {"System": system, "Messages": turns}
        return _run(self.nodes, _Scope(root, root))


def parse(text: str) -> Template:
    """Raises TemplateError for a construct that is not known here."""
    pieces = _pieces(text)
    nodes, stop = _block(pieces, ())
    assert not stop
    return Template(text, nodes)


def _run(nodes: Sequence[_Node], scope: _Scope) -> str:
    return "".join(node(scope) for node in nodes)


def _pieces(text: str) -> list[tuple[bool, str]]:
    """(is an action, text) in reverse order; trim markers are applied, comments left out."""
    pieces, at, trim = [], 0, False
    for found in _ACTION.finditer(text):
        before = text[at : found.start()]
        before = before.lstrip(_SPACE) if trim else before
        pieces.append((False, before.rstrip(_SPACE) if found[1] else before))
        body, at, trim = found[2].strip(_SPACE), found.end(), bool(found[3])
        if not (body.startswith("/*") and body.endswith("*/")):
            pieces.append((True, body))
    rest = text[at:]
    pieces.append((False, rest.lstrip(_SPACE) if trim else rest))
    if any("{{" in piece for action, piece in pieces if not action):
        raise _refused("an action is not closed")
    return pieces[::-1]


def _block(pieces: list[tuple[bool, str]], ends: tuple[str, ...]) -> tuple[tuple[_Node, ...], str]:
    """Nodes up to the action that ends the block, and that action."""
    nodes: list[_Node] = []
    while pieces:
        action, body = pieces.pop()
        word = (body.split(None, 1) or [""])[0]
        if not action:
            if body:
                nodes.append(lambda _, body=body: body)  # type: ignore[misc]
        elif word in ends:
            return tuple(nodes), body
        elif word == "if":
            nodes.append(_if(body[2:], pieces))
        elif word == "range":
            nodes.append(_range(body[5:], pieces))
        else:
            nodes.append(_statement(body))
    if ends:
        raise _refused("a block has no end")
    return tuple(nodes), ""


def _if(condition: str, pieces: list[tuple[bool, str]]) -> _Node:
    test = _expression(condition)
    body, stop = _block(pieces, ("else", "end"))
    other: tuple[_Node, ...] = ()
    if stop.split()[0] == "else":
        rest = stop[4:].strip()
        if rest.startswith("if"):
            other = (_if(rest[2:], pieces),)
        else:
            other, _ = _block(pieces, ("end",))
    return lambda scope: _run(body if test(scope) else other, scope.inner(scope.dot))


def _range(header: str, pieces: list[tuple[bool, str]]) -> _Node:
    names: list[str] = []
    if ":=" in header:
        left, header = header.split(":=", 1)
        names = [name.strip() for name in left.split(",")]
        if len(names) > 2 or not all(re.fullmatch(r"\$\w+", name) for name in names):
            raise _refused(f"range over {left.strip()!r}")
    over = _expression(header)
    body, stop = _block(pieces, ("else", "end"))
    other: tuple[_Node, ...] = ()
    if stop.split()[0] == "else":
        other, _ = _block(pieces, ("end",))

    def node(scope: _Scope) -> str:
        values, out = over(scope), []
        for index, value in enumerate(values):
            inner = scope.inner(value)
            # One name is the element, two are index and element.
            inner.variables[-1].update(zip(names[::-1], (value, index), strict=False))
            out.append(_run(body, inner))
        return "".join(out) if values else _run(other, scope.inner(scope.dot))

    return node


def _statement(body: str) -> _Node:
    found = re.fullmatch(r"(\$\w+)\s*(:=|=)\s*(.*)", body, re.S)
    if found is None:
        value = _expression(body)
        return lambda scope: _shown(value(scope))
    name, sign, value = found[1], found[2], _expression(found[3])

    def node(scope: _Scope) -> str:
        if sign == ":=":
            scope.variables[-1][name] = value(scope)
        else:
            scope.assign(name, value(scope))
        return ""

    return node


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int):
        return str(value)
    raise _refused("only text and numbers are written out")


def _expression(text: str) -> _Value:
    tokens, at = [], 0
    text = text.strip(_SPACE)
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise _refused(f"{text[at:]!r}")
        tokens.append(found[1])
        at = found.end()
    value = _command(tokens)
    if tokens:
        raise _refused(f"{text!r}")
    return value


def _command(tokens: list[str]) -> _Value:
    """One call or operand, up to a closing parenthesis; takes its tokens from the front."""
    if not tokens:
        raise _refused("an empty action")
    if tokens[0] not in _WORDS:
        return _operand(tokens)
    name, arguments = tokens.pop(0), []
    while tokens and tokens[0] != ")":
        arguments.append(_operand(tokens))
    least = {"not": 1, "len": 1, "slice": 1, "and": 1, "or": 1}.get(name, 2)
    most = {"not": 1, "len": 1, "slice": 3, "and": 99, "or": 99, "eq": 99}.get(name, 2)
    if not least <= len(arguments) <= most:
        raise _refused(f"{name} with {len(arguments)} arguments")
    return lambda scope: _call(name, arguments, scope)


def _call(name: str, arguments: Sequence[_Value], scope: _Scope) -> Any:
    if name in ("and", "or"):
        value = None
        for argument in arguments:  # later arguments are not evaluated, as in Go
            value = argument(scope)
            if bool(value) is (name == "or"):
                break
        return value
    values = [argument(scope) for argument in arguments]
    if name == "not":
        return not values[0]
    if name == "len":
        return len(values[0].encode()) if isinstance(values[0], str) else len(values[0])
    if name == "slice":
        low, high = [*values[1:], *(0, len(values[0]))[len(values) - 1 :]][:2]
        if isinstance(values[0], str) or not 0 <= low <= high <= len(values[0]):
            raise _refused("a slice out of range, or of text")
        return values[0][low:high]
    if any(type(value) is not type(values[0]) for value in values):
        raise _refused(f"{name} of different types")
    if name == "eq":
        return any(values[0] == value for value in values[1:])
    return _COMPARE[name](values[0], values[1])


def _operand(tokens: list[str]) -> _Value:
    token = tokens.pop(0)
    if token == "(":
        value = _command(tokens)
        if not tokens or tokens.pop(0) != ")":
            raise _refused("a parenthesis is not closed")
        return value
    constant: Any = None
    if token[0] == "`":
        constant = token[1:-1]
    elif token[0] == '"':
        try:
            constant = json.loads(token)
        except ValueError as error:
            raise _refused(f"the text {token}") from error
    elif token in ("true", "false"):
        constant = token == "true"
    elif re.fullmatch(r"-?\d+", token):
        constant = int(token)
    if constant is not None:
        return lambda _: constant
    if token[0] not in "$.":
        raise _refused(f"{token!r}")
    name, *fields = token.split(".")
    if token == ".":
        fields = []

    def read(scope: _Scope) -> Any:
        value = scope.dot if not name else scope.root if name == "$" else scope.lookup(name)
        for key in fields:
            if not isinstance(value, Mapping) or key not in value:
                raise _refused(f"there is no .{key}")
            value = value[key]
        return value

    return read


def _refused(what: str) -> TemplateError:
    return TemplateError(
        f"the Modelfile's template cannot be proven: {what}",
        fix="use only the constructs that export/gotemplate.py names",
    )
