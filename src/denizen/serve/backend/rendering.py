"""Turns to token ids by the GGUF's own chat template, with everything a caller wrote kept inert.

Contract: for a plain conversation the ids are the trainer's (a test compares them).  Text that is
spelt like a control token inside a turn, a tool or a name is tokenised as text, so it can neither
open nor close a turn.  The template is data of the file: it runs in jinja2's sandbox, and what it
refuses is a Fault.  A template without tools gets them described in plain words (`tools`).
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from denizen.serve.backend.tools import HERMES, Dialect, dialect_of, in_plain_words
from denizen.serve.exchange import Fault, Turn

if TYPE_CHECKING:
    from denizen.models.llama_context import Context

Tools = Sequence[Mapping[str, Any]]
# tokenize(text, special) -> ids; `special`: control tokens in the text are parsed
Tokenize = Callable[[str, bool], list[int]]
# transformers' tag around what an assistant wrote, of no meaning here
_GENERATION = re.compile(r"\{%-?\s*(?:end)?generation\s*-?%\}")
_PROBE = "denizen_probe"


@dataclass(frozen=True)
class Special:
    """Texts that are tokens of their own when special tokens are parsed, and two to be written."""

    texts: tuple[str, ...] = ()
    bos: str = ""
    eos: str = ""


class Rendering:
    """One GGUF's template and tokenizer."""

    def __init__(self, template: str, special: Special, tokenize: Tokenize) -> None:
        self._source, self._special, self._tokenize = template, special, tokenize
        spelt = sorted(filter(None, special.texts), key=len, reverse=True)
        self._control = re.compile("|".join(map(re.escape, spelt)) or r"(?!)")

    @classmethod
    def of(cls, gguf: Path, context: Context) -> Rendering:
        """The rendering of a loaded file; raises ArtefactError if its header cannot be read."""
        from denizen.export.gguf_header import read_header
        from denizen.models.gguf_vocabulary import read_vocabulary

        header, tokens = read_header(gguf), read_vocabulary(gguf).tokens

        def text(key: str) -> str:
            token = header.get(f"tokenizer.ggml.{key}")
            return tokens[token].decode("utf-8", "replace") if token is not None else ""

        return cls(
            str(header.get("tokenizer.chat_template", "")),
            Special(tuple(context.special_tokens()), text("bos_token_id"), text("eos_token_id")),
            lambda piece, special: context.tokenize(piece, special=special),
        )

    def ids(self, turns: Sequence[Turn], tools: Tools = ()) -> list[int]:
        """Token ids up to where the assistant begins to write. Raises Fault."""
        messages, offered = self._arranged(turns, tools)
        inert = _Inert(self._control)
        text = self._render(inert.of(messages), inert.of(offered))
        if not inert.taken:
            return self._tokenize(text, True)
        ids: list[int] = []
        for number, piece in enumerate(inert.split(text)):
            if piece:
                ids += self._tokenize(piece, number % 2 == 0)
        return ids

    def text(self, turns: Sequence[Turn], tools: Tools = ()) -> str:
        """What the template makes of the turns, to be read by people. Raises Fault."""
        return self._render(*self._arranged(turns, tools))

    @cached_property
    def dialect(self) -> Dialect:
        """How this model writes a tool call."""
        return dialect_of(self._source) if self._shows_tools else HERMES

    def _arranged(self, turns: Sequence[Turn], tools: Tools) -> tuple[list[Any], list[Any]]:
        told = any(turn.tool_calls or turn.role == "tool" for turn in turns)
        if (tools or told) and not self._shows_tools:
            turns, tools = in_plain_words(turns, tools), ()
        return [_message(turn) for turn in turns], [dict(tool) for tool in tools]

    @cached_property
    def _shows_tools(self) -> bool:
        """Whether the template writes definitions, calls and results of tools."""
        function = {"name": f"{_PROBE}_a", "description": "d", "parameters": {"type": "object"}}
        called = {"name": f"{_PROBE}_b", "arguments": {"x": f"{_PROBE}_c"}}
        call = {"id": "abcdefghi", "type": "function", "function": called}
        messages = [
            {"role": "user", "content": "u"},
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "content": f"{_PROBE}_d", "tool_call_id": "abcdefghi", "name": "n"},
        ]
        try:
            text = self._render(messages, [{"type": "function", "function": function}])
        except Fault:
            return False
        return all(f"{_PROBE}_{part}" in text for part in "abcd")

    def _render(self, messages: Any, tools: Any) -> str:
        if not self._source:
            raise Fault(
                400, "this model has no chat template: use the completions interface", param="model"
            )
        try:
            rendered: str = self._template.render(
                messages=messages,
                tools=tools or None,
                add_generation_prompt=True,
                bos_token=self._special.bos,
                eos_token=self._special.eos,
            )
        except Exception as error:  # a program of the file's: it may fail in any way
            raise Fault(
                400,
                f"the model's chat template refuses this conversation: {error}"[:300],
                code="template_refused",
                param="messages",
            ) from error
        return rendered

    @cached_property
    def _template(self) -> Any:
        from jinja2.ext import loopcontrols
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
        )
        environment.filters["tojson"] = _to_json
        environment.globals["raise_exception"] = _refuse
        environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
        return environment.from_string(_GENERATION.sub("", self._source))


class _Inert:
    """Stands a marker in for each control token that a caller spelt, to be put back as text."""

    def __init__(self, control: re.Pattern[str]) -> None:
        self._control, self.taken = control, list[str]()
        self._mark = f"\ue000{secrets.token_hex(6)}\ue001"

    def of(self, value: Any) -> Any:
        """The value with every string in it made inert."""
        if isinstance(value, str):
            return self._control.sub(self._take, value)
        if isinstance(value, Mapping):
            return {self.of(key): self.of(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.of(inner) for inner in value]
        return value

    def _take(self, match: re.Match[str]) -> str:
        self.taken.append(match[0])
        return f"{self._mark}{len(self.taken) - 1}\ue002"

    def split(self, text: str) -> list[str]:
        """Pieces of the template and of callers in turn; the odd ones are spelt-out tokens."""
        pieces = re.split(re.escape(self._mark) + r"(\d+)\ue002", text)
        return [self.taken[int(p)] if n % 2 else p for n, p in enumerate(pieces)]


def _message(turn: Turn) -> dict[str, Any]:
    role = "system" if turn.role == "developer" else turn.role
    message: dict[str, Any] = {"role": role, "content": turn.content}
    if turn.tool_calls:
        message["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": _parsed(call.arguments)},
            }
            for call in turn.tool_calls
        ]
    if turn.tool_call_id:
        message["tool_call_id"] = turn.tool_call_id
    if turn.name:
        message["name"] = turn.name
    return message


def _parsed(arguments: str) -> Any:
    """Templates expect an object; what is none is shown as it was written."""
    try:
        value = json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments
    return value if isinstance(value, dict) else arguments


def _to_json(value: Any, ensure_ascii: bool = False, indent: int | None = None, **_: Any) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent)


def _refuse(message: str) -> None:
    from jinja2.exceptions import TemplateError as JinjaError

    raise JinjaError(message)
