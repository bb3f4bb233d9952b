"""Secrets and personal data out of a text, each replaced by a numbered placeholder.

Contract: `redact(text)` is what logs and traces get; it changes nothing when it is applied again,
and takes time linear in the text. A `Redactor` remembers what stood where, for a model upstream:
`restore(redact(x)) == x`, but secrets stay hidden unless they are asked for. Equal texts get equal
placeholders. Not caught: numbers spelled in words, secrets cut by spaces or drawn as pictures.
"""

from __future__ import annotations

import re

from denizen.serve.operations.patterns import PERSONAL, RULES, SECRETS

_HIDDEN = "TEXT"  # a whole text, when placeholders kept uncovering new secrets beside them
_PLACEHOLDER = re.compile(rf"\[(?:{'|'.join((*SECRETS, *PERSONAL, _HIDDEN))})_[0-9]{{1,7}}\]")
_PASSES = 8


class Redactor:
    """Placeholders of one conversation. Not for several threads at once."""

    def __init__(self) -> None:
        self._named: dict[tuple[str, str], str] = {}
        self._original: dict[str, tuple[str, str]] = {}
        self._written: set[str] = set()  # placeholders that users wrote themselves
        self._counts: dict[str, int] = {}

    def reserve(self, text: str) -> None:
        """Let no placeholder be one that the text already holds."""
        self._written |= {p for p in _PLACEHOLDER.findall(text) if p not in self._original}

    def redact(self, text: str) -> str:
        """The text with placeholders such as [ADDRESS_1]."""
        self.reserve(text)
        changed = text
        # What is hidden may have been all that made its neighbour look like a longer word.
        for _ in range(_PASSES):
            before, changed = changed, self._pass(changed)
            if changed == before:
                return changed
        return self._name(_HIDDEN, text)

    def restore(self, text: str, *, secrets: bool = False) -> str:
        """The text with what the placeholders stand for; secrets only on demand."""

        def original(match: re.Match[str]) -> str:
            kind, stood = self._original.get(match[0], ("", match[0]))
            hidden = kind in (*SECRETS, _HIDDEN) and not secrets
            return match[0] if hidden else stood

        return _PLACEHOLDER.sub(original, text)

    @property
    def count(self) -> int:
        """How many values were replaced, each once."""
        return len(self._named)

    @property
    def found(self) -> tuple[str, ...]:
        """Kinds of what was replaced, each once."""
        return tuple(dict.fromkeys(kind for kind, _ in self._named))

    def _pass(self, text: str) -> str:
        lower = text.lower()
        for rule in RULES:
            parts: list[str] = []
            end = 0
            for kind, start, stop in rule.spans(text, lower):
                if start >= end:
                    parts += [text[end:start], self._name(kind, text[start:stop])]
                    end = stop
            if parts:
                text = "".join([*parts, text[end:]])
        return text

    def _name(self, kind: str, original: str) -> str:
        if (name := self._named.get((kind, original))) is not None:
            return name
        while True:
            number = self._counts[kind] = self._counts.get(kind, 0) + 1
            name = f"[{kind}_{number}]"
            if name not in self._written:
                break
        self._named[kind, original], self._original[name] = name, (kind, original)
        return name


def redact(text: str) -> str:
    """The text without secrets and personal data; placeholders are numbered within it."""
    return Redactor().redact(text)
