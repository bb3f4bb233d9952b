"""GBNF text: how a literal is written in the grammars of calls and of objects."""

from __future__ import annotations


def literal(text: str) -> str:
    """A quoted GBNF literal; no text can break out of it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
