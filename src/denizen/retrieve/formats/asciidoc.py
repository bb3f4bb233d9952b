"""AsciiDoc, as far as documentation uses it: headings, attributes, delimited blocks, tables.

Contract: `Parsed.text` is the file. Header attributes (`:key: value`) are the front matter.
Comments, includes, anchors and attribute lines are no blocks; comments are handed over as hidden
text. Nothing is included or substituted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from denizen.retrieve.documents import Block, BlockKind, Parsed
from denizen.retrieve.formats.outline import Outline
from denizen.retrieve.front import full_title
from denizen.retrieve.plain import comments, plain

_HEADING = re.compile(r"^(={1,6}|#{1,6})[ \t]+(\S.*)$")
_ATTRIBUTE = re.compile(r"^:([\w-]+)!?:[ \t]*(.*)$")
_SKIPPED = re.compile(
    r"^(?:include|ifdef|ifndef|ifeval|endif|toc)::|^\[\[?[^\]]*\]\]?$|^\.\w[^\n]*$"
)
# A mark is a line of its own: "==== Title" is a heading, "--help" a word.
_FENCE = re.compile(r"^((?:-{4,}|\.{4,}|\+{4,}|/{4,}|={4,}|\*{4,}|_{4,}|\|===|--)$|```+)")
_CODE = ("-", ".", "`")


def read_asciidoc(text: str, name: str) -> Parsed:
    """Parse AsciiDoc."""
    outline = Outline()
    fields: dict[str, str] = {}
    blocks = tuple(_blocks(text, outline, fields))
    title = full_title(fields, outline.first, name)
    return Parsed(text, blocks, title, fields, tuple(comments(text, "asciidoc")))


def _blocks(text: str, outline: Outline, fields: dict[str, str]) -> Iterator[Block]:
    fence, opened, paragraph = "", 0, -1
    position = 0
    for line in text.splitlines(keepends=True):
        start, position = position, position + len(line)
        bare = line.strip()
        if fence:
            if bare == fence:
                if kind := _kind(fence):
                    yield Block(opened, position, kind, outline.path)
                fence = ""
            continue
        special = _special(bare, line)
        if paragraph >= 0 and (special or not bare):
            yield Block(paragraph, start, "prose", outline.path)
            paragraph = -1
        if match := _ATTRIBUTE.match(bare):
            fields.setdefault(match[1].lower(), match[2])
        elif match := _FENCE.match(bare):
            # Examples, quotes and sidebars hold ordinary text: only their marks are skipped.
            if match[1][0] not in "=*_" and match[1] != "--":
                fence, opened = _closing(match[1]), start
        elif match := _HEADING.match(bare):
            outline.enter(len(match[1]), plain(match[2], "heading", "asciidoc"))
            yield Block(start, position, "heading", outline.path)
        elif bare and not special and paragraph < 0:
            paragraph = start
    if fence and (kind := _kind(fence)):
        yield Block(opened, len(text), kind, outline.path)
    elif paragraph >= 0:
        yield Block(paragraph, len(text), "prose", outline.path)


def _special(bare: str, line: str) -> bool:
    if bare.startswith("//"):
        return True
    return any(p.match(bare) for p in (_ATTRIBUTE, _FENCE, _HEADING, _SKIPPED)) and bool(line)


def _closing(mark: str) -> str:
    return "```" if mark.startswith("```") else mark


def _kind(fence: str) -> BlockKind | None:
    if fence == "|===":
        return "table"
    return "code" if fence[0] in _CODE else None
