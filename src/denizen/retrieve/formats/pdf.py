"""PDF by pypdf: text page by page, headings from the outline and from the size of the type.

Contract: `Parsed.text` is made here, a blank line between paragraphs and pages; `pages` says where
each starts. Invisible type (render modes 3 and 7, below one point) is hidden text, not text.
DataError for what is encrypted, broken, too long, or a scan without text.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from typing import Any, NamedTuple

from denizen.project.errors import DataError
from denizen.retrieve.documents import Block, Parsed
from denizen.retrieve.formats.html import DECEPTIVE
from denizen.retrieve.formats.outline import Outline

LONGEST = 2000  # pages
_LARGER = 1.15
_HEADING = 120  # characters
_DATE = re.compile(r"^D:(\d{4})(\d{2})?(\d{2})?")
_INVISIBLE_MODES = {3, 7}
_DRAWS = (b"Tj", b"TJ", b"'", b'"')
# One glyph for two letters: neither index would know "ﬁnality".
_LIGATURES = str.maketrans(
    dict(zip("ﬀﬁﬂﬃﬄﬅﬆ", ("ff", "fi", "fl", "ffi", "ffl", "st", "st"), strict=True))
)


class _Line(NamedTuple):
    text: str
    size: float


def read_pdf(data: bytes, name: str) -> Parsed:
    """Parse a PDF."""
    from pypdf import PdfReader

    try:
        reader = PdfReader(io.BytesIO(data))
        locked = reader.is_encrypted and not reader.decrypt("")
        pages = [] if locked else list(reader.pages[: LONGEST + 1])
        hidden: list[str] = []
        read = [_lines(page, hidden) for page in pages]
        titles = _bookmarks(reader)
        front = _front(reader)
    except RecursionError as error:
        raise _broken(name, "nested without end") from error
    except Exception as error:  # pypdf raises many kinds for broken files
        raise _broken(name, f"{type(error).__name__}: {error}"[:120]) from error
    if locked:
        raise DataError("the PDF is encrypted", where=name, fix="save it without a password")
    if len(pages) > LONGEST:
        raise DataError(f"a PDF of over {LONGEST} pages", where=name, fix="split it")
    if not any(line.text for lines in read for line in lines):
        if hidden:  # what a scanner's software lays under its picture cannot be told from a trick
            fix = "save its text as Markdown, and read that"
            raise DataError("the PDF's text is invisible (a recognised scan?)", where=name, fix=fix)
        fix = "run text recognition on it first"
        raise DataError("the PDF has no text (a scan?)", where=name, fix=fix)
    return _assemble(read, titles, front, hidden, name)


def _broken(name: str, why: str) -> DataError:
    return DataError(f"not a readable PDF: {why}", where=name, fix="repair it or save it anew")


def _lines(page: Any, hidden: list[str]) -> list[_Line]:
    """A page's lines with the size of most of their type."""
    made: list[_Line] = []
    parts: list[tuple[str, float]] = []
    mode, saved = 0, list[int]()
    drawn: set[int] = set()  # render modes of what the next fragment holds

    def before(operator: bytes, operands: Any, *_: Any) -> None:
        nonlocal mode
        if operator == b"Tr" and operands:
            mode = int(operands[0])
        elif operator == b"q":
            saved.append(mode)
        elif operator == b"Q" and saved:
            mode = saved.pop()

    def after(operator: bytes, *_: Any) -> None:
        # The text itself comes later, when the mode may be another.
        if operator in _DRAWS:
            drawn.add(mode)

    def flush() -> None:
        text = " ".join("".join(part for part, _ in parts).split())
        sizes: Counter[float] = Counter()
        for part, size in parts:
            sizes[round(size, 1)] += len(part.strip())
        made.append(_Line(text, sizes.most_common(1)[0][0] if sizes else 0.0))
        parts.clear()

    def fragment(text: str, cm: Any, tm: Any, _font: Any, size: float) -> None:
        text = text.translate(_LIGATURES)
        unseen = bool(drawn & _INVISIBLE_MODES)
        drawn.clear()
        scale = abs(tm[3] or tm[1] or 1) * abs(cm[3] or cm[1] or 1)
        if text.strip() and (unseen or size * scale < 1):
            hidden.append(DECEPTIVE + " ".join(text.split()))
            return
        for number, piece in enumerate(text.split("\n")):
            if number:
                flush()
            parts.append((piece, size * scale))

    page.extract_text(
        visitor_text=fragment, visitor_operand_before=before, visitor_operand_after=after
    )
    flush()
    return made


def _bookmarks(reader: Any) -> set[str]:
    found: set[str] = set()
    stack = list(reader.outline)
    while stack and len(found) < LONGEST:
        entry = stack.pop()
        if isinstance(entry, list):
            stack.extend(entry)
        elif title := getattr(entry, "title", ""):
            found.add(" ".join(str(title).split()).casefold())
    return found


def _front(reader: Any) -> dict[str, str]:
    info = reader.metadata or {}
    names = {"/Title": "title", "/Author": "author", "/Subject": "description"}
    found = {name: " ".join(str(info[key]).split()) for key, name in names.items() if info.get(key)}
    for key in ("/ModDate", "/CreationDate"):
        if match := _DATE.match(str(info.get(key, ""))):
            found["updated"] = f"{match[1]}-{match[2] or '01'}-{match[3] or '01'}"
            break
    return found


def _assemble(
    read: list[list[_Line]], titles: set[str], front: dict[str, str], hidden: list[str], name: str
) -> Parsed:
    sizes: Counter[float] = Counter()
    for line in (line for lines in read for line in lines):
        sizes[line.size] += len(line.text)
    body = sizes.most_common(1)[0][0]
    larger = sorted({s for s in sizes if s > body * _LARGER}, reverse=True)
    outline, blocks, pages = Outline(), [], []
    text, paragraph = "", ""

    def close() -> None:
        nonlocal text, paragraph
        if paragraph:
            blocks.append(Block(len(text), len(text) + len(paragraph), "prose", outline.path))
            text, paragraph = text + paragraph + "\n\n", ""

    for lines in read:
        pages.append(len(text))
        for line in lines:
            is_title = line.text.casefold() in titles
            if line.text and len(line.text) <= _HEADING and (is_title or line.size in larger):
                close()
                level = larger.index(line.size) + 1 if line.size in larger else len(larger) + 1
                outline.enter(level, line.text)
                end = len(text) + len(line.text)
                blocks.append(Block(len(text), end, "heading", outline.path))
                text += line.text + "\n\n"
            elif line.text:
                paragraph += "\n" * bool(paragraph) + line.text
            else:
                close()
        close()
    title = front.get("title", "") or outline.first or name
    return Parsed(text, tuple(blocks), title, front, tuple(hidden), tuple(pages))
