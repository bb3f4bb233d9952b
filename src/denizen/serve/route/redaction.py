"""Secrets and addresses out of what leaves for an upstream, and back into what returns.

Contract: one `Mask` serves one request; equal values get equal placeholders in all its texts, and
`restore` puts the values back into the reply, but for secrets: those never need to be repeated.  A
placeholder never occurs in the request itself.  What counts is said in operations/patterns.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from denizen.serve.operations.redaction import Redactor


class Mask:
    """The placeholders of one request."""

    def __init__(self, texts: str = "") -> None:
        """`texts`: everything the request says, so that no placeholder is a word of it."""
        self._redactor = Redactor()
        self._redactor.reserve(texts)

    @property
    def count(self) -> int:
        """How many values were taken out."""
        return self._redactor.count

    def hide(self, text: str) -> str:
        """The text with placeholders."""
        return self._redactor.redact(text)

    def hide_all(self, value: Any) -> Any:
        """The same for every string of a JSON value; keys stay."""
        if isinstance(value, str):
            return self.hide(value)
        if isinstance(value, Mapping):
            return {key: self.hide_all(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.hide_all(inner) for inner in value]
        return value

    def restore(self, text: str) -> str:
        """The values put back; secrets, and placeholders that were not given out, stay."""
        return self._redactor.restore(text)

    def restore_all(self, value: Any) -> Any:
        """The same for every string of a JSON value: a quote in a value cannot break the JSON."""
        if isinstance(value, str):
            return self.restore(value)
        if isinstance(value, dict):
            return {key: self.restore_all(inner) for key, inner in value.items()}
        return [self.restore_all(inner) for inner in value] if isinstance(value, list) else value
