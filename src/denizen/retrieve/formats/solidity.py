"""Solidity: contracts and their NatSpec, one block a documented declaration.

Contract: `Parsed.text` is the file. A block is a `///` or `/** */` comment with the signature it
describes (the body is left out) under the headings "contract X" > "function f". Undocumented
declarations and ordinary comments are no blocks, but ordinary comments are handed over as hidden
text: nothing in them is indexed. The SPDX identifier is the licence, the pragma front matter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from denizen.retrieve.documents import Block, Parsed
from denizen.retrieve.formats.outline import Outline

_TOKEN = re.compile(
    r"(?P<doc>(?:///(?!/)[^\n]*\n?[ \t]*)+|/\*\*(?!/).*?\*/)"
    r"|(?P<comment>//[^\n]*|/\*.*?\*/)"
    r"|(?P<string>\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*')"
    r"|(?P<brace>[{}])"
    r"|(?P<declaration>\b(?:(?:abstract[ \t]+)?contract|interface|library|function|modifier|event"
    r"|error|struct|enum|constructor|receive|fallback)\b)",
    re.DOTALL,
)
_DECLARATION = re.compile(
    r"(?:(?:abstract[ \t]+)?contract|interface|library|function|modifier|event|error|struct|enum"
    r"|constructor|receive|fallback|type)\b"
)
# A state variable: type and attributes, and its name before a value or the end.
_VARIABLE = re.compile(r"[A-Za-z_](?:[^;{}=]|=>)*?\b([A-Za-z_$][\w$]*)\s*(?:=(?!>)|;)")
_LONGEST_NAME, _LONGEST_VALUE = 1000, 20_000  # characters: a file without ";" is not searched anew
# White space and ordinary comments between a comment and what it documents.
_GAP = re.compile(r"(?:\s+|//(?!/)[^\n]*|/\*(?!\*).*?\*/)*", re.DOTALL)
_NAME = re.compile(r"\s*([A-Za-z_$][\w$]*)?")
_CONTAINERS = ("contract", "interface", "library")
_SPDX = re.compile(r"SPDX-License-Identifier:\s*([\w.+-]+(?:\s+(?:OR|AND|WITH)\s+[\w.+-]+)*)")
_PRAGMA = re.compile(r"^\s*pragma\s+solidity\s+([^;]+);", re.MULTILINE)


def read_solidity(text: str, name: str) -> Parsed:
    """Parse a source file."""
    outline, hidden = Outline(), list[str]()
    blocks = tuple(_blocks(text, outline, hidden))
    front: dict[str, str] = {}
    if match := _SPDX.search(text):
        front["license"] = match[1]
    if match := _PRAGMA.search(text):
        front["pragma"] = " ".join(match[1].split())
    return Parsed(text, blocks, outline.first or name, front, tuple(hidden))


def _blocks(text: str, outline: Outline, hidden: list[str]) -> Iterator[Block]:
    depth, position = 0, 0
    while match := _TOKEN.search(text, position):
        position = match.end()
        if match.lastgroup == "comment":
            hidden.append(match[0])
        elif match.lastgroup == "brace":
            depth += 1 if match[0] == "{" else -1
        elif match.lastgroup in ("doc", "declaration") and depth < 2:
            documented = match.lastgroup == "doc"
            place = _after_gap(text, position) if documented else match.start()
            label, position = _declared(text, place, match.end())
            if not label:
                continue
            container = label.split()[0] in _CONTAINERS
            outline.enter(1 if container else 2, label)
            if documented or container:
                yield Block(match.start(), position, "code", outline.path)


def _after_gap(text: str, position: int) -> int:
    gap = _GAP.match(text, position)
    return gap.end() if gap else position


def _declared(text: str, place: int, otherwise: int) -> tuple[str, int]:
    """("function f", end of its signature) of what stands at a place; a variable is a variable."""
    found = _DECLARATION.match(text, place)
    if found is None:
        variable = _VARIABLE.match(text, place, place + _LONGEST_NAME)
        if variable is None:
            return "", otherwise
        end = text.find(";", variable.end() - 1, variable.end() + _LONGEST_VALUE)
        return f"variable {variable[1]}", max(variable.end(), end + 1)
    word = found[0].split()[-1]
    named = _NAME.match(text, found.end())
    label = f"{word} {named[1]}" if named and named[1] else word
    return label, _signature_end(text, found.end())


def _signature_end(text: str, position: int) -> int:
    """Position of the `{` or just after the `;` that ends a signature."""
    match = re.compile(r"[{;]").search(text, position)
    if match is None:
        return len(text)
    return match.start() if match[0] == "{" else match.end()
