"""Tool calls as models write them: told in plain words, found in an answer, forced by a grammar.

Contract: three ways of writing a call are known (Hermes and Qwen's tags, Mistral's list, Llama's
bare object); a call counts only if it names a tool that was offered and its arguments are an
object, else the text is handed on as text.  Definitions come from callers: they are shown to the
model, never executed here.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from denizen.serve.exchange import Fault, ToolCall, Turn

MAX_CALLS = 32
_DECODER = json.JSONDecoder()
_ARGUMENTS = re.compile(r'"(?:arguments|parameters)"\s*:\s*')


@dataclass(frozen=True)
class Dialect:
    """How a call is written: `opening`, an object with name and `arguments`, `closing`.

    Without an opening that is text (Mistral and Llama write a control token, which llama.cpp keeps
    to itself) an answer that begins as JSON is the call.
    """

    opening: str
    closing: str
    arguments: str = "arguments"


HERMES = Dialect("<tool_call>\n", "\n</tool_call>")
MISTRAL = Dialect("", "")
LLAMA = Dialect("", "", arguments="parameters")


def dialect_of(template: str) -> Dialect:
    """The way of writing calls that a chat template shows."""
    if "[TOOL_CALLS]" in template:
        return MISTRAL
    if '"parameters": ' in template and "<tool_call>" not in template:
        return LLAMA
    return HERMES


def in_plain_words(turns: Sequence[Turn], tools: Sequence[Mapping[str, Any]]) -> tuple[Turn, ...]:
    """The same conversation for a template that knows no tools."""
    names = {call.id: call.name for turn in turns for call in turn.tool_calls}
    told: list[Turn] = []
    for turn in turns:
        if turn.tool_calls:
            calls = [
                f'{HERMES.opening}{{"name": {json.dumps(call.name)}, '
                f'"arguments": {call.arguments}}}{HERMES.closing}'
                for call in turn.tool_calls
            ]
            turn = Turn("assistant", "\n".join([*filter(None, [turn.content]), *calls]))
        elif turn.role == "tool":
            name = turn.name or names.get(turn.tool_call_id, "the tool")
            turn = Turn("user", f"Result of {name}:\n{turn.content}")
            if told and told[-1].role == "user":  # templates may want user and assistant in turn
                turn = Turn("user", f"{told.pop().content}\n{turn.content}")
        told.append(turn)
    if not tools:
        return tuple(told)
    lines = [json.dumps(_function(tool), ensure_ascii=False) for tool in tools]
    words = (
        "You may call these tools, one JSON definition a line:\n" + "\n".join(lines) + "\n"
        f'To call one, write {HERMES.opening}{{"name": "...", "arguments": {{...}}}}'
        f"{HERMES.closing} and nothing after it."
    )
    if told and told[0].role in ("system", "developer"):
        return (replace(told[0], content=f"{told[0].content}\n\n{words}"), *told[1:])
    return (Turn("system", words), *told)


def must_call(choice: str | Mapping[str, Any], tools: Sequence[Mapping[str, Any]]) -> list[Any]:
    """The functions of which one must be called; none if the model is free. Raises Fault."""
    functions = [_function(tool) for tool in tools]
    if isinstance(choice, str):
        if choice not in ("auto", "none", "required"):
            raise Fault(400, "tool_choice is auto, none, required or a tool", param="tool_choice")
        if choice == "required" and not functions:
            raise Fault(400, "tool_choice is required, but there are no tools", param="tool_choice")
        return functions if choice == "required" else []
    named = _function(choice).get("name")
    chosen = [one for one in functions if one.get("name") == named]
    if not chosen:
        raise Fault(400, "tool_choice names a tool that is not offered", param="tool_choice")
    return chosen


def call_schema(functions: Sequence[Mapping[str, Any]], dialect: Dialect) -> dict[str, Any]:
    """JSON Schema of one call of one of the functions, as the dialect writes it."""
    kinds = [
        {
            "type": "object",
            "properties": {
                "name": {"const": one["name"]},
                dialect.arguments: one.get("parameters") or {"type": "object"},
            },
            "required": ["name", dialect.arguments],
            "additionalProperties": False,
        }
        for one in functions
    ]
    return kinds[0] if len(kinds) == 1 else {"anyOf": kinds}


class CallReader:
    """Reads an answer as it comes: lets text through, holds back what may be a call."""

    def __init__(self, dialect: Dialect, tools: Sequence[Mapping[str, Any]]) -> None:
        self._dialect = dialect
        self._names = {_function(tool).get("name") for tool in tools}
        self._held, self._calling, self._begun = "", False, False

    def feed(self, text: str) -> str:
        """The part that is certainly text."""
        self._held += text
        if self._calling:
            return ""
        opening = self._dialect.opening.rstrip()
        if not opening:
            return self._whole()
        at = self._held.find(opening)
        if at < 0:
            at = len(self._held) - _overlap(self._held, opening)
        else:
            self._calling = True
        free, self._held = self._held[:at], self._held[at:]
        return free

    def _whole(self) -> str:
        """A bare object is a call from its first character on."""
        if not self._begun and not self._held.strip():
            return ""
        self._calling = not self._begun and self._held.lstrip().startswith(("{", "["))
        self._begun = True
        if self._calling:
            return ""
        free, self._held = self._held, ""
        return free

    def finish(self) -> tuple[str, tuple[ToolCall, ...]]:
        """What was held back: text, or the calls it is."""
        held, self._held = self._held, ""
        calls = self._calls(held) if self._calling else ()
        return ("", calls) if calls else (held, ())

    def _calls(self, text: str) -> tuple[ToolCall, ...]:
        found: list[ToolCall] = []
        at = 0
        while (at := text.find("{", at)) >= 0 and len(found) < MAX_CALLS:
            try:
                value, end = _DECODER.raw_decode(text, at)
            except (ValueError, RecursionError):
                return tuple(found)
            arguments = value.get("arguments", value.get("parameters"))
            name = value.get("name")
            offered = isinstance(name, str) and name in self._names
            if not offered or not isinstance(arguments, dict):
                return ()
            written = _as_written(text[at:end], arguments)
            found.append(ToolCall(f"call_{secrets.token_hex(12)}", name, written))
            at = end
        return tuple(found)


def _as_written(text: str, arguments: dict[str, Any]) -> str:
    """The arguments in the model's own spelling: 0.10 stays 0.10."""
    for match in _ARGUMENTS.finditer(text):
        try:
            value, end = _DECODER.raw_decode(text, match.end())
        except ValueError:
            continue
        if value == arguments:
            return text[match.end() : end]
    return json.dumps(arguments, ensure_ascii=False)


def _overlap(text: str, opening: str) -> int:
    """How many characters at the end of the text may be the beginning of `opening`."""
    longest = min(len(text), len(opening) - 1)
    return next((n for n in range(longest, 0, -1) if text.endswith(opening[:n])), 0)


def _function(tool: Mapping[str, Any]) -> dict[str, Any]:
    """The function of a tool in OpenAI's form, or the tool itself. Raises Fault."""
    function = tool.get("function", tool)
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise Fault(400, "a tool is a function with a name", param="tools")
    return dict(function)
