"""What of questions and answers may be kept: nothing, redacted text, or all of it but secrets.

Contract: a Policy is applied to every attribute and text before it reaches the store, whoever sent
it. `none` drops what is content by name, and texts of more than one word under names that are not
known for labels; `redacted` sends every string through `redact`; `full` keeps text but masks keys.
Attributes that are named like credentials are dropped always. A `redact` that fails drops the text:
never the other way round. Texts are bounded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from denizen.serve.exchange import Turn
from denizen.serve.traces import names
from denizen.serve.traces.spans import Attributes, Content

LONGEST = 65_536  # characters of one text
_LABEL = 256  # characters a string may have without being content
_SHORT = 40
_WORD = re.compile(r"[\w./:@+=#,;-]{1,256}", re.ASCII)  # an id, a model, a state
_TURNS = 64  # messages of a conversation, the last ones
_DEPTH = 8
_CREDENTIAL = re.compile(
    r"authorization|cookie|passw|secret|credential|bearer|mnemonic|seed.?phrase"
    r"|(api|private|access|signing).?key|(access|auth|refresh|id|session).?token",
    re.IGNORECASE,
)
_KEYS = re.compile(
    r"(?i:\bbearer\s{1,8})[\w.~+/=-]{8,}"
    r"|\b(?:sk|pk|rk|ghp|gho|xox[abp]|dnz)[-_][\w-]{12,}"
    r"|-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]{0,40}KEY-----|\Z)"
    r"|(?i:(?:private|secret|api)[ _-]?key|password)[\"' ]{0,3}"
    r"(?:[:=]|is(?=[\"' ]{1,3}[^\s\"'\d]{0,200}\d))[\"' ]{0,3}[^\s\"']{8,}"
    r"|(?i:seed phrase|mnemonic)\W{0,3}(?:is)?\W{0,3}(?:[a-z]{3,8}[ ,]{1,2}){11,23}[a-z]{3,8}"
)
MASK = "[key withheld]"


def masked(text: str) -> str:
    """Text without what looks like a key, a bearer token, or a spelled-out secret."""
    return _KEYS.sub(MASK, text)


def clean(text: str, longest: int = LONGEST) -> str:
    """Text that UTF-8 can hold, at most `longest` characters."""
    return text[:longest].encode("utf-8", "replace").decode("utf-8")


class Policy:
    """One setting of `traces.content` with the callable that redacts."""

    def __init__(self, content: Content, redact: Callable[[str], str]) -> None:
        self.content: Content = content
        self.redact = redact
        # Models, stages and flags come again and again.
        self._short = lru_cache(512)(redact)
        self.failures = 0

    def text(self, text: str) -> str:
        """A text that is content; empty when none is kept."""
        if self.content == "none" or not text:
            return ""
        text = clean(text)
        if self.content == "redacted":
            try:
                redact = self._short if len(text) <= _SHORT else self.redact
                text = clean(redact(text))
            except Exception:  # whatever it is: not redacted means not kept
                self.failures += 1
                return ""
        return masked(text)

    def label(self, text: str) -> str:
        """A short string that is kept in any case: a name, a state."""
        text = clean(text, _LABEL)
        if self.content == "redacted":
            return clean(self.text(text), _LABEL)
        return masked(text)

    def word(self, text: str) -> str:
        """A name that a caller chose: where no content is kept, only if it cannot be any."""
        return "" if self.content == "none" and not _WORD.fullmatch(text) else self.label(text)

    def attributes(self, attributes: Attributes) -> dict[str, Any]:
        """What of them may be kept."""
        kept = {}
        for key, value in attributes.items():
            if _CREDENTIAL.search(key):
                continue
            found = self._value(value, is_content(key), key in names.LABELS, 0)
            if found is not None:
                kept[clean(key, _LABEL)] = found
        return kept

    def _value(self, value: Any, content: bool, label: bool, depth: int) -> Any:
        if isinstance(value, str):
            if self.content == "none":
                if content or len(value) > _LABEL:
                    return None
                return self.label(value) if label else self.word(value) or None
            return self._json(value, depth) if content else self.text(value)
        if isinstance(value, bytes):
            return None if self.content != "full" else value[:LONGEST]
        if isinstance(value, bool | int | float):
            return None if content and self.content == "none" else value
        if depth >= _DEPTH:
            return None
        if isinstance(value, Mapping):
            if content and self.content == "none":
                return None
            inner: dict[str, Any] = {}
            for key, one in value.items():
                # A key may be an address, or a question: it is looked at as a value is.
                name = self.word(str(key))
                found = self._value(one, content or is_content(str(key)), label, depth + 1)
                if name and found is not None and not _CREDENTIAL.search(str(key)):
                    while name in inner:
                        name += "'"
                    inner[name] = found
            return inner
        if isinstance(value, list | tuple):
            items = [self._value(one, content, label, depth + 1) for one in value]
            return [one for one in items if one is not None] if items else None
        return None

    def _json(self, text: str, depth: int) -> str:
        """Redacted inside when it is JSON: cutting the text could break its structure."""
        if text[:1] not in "[{" or len(text) > LONGEST:
            return self.text(text)
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return self.text(text)
        return json.dumps(self._value(value, True, False, depth), ensure_ascii=False)

    def messages(self, turns: tuple[Turn, ...]) -> str:
        """A conversation as the GenAI conventions have it, in JSON; empty when none is kept."""
        if self.content == "none" or not turns:
            return ""
        return json.dumps([self._message(turn) for turn in turns[-_TURNS:]], ensure_ascii=False)

    def _message(self, turn: Turn) -> dict[str, Any]:
        parts: list[dict[str, Any]] = []
        if turn.role == "tool":
            parts.append(
                {
                    "type": "tool_call_response",
                    "id": self.label(turn.tool_call_id),
                    "response": self.text(turn.content),
                }
            )
        elif turn.content:
            parts.append({"type": "text", "content": self.text(turn.content)})
        for call in turn.tool_calls:
            parts.append(
                {
                    "type": "tool_call",
                    "id": self.label(call.id),
                    "name": self.label(call.name),
                    "arguments": self._arguments(call.arguments),
                }
            )
        return {"role": turn.role, "parts": parts}

    def _arguments(self, text: str) -> Any:
        """An object, as the conventions have it; what is none stays text."""
        try:
            value = json.loads(text) if len(text) <= LONGEST else None
        except (ValueError, RecursionError):
            value = None
        return self._value(value, True, False, 0) if isinstance(value, dict) else self.text(text)


def is_content(key: str) -> bool:
    """Whether an attribute of this name holds what somebody wrote."""
    if key in names.CONTENT:
        return True
    # `gen_ai.prompt.0.content`: the name goes on after one that is content.
    stem = key
    while "." in stem:
        stem = stem.rpartition(".")[0]
        if stem in names.CONTENT:
            return True
    return False
