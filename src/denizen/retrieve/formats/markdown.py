"""Markdown and MDX: blocks by markdown-it, at their exact place in the file.

Contract: `Parsed.text` is the file. Front matter and a fenced preamble are blocks of kind "front";
headings are blocks of their own. MDX import and export statements and comments are no blocks, so
they are never indexed; comments are handed over as hidden text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from denizen.retrieve.comments import blanked, comment_spans
from denizen.retrieve.documents import Block, Parsed
from denizen.retrieve.formats.outline import Outline
from denizen.retrieve.front import Front, full_title, preamble, split_front
from denizen.retrieve.plain import comments, plain

# A statement begins a paragraph and is all of it; within one, "import" is a word.
_STATEMENT = re.compile(r"(?:import|export)\b")
_PARAGRAPH = re.compile(r"(?:^[^\S\n]*\S[^\n]*\n?)+", re.MULTILINE)
_FENCED = re.compile(r"^[ \t]*(```|~~~).*?^[ \t]*\1", re.DOTALL | re.MULTILINE)
_SETEXT = re.compile(r"\n[ \t]*(?:=+|-+)[ \t]*\Z")


def read_markdown(text: str, name: str) -> Parsed:
    """Parse Markdown."""
    return _read(text, name, "markdown")


def read_mdx(text: str, name: str) -> Parsed:
    """Parse MDX: Markdown with statements and components."""
    return _read(text, name, "mdx")


def _read(text: str, name: str, form: str) -> Parsed:
    # markdown-it counts these as line ends or turns them into others: lines must stay in step.
    normal = text.replace("\r\n", " \n").replace("\r", " ").replace("\x00", " ")
    front = split_front(normal)
    fields = dict(front.fields) if front else {}
    inner = preamble(normal)
    if inner:
        fields = {**inner.fields, **fields}
    body = _blanked(normal, front, form)
    outline = Outline()
    blocks = [Block(0, front.end, "front")] if front and front.fields else []
    blocks += [_as_front(b, inner) for b in _blocks(body, outline, form)]
    title = full_title(fields, outline.first, name)
    return Parsed(text, tuple(blocks), title, fields, tuple(comments(normal, form)))


def _blanked(text: str, front: Front | None, form: str) -> str:
    """The text with what is no content turned into blanks, character for character."""
    if front:
        text = blanked(text, [(front.start, front.end)])
    text = blanked(text, comment_spans(text, form))
    if form == "mdx":
        prose = blanked(text, (match.span() for match in _FENCED.finditer(text)))
        paragraphs = (match.span() for match in _PARAGRAPH.finditer(prose))
        text = blanked(text, (span for span in paragraphs if _STATEMENT.match(prose, span[0])))
    return text


def _as_front(block: Block, inner: Front | None) -> Block:
    if inner and block.kind == "code" and block.start <= inner.start < block.end:
        return Block(block.start, block.end, "front", block.headings)
    return block


def _blocks(text: str, outline: Outline, form: str) -> Iterator[Block]:
    from markdown_it import MarkdownIt

    starts = [0, *(m.end() for m in re.finditer("\n", text)), len(text) + 1]
    # Blocks alone are wanted; the rule for what is inside a line takes most of the time.
    parser = MarkdownIt("commonmark").enable("table").disable(["inline", "text_join"])
    tokens: list[Any] = parser.parse(text)
    table_until = -1
    for i, token in enumerate(tokens):
        if token.map is None:
            continue
        first, last = token.map
        start, end = starts[first], min(starts[last], len(text))
        if token.type == "table_open":
            table_until = last
            yield Block(start, end, "table", outline.path)
        elif first < table_until:
            continue
        elif token.type == "inline" and tokens[i - 1].type == "heading_open":
            title = plain(_SETEXT.sub("", text[start:end].rstrip()), "heading", form)
            outline.enter(int(tokens[i - 1].tag[1]), title.rstrip("# "))
            yield Block(start, end, "heading", outline.path)
        elif token.type in ("fence", "code_block"):
            yield Block(start, end, "code", outline.path)
        elif token.type in ("inline", "html_block"):
            yield Block(start, end, "prose", outline.path)
